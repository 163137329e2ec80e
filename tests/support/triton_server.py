"""Triton's server with two small models, through nvidia-pytriton: a script for its own virtual environment.

    python triton_server.py HTTP_PORT GRPC_PORT METRICS_PORT CACHE SERVICE_MS

CACHE is `on` (its response cache) or `off`. `m1` takes x, FP32 of shape [rows, 3, 32, 32], in batches of up to 8, waits
SERVICE_MS, and fails where the first element is 900 or more. `last` takes x, FP32 of any length, and gives its last.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

CLASSES = 10
POISON = 900


def serve(http: int, grpc: int, metrics: int, *, cache: bool, service_s: float) -> None:
    """Serve until stopped."""
    weights = np.random.default_rng(1).standard_normal((3 * 32 * 32, CLASSES)).astype(np.float32)

    @batch
    def classify(x: np.ndarray) -> dict[str, np.ndarray]:
        time.sleep(service_s)
        if (x[:, 0, 0, 0] >= POISON).any():
            raise ValueError("an input of the batch is poison")
        scores = x.reshape(len(x), -1) @ weights
        return {"scores": scores, "label": scores.argmax(axis=1, keepdims=True).astype(np.int64)}

    def give_last(requests: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        return [{"last": request["x"][-1:]} for request in requests]

    local = {"http_address": "127.0.0.1", "grpc_address": "127.0.0.1", "metrics_address": "127.0.0.1"}
    ports = {"http_port": http, "grpc_port": grpc, "metrics_port": metrics}
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
            model_name="last",
            infer_func=give_last,
            inputs=[Tensor(name="x", dtype=np.float32, shape=(-1,))],
            outputs=[Tensor(name="last", dtype=np.float32, shape=(1,))],
            config=ModelConfig(batching=False),
        )
        triton.serve()


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:4]), cache=sys.argv[4] == "on", service_s=float(sys.argv[5]) / 1000)
