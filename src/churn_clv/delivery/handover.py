"""A run's model as a folder for the team that takes it over."""

from __future__ import annotations

from pathlib import Path

from churn_clv.delivery.atomic import whole_folder
from churn_clv.delivery.model_folder import verified, write_model


def hand_over(run: Path, root: Path) -> tuple[Path, str]:
    """Copy a run's model, every digest checked, to ``root/<config>-<time>`` and return the folder and its digest.

    Raises
    ------
    InputError
        If the run is incomplete, its model was changed, or the folder exists already.
    """
    source = run / "model"
    files = verified(source)
    folder = root / f"{run.parent.name}-{run.name}"
    with whole_folder(folder) as partial:
        digest = write_model(partial, files)
    return folder, digest
