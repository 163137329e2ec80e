"""Triton's server with two small models, through nvidia-pytriton: a script for its own virtual environment.

    python triton_server.py PORT CACHE SERVICE_MS

PORT + 1 is for GRPC, which nobody uses, and PORT + 2 has the metrics page. CACHE is `on` (its response cache) or `off`.
`m1` takes x, FP32 of shape [rows, 3, 32, 32], in batches of up to 8, and waits SERVICE_MS; `sum` takes x, FP32 of any
length, and adds it up.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

CLASSES = 10


def serve(port: int, cache: bool, service_s: float) -> None:
    """Serve until stopped."""
    weights = np.random.default_rng(1).standard_normal((3 * 32 * 32, CLASSES)).astype(np.float32)

    @batch
    def classify(x: np.ndarray) -> dict[str, np.ndarray]:
        time.sleep(service_s)
        scores = x.reshape(len(x), -1) @ weights
        return {"scores": scores, "label": scores.argmax(axis=1, keepdims=True).astype(np.int64)}

    def add_up(requests: list) -> list:
        return [{"sum": request["x"].sum(keepdims=True)} for request in requests]

    local = {"http_address": "127.0.0.1", "grpc_address": "127.0.0.1", "metrics_address": "127.0.0.1"}
    ports = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    kept = {"cache_config": [f"local,size={64 * 2**20}"]} if cache else {}
    with Triton(config=TritonConfig(**local, **ports, **kept, allow_metrics=True, metrics_interval_ms=200)) as triton:
        triton.bind(
            model_name="m1",
            infer_func=classify,
            inputs=[Tensor(name="x", dtype=np.float32, shape=(3, 32, 32))],
            outputs=[
                Tensor(name="scores", dtype=np.float32, shape=(CLASSES,)),
                Tensor(name="label", dtype=np.int64, shape=(1,)),
            ],
            config=ModelConfig(
                max_batch_size=8, batcher=DynamicBatcher(max_queue_delay_microseconds=0), response_cache=cache
            ),
        )
        triton.bind(
            model_name="sum",
            infer_func=add_up,
            inputs=[Tensor(name="x", dtype=np.float32, shape=(-1,))],
            outputs=[Tensor(name="sum", dtype=np.float32, shape=(1,))],
            config=ModelConfig(batching=False),
        )
        triton.serve()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2] == "on", float(sys.argv[3]) / 1000)
