"""Real LoadGen against a SUT that sleeps: one process, one test, its logs in the working directory.

    python loadgen_sut.py '{"scenario": "Offline", "queries": 100, "service_ms": 2, "repeat_ms": 0.1, ...}'

An audit.config in the working directory is LoadGen's own way to ask for an audit. Every so-manieth sample takes far
longer than the others, so long that no noise of the machine can hide it: those latencies make up the score.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from typing import Any

import mlperf_loadgen as lg

OPTIONS: dict[str, Any] = {
    "scenario": "SingleStream",
    "queries": 100,  # Offline: samples of its one query
    "rows": 1000,
    "service_ms": 1.0,
    "tail_ms": 50.0,
    "tail_every": 20,
    "repeat": 1.0,  # a sample that was answered before takes so many times as long; 0 for a SUT that caches
    "target_qps": 2000.0,  # more than the SUT can do, so that Server's throughput is the SUT's
    "samples_per_query": 2,  # MultiStream
    "percentile": None,  # of Server's latency bound
    "seeds": [1, 2, 3],
}


class Sut:
    """Answers one sample after another in a thread of its own."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.answered: set[int] = set()
        self.waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def issue(self, samples: list[Any]) -> None:
        for sample in samples:
            self.waiting.put((sample.id, sample.index))

    def serve(self) -> None:
        count = 0
        while (sample := self.waiting.get()) is not None:
            identity, index = sample
            count += 1
            took_ms = self.options["service_ms" if count % self.options["tail_every"] else "tail_ms"]
            time.sleep(took_ms / 1000 * (self.options["repeat"] if index in self.answered else 1.0))
            self.answered.add(index)
            lg.QuerySamplesComplete([lg.QuerySampleResponse(identity, 0, 0)])

    def close(self) -> None:
        self.waiting.put(None)
        self.thread.join()


def settings(options: dict[str, Any]) -> Any:
    asked = lg.TestSettings()
    asked.scenario = getattr(lg.TestScenario, options["scenario"])
    asked.mode = lg.TestMode.PerformanceOnly
    asked.min_duration_ms = 0
    asked.min_query_count = options["queries"]
    asked.max_query_count = options["queries"] if options["scenario"] != "Offline" else 0
    asked.qsl_rng_seed, asked.sample_index_rng_seed, asked.schedule_rng_seed = options["seeds"]
    asked.server_target_qps = options["target_qps"]
    asked.server_target_latency_ns = 10**11
    if options["percentile"]:
        asked.server_target_latency_percentile = options["percentile"]
    asked.multi_stream_samples_per_query = options["samples_per_query"]
    return asked


def main(options: dict[str, Any]) -> None:
    logs = lg.LogSettings()
    logs.enable_trace = True
    logs.log_output.outdir = "."
    server = Sut(options)
    sut = lg.ConstructSUT(server.issue, lambda: None)
    qsl = lg.ConstructQSL(options["rows"], options["rows"], lambda _: None, lambda _: None)
    lg.StartTestWithLogSettings(sut, qsl, settings(options), logs)
    lg.DestroyQSL(qsl)
    lg.DestroySUT(sut)
    server.close()


if __name__ == "__main__":
    main({**OPTIONS, **json.loads(sys.argv[1])})
