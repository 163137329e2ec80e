"""RunSpec: how one phase is driven, and how its outputs are scored. It says nothing about which audit wants it."""

from __future__ import annotations

import random
from typing import Literal

import msgspec

from ..config.scenario import Scenario, mlperf_scenario
from .order import SampleOrder, Scripted
from .tokens import Limits
from .trajectories import Trajectories

Parameter = bool | int | float | str | list[int | str] | None

_Nonce = Literal["none", "prefix", "suffix", "twin", "salt"]


class MaxThroughput(msgspec.Struct, frozen=True, tag_field="type", tag="max_throughput"):
    """MLPerf Offline: everything at once, as far as `max_in_flight` connections allow (-1: as many as queries)."""

    max_in_flight: int = -1

    @property
    def scenario(self) -> Scenario:
        """MLPerf's name for it; `config.scenario` gives the rule."""
        return mlperf_scenario("max_throughput")


class Concurrency(msgspec.Struct, frozen=True, tag_field="type", tag="concurrency"):
    """`target` queries in flight at any time; 1 is MLPerf SingleStream, more are Offline."""

    target: int

    @property
    def scenario(self) -> Scenario:
        """MLPerf's name for it; `config.scenario` gives the rule."""
        return mlperf_scenario("concurrency", self.target)


class Poisson(msgspec.Struct, frozen=True, tag_field="type", tag="poisson"):
    """MLPerf Server: arrivals at `target_qps` queries per second, gaps drawn from an exponential by `seed`."""

    target_qps: float
    seed: int

    @property
    def scenario(self) -> Scenario:
        """MLPerf's name for it; `config.scenario` gives the rule."""
        return mlperf_scenario("poisson")


Load = MaxThroughput | Concurrency | Poisson


_Method = Literal["exact_match", "rouge", "wer", "command"]


class Scoring(msgspec.Struct, frozen=True, kw_only=True):
    """How outputs are scored against what the data set expects of them (`QueryRecord.expected`).

    `exact_match`, `rouge` and `wer` are worked out from the records, by whoever judges them. `command` is an external
    program: a list of arguments, no shell, whose exit status and time limit count; `pattern` finds the score in what it
    prints, its group `score` or its first one. `extractor` finds the answer in an output, with `pattern` where it is
    "pattern". `ground_truth` is the data set's column of expected answers, `threshold` the least score that the YAML
    asks for.
    """

    method: _Method
    extractor: str = "identity"
    pattern: str | None = None
    command: tuple[str, ...] = ()
    timeout_s: float = 3600.0
    ground_truth: str | None = None
    threshold: float | None = None


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What a phase scored. `value` is in per cent, for a command as it prints it; None where there is an `error`.

    `metrics` are all figures of the method by name; `n` outputs were scored, in `n_unanswered` no answer was found.
    """

    value: float | None
    n: int
    n_unanswered: int = 0
    metrics: dict[str, float] = {}
    error: str | None = None
    exit_status: int | None = None
    output_tail: str = ""


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """What of the replies the records keep beside figures and digests.

    `outputs`: the texts; `token_ids`: the tokens, which the endpoint is asked for; `expected`: the data set's column
    that is noted beside them. Of `target` queries only, where given, drawn by `seed` from the first `n_samples`, as
    LoadGen's accuracy_log_sampling_target does in a performance run. With `tokenizer`, the path of a tokenizer.json as
    the YAML has it, token ids are made of the text instead, and the endpoint is not asked for them.
    `message`: the reply as one message, whose tokens are counted once the phase is over, by the tokenizer and the chat
    template in the directory `tokenizer`.
    """

    outputs: bool = True
    token_ids: bool = False
    expected: str | None = None
    target: int | None = None
    seed: int = 0
    tokenizer: str | None = None
    message: bool = False

    def chosen(self, n_samples: int) -> frozenset[int] | None:
        """Return the numbers of the queries whose replies are kept; None for all."""
        if self.target is None or self.target >= n_samples:
            return None
        return frozenset(random.Random(self.seed).sample(range(n_samples), self.target))  # noqa: S311 - reproducible


class RunSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One phase to drive against the endpoint.

    A phase ends when at least `n_samples` queries were issued AND `min_duration_ms` have passed, or when
    `max_duration_ms` (0: no ceiling) or the sample order ends it; queries in flight are always waited for,
    at most `drain_timeout_s` (None: without limit). A scripted phase sends at most `n_samples` queries, at most as many
    at once as its load says, and ends when its script does. With `multiple_of` a phase that its floor takes beyond its
    count goes on to a multiple of that many queries; Poisson arrivals over several processes do not.

    Of trajectories, `n_samples` are the turns of all, the load says how many are played at once, and a turn that has
    failed ends its own; see `runs.trajectories`.

    `nonce` makes every query new by 64 bits, drawn from `nonce_seed`: as a word before the prompt (prefix) or behind it
    (suffix), or as plain words in place of its first, so that it costs as much as the row (twin; see `runs.twins`).
    A `salt` stands between system prompt and user text, and its seed is planned, as MLPerf Endpoints asks.

    `dataset` names the data set whose rows are sent, "" for the performance data set. `parameters` are what the audit
    planned with and needs to judge the phase without the YAML: a model's EOS ids, bounds, a threshold.
    `limits` are those of goodput, None where the YAML has none.
    A `conditional` phase is sent only where its audit wants it, once the phases before it are over.
    """

    label: str
    n_samples: int
    order: SampleOrder | Scripted | Trajectories
    load: Load
    min_duration_ms: int = 0
    max_duration_ms: int = 0
    drain_timeout_s: float | None = None
    query_timeout_s: float | None = None
    nonce: _Nonce = "none"
    nonce_seed: int | None = None
    keep: Keep | None = None
    dataset: str = ""
    scoring: Scoring | None = None
    parameters: dict[str, Parameter] = {}
    conditional: bool = False
    multiple_of: int = 1
    limits: Limits | None = None
