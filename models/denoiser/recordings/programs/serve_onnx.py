"""An inference server (fastapi, uvicorn, onnxruntime) with the client that loads it; `serve` is the server, `load` both."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel

logging.basicConfig(level=logging.INFO, format="%(asctime)s [%(process)d] [%(levelname)s] %(name)s: %(message)s")
log = logging.getLogger("server")


class Query(BaseModel):
    rows: list[list[float]]


def export(path: Path, fault: str) -> None:
    import onnx
    from onnx import TensorProto, helper

    random = np.random.default_rng(0)
    weights = helper.make_tensor("w", TensorProto.FLOAT, [32, 4], random.normal(size=128).astype(np.float32))
    if fault == "nan-output":
        weights = helper.make_tensor("w", TensorProto.FLOAT, [32, 4], np.full(128, np.nan, np.float32))
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Softmax", ["h"], ["y"], axis=1)]
    graph = helper.make_graph(
        nodes, "scorer", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])], [weights],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 99 if fault == "opset" else 17)])
    model.ir_version = 9
    onnx.save(model, path)
    if fault == "corrupt-model":
        path.write_bytes(path.read_bytes()[:200])


def serve(port: int, fault: str) -> None:
    import onnxruntime
    import uvicorn
    from fastapi import FastAPI, HTTPException

    path = Path("model.onnx")
    if fault != "missing-model":
        export(path, fault)
    log.info("onnxruntime %s, providers %s", onnxruntime.__version__, onnxruntime.get_available_providers())
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 1 if fault == "verbose" else 2
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
    log.info("model loaded: inputs %s", [(each.name, each.shape, each.type) for each in session.get_inputs()])
    app = FastAPI()
    count = {"requests": 0}
    leak = []

    @app.get("/healthz")
    def healthz() -> dict:
        if fault == "unhealthy" and count["requests"] > 60:
            raise HTTPException(503, "feature store connection pool exhausted")
        return {"ok": True, "served": count["requests"]}

    @app.post("/score")
    def score(query: Query) -> dict:
        count["requests"] += 1
        number = count["requests"]
        if number % 40 == 0:
            log.warning("slow batch: %d rows took %.0f ms (budget 50 ms)", len(query.rows), 50 + number % 17)
        if fault == "slow" and number > 80:
            time.sleep(20)
        if fault == "crash" and number == 90:
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "leak":
            leak.append(np.ones(2_500_000))
        inputs = np.asarray(query.rows, np.float64 if fault == "dtype" and number > 50 else np.float32)
        scores = session.run(None, {"x": inputs})[0]
        if fault == "nan-output" and not np.isfinite(scores).all():
            log.error("scores are not finite for request %d: %s", number, scores[0].tolist())
            raise ValueError("Out of range float values are not JSON compliant: nan")
        return {"scores": scores.tolist()}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="info")


def call(port: int, requests: int, width: int, allowed: int, key: str) -> None:
    import httpx

    failed = 0
    times = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=3) as client:
        logging.getLogger("httpx").setLevel(logging.WARNING)
        caller = logging.getLogger("client")
        for number in range(1, requests + 1):
            rows = np.random.default_rng(number).normal(size=(4, width)).tolist()
            begun = time.perf_counter()
            try:
                answer = client.post("/score", json={key: rows})
                answer.raise_for_status()
                times.append(time.perf_counter() - begun)
            except httpx.HTTPError as error:
                failed += 1
                caller.error("request %d failed: %s: %s", number, type(error).__name__, str(error).split("\n")[0])
                if failed > allowed:
                    caller.critical(
                        "error budget used up: %d of %d requests failed, aborting load test", failed, number
                    )
                    sys.exit(1)
            if number % 30 == 0:
                health = client.get("/healthz")
                if health.status_code != 200:
                    caller.critical("liveness probe failed: HTTP %d %s", health.status_code, health.text)
                    sys.exit(1)
                caller.info("%d requests, p50 %.1f ms, p99 %.1f ms", number, *(1e3 * np.quantile(times, [0.5, 0.99])))
    caller.info("load test finished: %d requests, %d failed", requests, failed)


def load(port: int, fault: str, requests: int) -> None:
    server = subprocess.Popen([sys.executable, __file__, "serve", "--port", str(port), "--fault", fault])
    watcher = threading.Thread(target=lambda: log.info("server process ended with code %s", server.wait()), daemon=True)
    watcher.start()
    import socket

    for attempt in range(60):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError as error:
            if server.poll() is not None:
                log.critical("server did not come up: %s", error)
                sys.exit(1)
            if attempt % 3 == 0:
                log.warning("server not ready yet (%s), retrying in 0.5 s", error)
            time.sleep(0.5)
    try:
        call(port, requests, 30 if fault == "width" else 32, 5, "inputs" if fault == "field" else "rows")
    finally:
        if server.poll() is None:
            server.terminate()
            watcher.join(5)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["serve", "load"])
    parser.add_argument("--port", type=int, default=18473)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.what == "serve":
        serve(arguments.port, arguments.fault)
    else:
        load(arguments.port, arguments.fault, arguments.requests)


if __name__ == "__main__":
    main()
