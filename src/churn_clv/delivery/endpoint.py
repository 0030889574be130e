"""The MLflow model over HTTP: it answers as `mlflow models serve` does, and refuses in one line what is no question.

    PYTHONPATH=MODEL/code python -B -m churn_clv.delivery.endpoint MODEL --port 8080

MLflow's own server ends in a traceback for CSV that it cannot read, in status 500 for JSON that is nested deeply, and
keeps a body of any size.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from fastapi import FastAPI, Request, Response
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel, load_model
from mlflow.pyfunc.scoring_server import predictions_to_json
from mlflow.version import VERSION
from starlette.requests import ClientDisconnect

from churn_clv.delivery.request_body import JSON, read_body
from churn_clv.errors import InputError

# Some 80,000 customers as records of the usual columns.
LARGEST_BODY = 64 * 2**20


def application(model: PyFuncModel) -> FastAPI:
    """Return the server of a loaded model: POST /invocations, and GET /ping, /health and /version as MLflow has them."""
    app = FastAPI(openapi_url=None)

    @app.get("/ping")
    @app.get("/health")
    def ping() -> Response:
        return Response("\n", media_type=JSON)

    @app.get("/version")
    def version() -> Response:
        return Response(VERSION, media_type=JSON)

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_BODY:
                    return _refused(413, f"the body: is larger than {LARGEST_BODY // 2**20} MiB; send fewer rows")
        except ClientDisconnect:
            return _refused(400, "the body: ended too early")
        kind = request.headers.get("content-type", "")
        return await asyncio.to_thread(answer, model, bytes(body), kind)

    return app


def answer(model: PyFuncModel, body: bytes, content_type: str) -> Response:
    """Return what a request gets: 200 and a row per customer, or 400 and the reason."""
    try:
        scores = _scores(model, *read_body(body, content_type))
    except InputError as error:
        return _refused(400, str(error))
    except MlflowException as error:
        return _refused(error.get_http_status_code(), error.message)
    text = io.StringIO()
    predictions_to_json(scores, text)
    return Response(text.getvalue(), media_type=JSON)


def _scores(model: PyFuncModel, frame: pd.DataFrame, params: dict[str, Any]) -> pd.DataFrame:
    """Ask the model with nothing that it does not know: MLflow would write the names of it, which may be cells, to the log."""
    known = [param.name for param in model.metadata.get_params_schema().params]
    strange = len(set(params) - set(known))
    if strange:
        raise InputError(f"params: {strange:,} of {len(params):,} are unknown; the model takes {', '.join(known)}")
    columns = frame.columns.intersection(model.metadata.get_input_schema().input_names(), sort=False)
    return model.predict(frame[columns], params=params)


def _refused(status: int, reason: str) -> Response:
    content: dict[str, Any] = {"error_code": "INVALID_PARAMETER_VALUE", "message": reason}
    return Response(json.dumps(content), status, media_type=JSON)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a model's folder until stopped; requests are not logged. What is no model is one line and exit code 2."""
    import uvicorn

    parser = argparse.ArgumentParser(prog="python -m churn_clv.delivery.endpoint", description="Serve an MLflow model.")
    parser.add_argument("model", metavar="MODEL", help="the folder of an MLflow model of this program")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    asked = parser.parse_args(arguments)
    if not Path(asked.model, "MLmodel").is_file():
        print(f"{asked.model}: holds no MLmodel; python -m churn_clv.delivery.mlflow_model makes one", file=sys.stderr)
        return 2
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    app = application(load_model(asked.model))
    print(f"serving {asked.model} at http://{asked.host}:{asked.port}/invocations", flush=True)
    uvicorn.run(app, host=asked.host, port=asked.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
