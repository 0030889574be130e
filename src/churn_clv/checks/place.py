"""Whether a run finds the place it needs: folders, disk, memory, packages, the MLflow store."""

from __future__ import annotations

import os
import re
import shutil
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from churn_clv.checks.findings import Finding, attempted, error, note, refused, warning
from churn_clv.config import MEMORY, Config
from churn_clv.contractual_config import ContractualConfig
from churn_clv.data.privacy import KEY, check_key, has_pseudonym_key
from churn_clv.delivery.atomic import check_writable, existing
from churn_clv.delivery.store_look import look_at_store
from churn_clv.errors import InputError

# Measured: 500 simulated customers left 9 MB in run folder and store, CDNOW's 23,570 left 40 MB.
RUN_BYTES, CUSTOMER_BYTES = 10_000_000, 1_500


def check_place(config: Config | ContractualConfig | None, out: Path, customers: int | None) -> list[Finding]:
    """Look at where results would go; `customers` of the log, where it could be read."""
    folder = out if config is None else out / config.name
    found = attempted(partial(check_writable, folder), "--out") or [_disk(folder, customers)]
    found += _store()
    if isinstance(config, Config):
        found += _pseudonyms() + _packages(config) + _memory(config)
    return found


def _disk(folder: Path, customers: int | None) -> Finding:
    free = shutil.disk_usage(existing(folder)).free
    needed = RUN_BYTES + CUSTOMER_BYTES * (customers or 0)
    told = f"about {needed / 1e6:,.0f} MB will be written here and to the MLflow store; {free / 1e9:,.1f} GB are free"
    if free > needed:
        return note(str(folder), told)
    return warning(str(folder), f"{told}: make room, or name another place with --out")


def _store() -> list[Finding]:
    try:
        return [note("MLFLOW_TRACKING_URI", look_at_store())]
    except InputError as failure:
        return refused(failure, "MLFLOW_TRACKING_URI")


def _pseudonyms() -> list[Finding]:
    if not has_pseudonym_key():
        return []
    return attempted(check_key, KEY) or [note(KEY, "is set: what leaves this machine may carry pseudonyms")]


def _packages(config: Config) -> list[Finding]:
    """Packages that only some configs need; a packaged log's own is missed when the log is opened."""
    if config.value.engine == "lifetimes" and find_spec("lifetimes") is None:
        return [error("value.engine", "lifetimes is not installed: pip install lifetimes==0.11.3, or set native")]
    return []


def _memory(config: Config) -> list[Finding]:
    limit = config.data.memory_limit
    if limit is None:
        return []
    here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = []
    if bytes_of(limit) > here:
        found.append(
            warning("data.memory_limit", f"{limit} is more than this machine has ({here / 1e9:.0f} GB): name less")
        )
    if config.data.spill_directory is None:
        found.append(
            note(
                "data.memory_limit",
                f"a log that needs more than {limit} is an error unless data.spill_directory is named",
            )
        )
    return found


def bytes_of(size: str) -> float:
    """Return a size of memory as a config writes it in bytes.

    >>> bytes_of("4GB"), bytes_of("1.5 KiB")
    (4000000000.0, 1536.0)
    """
    match = re.fullmatch(MEMORY, size)
    if match is None:
        raise ValueError(f"{size!r} is no size of memory")
    return float(match[1]) * (1024 if match[3] else 1000) ** ("KMGT".index(match[2]) + 1)
