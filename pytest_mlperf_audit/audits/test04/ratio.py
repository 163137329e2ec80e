"""The check of the ratio: what the first pair of phases settles, what blocks settle, and what stays undecided.

The first pair passes, or fails where the cache probe has proved a cache besides. Whatever it does not settle, blocks
decide (`confirm`); what they do not settle is undecided, with the cure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ...runs.phase import MeasuredPhase
from ...stats.blocks import Judged
from ...stats.ranks import Effect
from ..completion import completed_enough
from ..disturbed import without_power
from ..verdict import BlocksRatio, Check
from .confirm import Confirmed, confirmed
from .first_pair import FirstPair, first_pair
from .lengths import may_explain, may_hide
from .passes import sent_again
from .reference import of_row, unlike_cost, unlike_twins
from .rule import point_ratio

_CURE = (
    "run it again where the machine is quieter and the system has settled (settings.warmup), or raise `samples` or "
    "`confirmation_budget`"
)


class Probed(NamedTuple):
    """The kinds of cache that the probe proved: those that the rules forbid, and those that they allow.

    `near`: it looked for a cache that takes nearly equal requests for the same.
    """

    proved: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    near: bool = False


class Compared(NamedTuple):
    """Two phases to be compared, and what their check is called and asks for.

    `whole` is the reference phase; where it is of twins of several rows, those of `row` alone are compared.
    `threshold` is the tolerated speed-up, `min_completion` the share of queries that must complete, 0 to 1. `probed` is
    what the cache probe found, None where none was sent.
    """

    name: str
    whole: MeasuredPhase
    row: int
    run: MeasuredPhase
    threshold: float
    min_completion: float
    probed: Probed | None

    @property
    def limit(self) -> float:
        """The ratio must lie below it."""
        return 1 + self.threshold

    @property
    def reference(self) -> MeasuredPhase:
        """What the repeats are compared with."""
        return of_row(self.whole, self.row)

    @property
    def pair(self) -> FirstPair | None:
        """What the two phases say of the ratio; None where either completed no query.

        Without the cache probe they settle no pass where a cache may have served the reference, too, or been hidden.
        """
        pair = first_pair(self.reference, self.run, self.limit, self.whole)
        if pair is None or self.probed is not None:
            return pair
        hidden = may_hide(self.reference, self.run, pair.point, self.limit) if pair.settled else ""
        doubts = (sent_again(self.whole), unlike_cost(self.whole.spec), hidden)
        return pair._replace(doubts=(*pair.doubts, *filter(None, doubts)))

    @property
    def sound(self) -> bool:
        """Whether enough queries of both phases completed."""
        return all(completed_enough(run, self.min_completion) for run in (self.reference, self.run))

    def point(self) -> Check:
        """Return MLPerf's comparison."""
        return point_ratio(self.name, self.reference, self.run, self.threshold, self.min_completion)

    def settled(self, point: Check, pair: FirstPair) -> Check | None:
        """Return what the two phases settle of MLPerf's comparison `point`, None where they leave it to blocks."""
        if pair.settled:
            return point
        if self.probed is None or point.passed is not False:
            return None
        if not (why := may_explain(self.reference, self.run, pair.point, self.limit)):
            return None
        reason = f"{point.reason}; {why}: that alone may be the ratio, and the cache probe decides"
        return msgspec.structs.replace(point, passed=True, reason=reason)


def wants_blocks(compared: Compared) -> bool:
    """Whether blocks are to be sent: the two phases are sound, do not settle the ratio, and no cache is proved."""
    point, pair, probed = compared.point(), compared.pair, compared.probed
    if pair is None or point.passed is None or not compared.sound or (probed and probed.proved):
        return False
    return compared.settled(point, pair) is None


def throughput_ratio(compared: Compared, confirmation: MeasuredPhase | None) -> tuple[Check, BlocksRatio | None]:
    """Return the check of the ratio, and what the blocks of `confirmation` came to, None without any."""
    check, pair = compared.point(), compared.pair
    if pair is None or check.passed is None:
        return check, None
    if settled := compared.settled(check, pair):
        return settled, None
    if confirmation is None:
        return _unconfirmed(check, pair, compared), None
    found = confirmed(confirmation.spec, confirmation.read())
    if found is None:
        return _undecided(check, pair, "the endpoint refused its first query"), None
    if found.too_many_failed:
        failed = f"{found.n_failed} of {found.n_queries} queries of the blocks that were to confirm it failed"
        return _undecided(check, pair, failed, "mend that, and run it again"), None
    blocks = _blocks(pair, found)
    check = _by_blocks(check, pair, found, blocks, compared)
    return (check if compared.probed else without_power(check, confirmation)), blocks


def _unconfirmed(check: Check, pair: FirstPair, compared: Compared) -> Check:
    probed = compared.probed
    if not (probed and probed.proved):
        why = "" if compared.sound else ", since too few queries of the phases completed"
        return _undecided(check, pair, f"no blocks were sent to confirm it{why}")
    kinds = ", ".join(probed.proved)
    if check.passed is False:
        reason = f"{check.reason}; the cache probe has proved a cache ({kinds}), so that it needs no confirmation"
        return msgspec.structs.replace(check, reason=reason)
    return _undecided(check, pair, f"it was not confirmed, since the cache probe has proved a cache ({kinds})")


def _undecided(check: Check, pair: FirstPair, why: str, cure: str = _CURE) -> Check:
    reason = f"{check.reason}; undecided, for {_and(pair.doubts)}, and {why}: {cure}"
    return msgspec.structs.replace(check, passed=None, reason=reason)


def _by_blocks(check: Check, pair: FirstPair, found: Confirmed, blocks: BlocksRatio, compared: Compared) -> Check:
    over = f"over {blocks.n_pairs} pairs of blocks of {blocks.block_size} queries"
    seen = f"ratio {blocks.value:.4g} {over}{_interval(blocks.low, blocks.high)}"
    seen += f" ({found.n_lost} more left out, in which a query failed)" if found.n_lost else ""
    first = f"the first pair of phases did not settle it, for {_and(pair.doubts)} (ratio {pair.point:.4g})"
    allowed = compared.probed.allowed if compared.probed else ()
    passed: bool | None = {"PASS": True, "FAIL": False, "UNDECIDED": None}[found.outcome]
    if passed and (twins := _taken_for_the_row(pair, compared)):
        passed = None
        says = (
            f"{seen}, so the row is no faster than twins with {twins}, but far faster than other rows; undecided, for "
            "rows may differ in cost, or a cache may take what is nearly alike for the same: set probe: {design: "
            f"groups}}, which tells, or reference: twins if rows differ in cost; {first}"
        )
    elif passed:
        loaded = f", with {found.load} in flight, too" if found.load else ""
        says = f"{seen}, below the limit {compared.limit:.4g}{loaded}, and {blocks.excluded:.3g} is excluded; {first}"
    elif passed is False and allowed:
        passed = None
        says = f"{seen}; undecided, for the cache probe found what the rules allow ({', '.join(allowed)}); {first}"
    elif passed is False:
        says = (
            f"{seen}, not below the limit {compared.limit:.4g}, and a ratio of 1 is excluded; fresh inputs that are "
            f"repeated are faster, too: {blocks.fresh:.4g}{_interval(blocks.fresh_low, blocks.fresh_high)}; {first}"
        )
    else:
        says = f"{seen}; undecided, for {_open(found, blocks)}; {first}"
    return msgspec.structs.replace(check, passed=passed, observed=blocks.value, reason=says)


def _taken_for_the_row(pair: FirstPair, compared: Compared) -> str:
    """Return what twins of a row have that a cache may take for it, "" where the probe tells, or rows are as fast."""
    is_told = compared.probed is not None and compared.probed.near
    return "" if is_told or pair.point < compared.limit else unlike_twins(compared.whole.spec)


def _open(found: Confirmed, blocks: BlocksRatio) -> str:
    """Return why blocks leave a ratio undecided, and the cure."""
    if found.rows.outcome == "PASS":
        seen = ", ".join(f"{ratio:.3g}" for ratio in found.loaded) or "none, since queries failed"
        return (
            f"with {found.load} queries in flight, as in the phases, repeats are faster (ratios {seen}): a cache that "
            "serves under load, or requests that are computed together; set the probe's design: groups and bursts: "
            "true, which tells, or run it again on a quieter system"
        )
    if found.rows.outcome == "FAIL":
        return (
            f"fresh inputs that are repeated in the row's place are not surely faster (ratio {blocks.fresh:.4g}"
            f"{_interval(blocks.fresh_low, blocks.fresh_high)}): the row may be one that a balancer sends to a faster "
            "server, or one that a cache knows by its text; repeat another row (sample_index), or look at the balancer"
        )
    return f"they neither exclude a ratio of 1 nor one well above the limit within their budget: {_CURE}"


def _blocks(pair: FirstPair, found: Confirmed) -> BlocksRatio:
    fresh = found.fresh
    low, high = _ends(found.rows)
    fresh_low, fresh_high = _ends(fresh) if fresh else (None, None)
    return BlocksRatio(
        outcome=found.outcome,
        value=found.rows.ratio.factor,
        low=low,
        high=high,
        n_pairs=found.rows.n_pairs,
        block_size=found.size,
        why=pair.doubts,
        excluded=found.rows.excluded,
        fresh=fresh.ratio.factor if fresh else None,
        fresh_low=fresh_low,
        fresh_high=fresh_high,
        fresh_pairs=fresh.n_pairs if fresh else 0,
    )


def _ends(judged: Judged) -> tuple[float | None, float | None]:
    """Return the ends of a ratio's interval, None where pairs are too few for one."""
    effect: Effect = judged.ratio
    return (effect.low, effect.high) if effect.low > 0 else (None, None)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" (95 % {low:.4g} to {high:.4g})"


def _and(words: Sequence[str]) -> str:
    return " and ".join(words)
