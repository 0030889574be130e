"""A run's model as a folder for the team that takes it over: the model, the code that scores, and what that needs."""

from __future__ import annotations

from pathlib import Path

from churn_clv.delivery.atomic import whole_folder
from churn_clv.delivery.handover_source import Source, source_of
from churn_clv.delivery.mlflow_model import MLFLOW
from churn_clv.delivery.model_folder import MODEL, model_of, write_model
from churn_clv.delivery.scoring_code import pinned, scoring_requirements, scoring_sources

# The server answers anyone who reaches it: whoever runs the image decides who does.
_DOCKERFILE = """\
# Serves the model of this folder: docker build -t churn-clv . && docker run -p 127.0.0.1:8080:8080 churn-clv
FROM python:3.11-slim
# LightGBM needs the OpenMP runtime.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/handover
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt {mlflow}
COPY . ./
ENV PYTHONPATH=code PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false MLFLOW_DISABLE_SCHEMA_DETAILS=true
RUN python -m churn_clv.delivery.production check . && python -m churn_clv.delivery.mlflow_model . /opt/model
RUN useradd --create-home model
USER model
WORKDIR /home/model
ENV PYTHONPATH=/opt/model/code
EXPOSE 8080
CMD ["python", "-m", "churn_clv.delivery.endpoint", "/opt/model", "--host", "0.0.0.0", "--port", "8080"]
"""


def hand_over(run: Path, root: Path) -> tuple[Path, str]:
    """Write the model of a run, or of the newest in a folder of runs, as `write_handover` does."""
    return write_handover(source_of(str(run)), root)


def write_handover(source: Source, root: Path) -> tuple[Path, str]:
    """Write a model with all that scoring needs to ``root/<name>`` and return the folder and its digest.

    A model of a log answers for its golden rows first: what production would refuse is not handed over.

    Raises
    ------
    InputError
        If the model is of another format or answers otherwise here, or the folder exists already.
    """
    files = source.files
    if MODEL in files:
        model_of(files, source.origin)
        files = files | surroundings()
    folder = root / source.name
    with whole_folder(folder) as partial:
        digest = write_model(partial, files)
    return folder, digest


def surroundings() -> dict[str, str]:
    """Return what stands beside a model, name -> text: the code that scores, its requirements, and an image of a server."""
    return {
        "requirements.txt": _lines(scoring_requirements(with_log=False)),
        "requirements-log.txt": _lines(scoring_requirements(with_log=True)),
        "Dockerfile": _DOCKERFILE.format(mlflow=pinned(MLFLOW)),
    } | {f"code/{name}": text for name, text in scoring_sources().items()}


def _lines(requirements: list[str]) -> str:
    return "".join(f"{line}\n" for line in requirements)
