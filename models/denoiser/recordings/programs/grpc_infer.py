"""Batch inference over gRPC: one process serves embeddings, a client asks with deadlines and retries."""

from __future__ import annotations

import argparse
import logging
import sys
import threading
import time
from concurrent import futures

import grpc
import numpy as np

FORMAT = "%(levelname)s %(asctime)s.%(msecs)03d %(threadName)s %(name)s] %(message)s"
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format=FORMAT, datefmt="%Y-%m-%d %H:%M:%S")
log = logging.getLogger("embed")
METHOD = "/embedding.v1.Embedder/Embed"


def handler(fault: str):
    table = np.random.default_rng(0).normal(size=(512, 64)).astype(np.float32)
    served = [0]

    def embed(request: bytes, context: grpc.ServicerContext) -> bytes:
        served[0] += 1
        ids = np.frombuffer(request, np.int32)
        if served[0] % 23 == 0 and fault != "strict":
            context.abort(grpc.StatusCode.UNAVAILABLE, "draining connection, try again")
        if fault == "deadline" and served[0] > 70:
            time.sleep(5)
        if fault == "unknown" and served[0] > 70:
            ids = ids + 500
        return table[ids].tobytes()

    class Generic(grpc.GenericRpcHandler):
        def service(self, details):
            if details.method == METHOD:
                return grpc.unary_unary_rpc_method_handler(embed)
            return None

    return Generic()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=18610)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fault = arguments.fault
    server = grpc.server(futures.ThreadPoolExecutor(4, thread_name_prefix="rpc"))
    server.add_generic_rpc_handlers((handler(fault),))
    if fault != "refused":
        server.add_insecure_port(f"127.0.0.1:{arguments.port}")
        server.start()
        log.info("serving on 127.0.0.1:%d, grpc %s", arguments.port, grpc.__version__)
    if fault == "dies":
        threading.Timer(1.0, lambda: server.stop(None)).start()
    host = "embedder.models.svc.cluster.local" if fault == "dns" else "127.0.0.1"
    method = METHOD.replace("v1", "v2") if fault == "method" else METHOD
    channel = grpc.insecure_channel(
        f"{host}:{arguments.port}", [("grpc.max_receive_message_length", 60_000 if fault == "large" else 4 << 20)]
    )
    call = channel.unary_unary(method)
    for batch in range(arguments.batches):
        ids = (
            np.random.default_rng(batch)
            .integers(0, 512, 16 + (300 if fault == "large" and batch == 90 else 0))
            .astype(np.int32)
        )
        for attempt in range(1, 5):
            try:
                vectors = np.frombuffer(call(ids.tobytes(), timeout=1.5), np.float32).reshape(len(ids), -1)
                break
            except grpc.RpcError as error:
                log.warning("batch %d attempt %d/4 failed: %s: %s", batch, attempt, error.code().name, error.details())
                if attempt == 4 or error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    log.error("batch %d: giving up, %d of %d batches done", batch, batch, arguments.batches)
                    raise
                time.sleep(0.2 * attempt)
        if batch % 4 == 0:
            log.info("batch %d/%d ok, mean norm %.3f", batch, arguments.batches, np.linalg.norm(vectors, axis=1).mean())
        time.sleep(0.02)
    log.info("all %d batches embedded", arguments.batches)
    server.stop(None)


if __name__ == "__main__":
    main()
