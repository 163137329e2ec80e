"""Real LoadGen in accuracy mode against a SUT that answers with given token ids; its logs in the working directory.

    python loadgen_tokens.py '{"scenario": "Server", "outputs": [[5, 6], [7]], "tokens": true}'

Sample i is answered with outputs[i], in the order in which LoadGen asks; its sequence numbers are in the log alone.
"""

from __future__ import annotations

import array
import json
import sys
from typing import Any

import mlperf_loadgen as lg


def main(options: dict[str, Any]) -> None:
    outputs = [array.array("i", ids) for ids in options["outputs"]]

    def respond(sample: Any, ids: array.array[int], complete: Any) -> None:
        address, length = ids.buffer_info()
        complete([lg.QuerySampleResponse(sample.id, address, length * ids.itemsize, length)])

    def issue(samples: list[Any]) -> None:
        for sample in samples:
            ids = outputs[sample.index]
            if options["tokens"]:
                respond(sample, ids[:1], lg.FirstTokenComplete)
            respond(sample, ids, lg.QuerySamplesComplete)

    asked = lg.TestSettings()
    asked.scenario = getattr(lg.TestScenario, options["scenario"])
    asked.mode = lg.TestMode.AccuracyOnly
    asked.use_token_latencies = options["tokens"]
    asked.server_target_latency_ns = 10**11
    asked.server_target_qps = 10_000.0
    logs = lg.LogSettings()
    logs.log_output.outdir = "."
    sut = lg.ConstructSUT(issue, lambda: None)
    qsl = lg.ConstructQSL(len(outputs), len(outputs), lambda _: None, lambda _: None)
    lg.StartTestWithLogSettings(sut, qsl, asked, logs)
    lg.DestroyQSL(qsl)
    lg.DestroySUT(sut)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
