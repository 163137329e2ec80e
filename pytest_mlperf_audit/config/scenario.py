"""MLPerf's scenario of a load pattern, named here and nowhere else, for the YAML's models and for `runs.spec`.

MLPerf Inference (mlcommons/inference_policies `inference_rules.adoc`, "Scenarios") defines them by how queries come and
by what is scored:

    SingleStream   the next query as the last one completes   90th percentile latency, estimated by early stopping
    Server         Poisson arrivals, within a latency bound   the rate of the arrivals
    Offline        every sample at hand from the start        measured throughput, whatever the latencies

`concurrency` with several queries in flight is no scenario of its own there. It is Offline, since

* it is sent as `max_throughput` is with as many connections, query by query, and one run has one scenario;
* its score is the measured throughput, under no latency bound. "Server" would claim Poisson arrivals and a bound that
  the run never had, and MLPerf's checker has no means to see that it had neither;
* both of the checker's readers then take the score meant for such a run, `result_samples_per_second`, by
  `effective_scenario` (mlcommons/inference `tools/submission/submission_checker`: RESULT_FIELD_NEW of LoadGen's logs,
  parsers/endpoints_parser.py of result_summary.json), and refuse it as a Server result (`inferred_check`).

mlcommons/endpoints calls a closed loop "online", beside poisson, and the checker takes "online" in a config.yaml for
Server; both shipped configurations that aim at Server or Interactive are Poisson (examples/08_Qwen3-VL-235B-A22B). For
language models it asks for tokens per second, which result_summary.json gives it in Server alone: there its check of an
Offline metric fails, under `max_throughput` as well. In a directory Interactive it reads either name as Interactive.
"""

from __future__ import annotations

from typing import Literal

Pattern = Literal["max_throughput", "concurrency", "poisson", "agentic_inference"]
_CLOSED = ("concurrency", "agentic_inference")
Scenario = Literal["Offline", "SingleStream", "Server"]


def mlperf_scenario(pattern: Pattern, in_flight: int | None = None) -> Scenario:
    """Return the scenario of a load pattern; `in_flight` is the number that it keeps in flight.

    `agentic_inference` has as many turns in flight, each sent as the one before it completes.
    """
    if pattern == "poisson":
        return "Server"
    return "SingleStream" if pattern in _CLOSED and in_flight == 1 else "Offline"
