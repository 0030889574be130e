"""A playbook read from a user's YAML file, checked like a config."""

from __future__ import annotations

from pathlib import Path

from churn_clv.sections import checked
from churn_clv.segments.playbook import Playbook, default_playbook
from churn_clv.yaml_file import read_yaml


def load_playbook(path: str | None) -> Playbook:
    """Read and check a playbook; None is the one that comes with the package.

    Raises
    ------
    ConfigError
        One error that names the file and every faulty key.

    Examples
    --------
    >>> load_playbook(None).plan_for("low", "high").segment
    'Dormant'
    """
    return default_playbook() if path is None else checked(Playbook, read_yaml(Path(path)), path)
