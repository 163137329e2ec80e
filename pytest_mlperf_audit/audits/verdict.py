"""Verdict and Check: what a verifier returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

#: What a run is: an audit that the YAML asks for, or the main run or the accuracy run, which are none.
RunKind = Literal["audit", "performance", "accuracy"]

Figure = bool | int | float | str | None

#: How a reader may take a ratio. clean: nothing significant; suspicious: a sure speed-up below the limit; inconclusive:
#: the interval holds the limit; over the limit: the whole interval lies above it.
Evidence = Literal["clean", "suspicious", "inconclusive", "over the limit"]

#: Who set a limit: MLPerf for every scenario, MLPerf for SingleStream alone, or the YAML.
LimitOf = Literal["MLPerf", "SingleStream", "configuration"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was asserted: `observed` against `limit`, and a sentence for a person in `reason`.

    `passed` is None where the records leave it in doubt, which is never a pass. `tested` is false where nothing was
    sent that could have shown it: `passed` is then None as well, its test is skipped, and no verdict waits for it.
    """

    name: str
    passed: bool | None
    observed: Figure
    limit: Figure
    reason: str
    tested: bool = True


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison of a family of tests, found or not.

    `p` is the raw p value, `p_corrected` that after the correction for the whole family; `effect` is a speed-up factor
    with its 95 % interval. `fast_s` and `slow_s` are median seconds of what was compared, and `measured` says whether
    that is the whole reply, the first token, what comes after it, or a whole burst. `forbidden` says whether
    the rules forbid the kind. `n` is the number of queries compared. None stands for what could not be tested.
    """

    kind: str
    of: str
    found: bool
    forbidden: bool
    sentence: str
    p: float | None = None
    p_corrected: float | None = None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    fast_s: float | None = None
    slow_s: float | None = None
    n: int = 0
    measured: str = ""


#: What became of a kind of cache. excluded: by the data, from a stated speed-up on; not looked for: nothing was sent
#: that could have shown it.
Seen = Literal["found", "excluded", "undecided", "not looked for"]


class KindState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one kind of cache, and why.

    Where it is excluded, it is so for hits that are `times` times as fast or more, and make up `share` (0 to 1) of the
    queries that could hit, or more. `forbidden`: by the configuration, or by the rules where it says nothing.
    """

    kind: str
    title: str
    state: Seen
    forbidden: bool
    why: str
    times: float | None = None
    share: float | None = None


class ArmSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The queries of one kind in a scripted phase: what they were, how many, and median seconds."""

    arm: str
    what: str
    of: str
    n: int
    median_s: float
    first_token_s: float | None = None


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """Where two outputs that should be equal begin to differ: `of` says whose, `text` is a short unified diff."""

    of: str
    text: str


class BlocksRatio(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio that pairs of blocks were sent for, since the first pair of phases did not settle it.

    `value` is the geometric mean over `n_pairs` pairs of blocks of `block_size` queries each, with its 95 % interval.
    `excluded` is the ratio that a PASS has excluded. `fresh` is the same ratio of fresh prompts that were repeated in
    the row's place, after `fresh_pairs` pairs, which tells a cache from a row on a faster server. `why` says what spoke
    against the first pair.
    """

    outcome: Literal["PASS", "FAIL", "UNDECIDED"]
    value: float
    low: float | None
    high: float | None
    n_pairs: int
    block_size: int
    why: tuple[str, ...]
    excluded: float | None = None
    fresh: float | None = None
    fresh_low: float | None = None
    fresh_high: float | None = None
    fresh_pairs: int = 0


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """Throughput of one row repeated over that of a reference, which must lie strictly below `limit`.

    The reference is `over` rows, as MLPerf has it, or fresh twins of the row; then `mlperf` says what MLPerf compares.

    `value` is MLPerf's, of the first pair of phases, and `pace` the same by their latencies; where `blocks` are there,
    their ratio is the one that decides.

    `check` is the check that asserts it, None for the ratio of all repeated rows pooled. `row` is the repeated row
    where several are repeated, one ratio each. `n_repeats` and `n_distinct` are queries that completed. `low` and
    `high` bound the long-run ratio (without the phases' ends) with 95 % confidence; they, `long_run` and `evidence` are
    None where the data allow no interval. `queries_to_decide` is for each phase of an inconclusive ratio, None where
    unknown.
    """

    value: float
    limit: float
    limit_of: LimitOf
    n_repeats: int
    n_distinct: int
    check: str | None = None
    row: int | None = None
    low: float | None = None
    high: float | None = None
    long_run: float | None = None
    evidence: Evidence | None = None
    queries_to_decide: int | None = None
    over: Literal["rows", "twins"] = "rows"
    mlperf: str = ""
    pace: float | None = None
    blocks: BlocksRatio | None = None

    @property
    def decisive(self) -> float:
        """The ratio that the verdict rests on: that of the blocks where there are any."""
        return self.blocks.value if self.blocks else self.value

    @property
    def passed(self) -> bool:
        """Whether it is strictly below its limit, which is MLPerf's rule."""
        return self.decisive < self.limit

    @property
    def pooled(self) -> bool:
        """Whether it is of all repeated rows taken together."""
        return self.check is None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit concludes from complete phases. `figures` is evidence beside the rule and decides nothing.

    The report makes sentences and charts of `ratios`, `findings`, `arms` and `kinds` (of cache); of figures it makes a
    table, whatever their names.
    """

    audit: str
    checks: tuple[Check, ...]
    figures: Mapping[str, Figure] = {}
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    arms: tuple[ArmSummary, ...] = ()
    diffs: tuple[Diff, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    kinds: tuple[KindState, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check that was tested passed; never true without one."""
        tested = [check for check in self.checks if check.tested]
        return bool(tested) and all(check.passed is True for check in tested)

    def check(self, name: str) -> Check:
        """Return the check of that name; KeyError when there is none."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)
