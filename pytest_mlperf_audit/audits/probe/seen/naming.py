"""Which cache explains what was found: one may move several contrasts, and the arms' pattern says which it is.

No test is done here, so that nothing is found that was not found before; what was found gets another name, or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from ..sent.design import DATASET, MADE_UP
from ..settings import FLOOR, FLOOR_S, Kind
from . import contrasts
from .beginning import Nature, nature, reported
from .contrast import EVERYWHERE, Contrast
from .contrasts import STARTS
from .evidence import DECODE_SHARE, Block, decode_share, first_s, has_decode

_NEAR, _PREFIX = f"near_duplicate[{MADE_UP}]", f"prefix[{MADE_UP}]"
_RESPONSE, _SPORADIC = f"response[{MADE_UP}]", f"response[{EVERYWHERE}]"
_FIRST = f"reuse[{STARTS}]"

#: What a speed-up has to reach beside the floors of `settings`, as a share of the slower.
_FLOOR_SHARE = 0.02
#: The least difference between identical and different queries at once. A burst is so large that its last query has
#: to wait for another, so coalescing makes a difference of 1.7 or more. A smaller one may come from prompts that differ
#: in cost: one prompt sent many times shows that more than many prompts do.
_BURST_FLOOR = 1.5

#: Where little time is left after the first token, a prefix cache looks like a response cache: repeats share more with
#: their primes than twins do. Up to this speed-up, or the one that a shared beginning brings, if that is more.
_BEYOND_PREFIX = 2.0
#: A shared beginning is taken for an explanation, never for a finding, from this p on.
_SUSPECT_P = 0.005
#: Where it is all that tells a prefix cache from paced replies, from this p on: three looks then err in 0.3 % at most.
_EXPLAINS_P = 0.001
#: Those with another last word are replays, not prefixes, if they surely take so many times less after the first token.
_REPLAY_P, _REPLAY_TIMES = 0.003, 1.25
_NAMELESS = (
    "exact repeats start {times} times as fast as twins with another last word, though twins with another ending start "
    "no faster than others: a cache of replies that sends them at a model's pace, or a prefix cache of large blocks"
)


_NAMELESS_INPUTS = (
    "exact repeats start {times} times as fast as twins with {twins}: a cache of replies that sends them at a model's "
    "pace, or one of what the server makes of an input before it answers"
)


def reaches_floors(contrast: Contrast) -> bool:
    """Whether a difference is large enough to count: relative, in seconds, and as a share of the slower."""
    factor = contrast.effect.factor
    slower_s = max(contrast.fast_s, contrast.slow_s)
    large = max(factor, 1 / factor) >= _BURST_FLOOR if contrast.kind == "coalescing" else factor >= FLOOR
    return large and contrast.gain_s >= max(FLOOR_S, _FLOOR_SHARE * slower_s)


def named(
    found: Mapping[str, Contrast], blocks: Mapping[str, Sequence[Block]]
) -> tuple[dict[str, Kind | None], Nature]:
    """Return the kind of cache for each found contrast, None where another one explains it.

    And, where prefixes seem to be reused, whether that can be: if not, what is found has another name; if it is open,
    it keeps this one.
    """
    names: dict[str, Kind | None] = {name: contrast.kind for name, contrast in found.items() if name != _FIRST}
    if _NEAR in found:
        names[_NEAR] = "prefix" if reported(blocks) else _kind_of_near(blocks[MADE_UP])
    names |= {name: "prefix" for name in names if _is_of_prefix(found[name], blocks, found)}
    names |= dict.fromkeys(_explained(names), None)
    if _FIRST in found:
        is_explained = any(kind not in (None, "coalescing") for kind in names.values())
        names[_FIRST] = None if is_explained else _kind_of_first(blocks)
    if names.get(_FIRST) == "reuse":
        times = found[_FIRST].effect.factor
        return names, Nature(None, _NAMELESS.format(times=f"{times:.3g}"), ("response", "prefix"))
    if "prefix" not in names.values():
        return names, Nature("prefix")
    is_what = nature(blocks)
    return {name: (is_what.kind or kind) if kind == "prefix" else kind for name, kind in names.items()}, is_what


def named_of_inputs(
    found: Mapping[str, Contrast], blocks: Mapping[str, Sequence[Block]], twins: str
) -> tuple[dict[str, Kind | None], Nature]:
    """Return what `named` does for inputs of no text, which share no beginning, and have twins with `twins`."""
    names: dict[str, Kind | None] = {name: contrast.kind for name, contrast in found.items() if name != _FIRST}
    if _NEAR in found and reported(blocks):
        names[_NEAR] = "prefix"
    names |= dict.fromkeys(_explained(names), None)
    if _FIRST not in found:
        return names, Nature("prefix")
    is_explained = any(kind not in (None, "coalescing") for kind in names.values())
    names[_FIRST] = None if is_explained else "reuse"
    if is_explained:
        return names, Nature("prefix")
    times = found[_FIRST].effect.factor
    return names, Nature(None, _NAMELESS_INPUTS.format(times=f"{times:.3g}", twins=twins), ("response", "prefix"))


def _kind_of_first(blocks: Mapping[str, Sequence[Block]]) -> Kind:
    """Name what makes exact repeats start early and spares no time after that: a prefix cache if beginnings gain too.

    If they do not, blocks of tokens that end within a prompt's last words, or a GPU to which one token to read is less
    than ten, make an honest prefix cache look like one of replies that are sent at a model's pace.
    """
    shared = contrasts.beginning(blocks)
    return "prefix" if shared.p <= _EXPLAINS_P and reaches_floors(shared) else "reuse"


def _explained(names: Mapping[str, Kind | None]) -> Iterator[str]:
    """Yield what was found but needs no name of its own, since another finding explains it."""
    if names.get(_NEAR) == "near_duplicate":
        yield _PREFIX
        if _RESPONSE not in names:  # it answers repeats of the data set, too
            yield from (name for name, kind in names.items() if kind == "response")
    if any(kind == "response" for name, kind in names.items() if name != _SPORADIC):
        yield _SPORADIC
    if "prefix" in (names.get(_NEAR), names.get(_PREFIX)):
        yield from (name for name, kind in names.items() if kind == "prefix" and name not in (_NEAR, _PREFIX))
    reuse = [name for name in names if name.startswith("reuse")]
    if len(reuse) < len(names):
        yield from reuse


def _kind_of_near(blocks: Sequence[Block]) -> Kind:
    """Name what answers twins with another last word faster than those with a fresh tail, by who else gains.

    Twins with another lead as well: a cache that looks at meaning. Those with a fresh tail more than is lost by it: one
    that reuses prefixes, of which the last words are a part. Nor is it another one where only the first token is early.
    """
    if has_decode(blocks) and not _are_replays(contrasts.near_after_first(blocks)):
        return "prefix"
    near, tail, apart = (
        median(first_s(record) for block in blocks for record in contrasts.with_later(block)[arm])
        for arm in ("Y", "X", "later")
    )
    # In seconds, not as a ratio: a hit of 1 ms that noise makes 5 ms is still a hit where a miss takes 25.
    if apart - near < tail - apart:
        return "semantic"
    return "prefix" if apart - tail > tail - near else "near_duplicate"


def _are_replays(near: Contrast) -> bool:
    """Whether the time after the first token is shorter as well."""
    return near.p <= _REPLAY_P and near.effect.factor >= _REPLAY_TIMES


def _is_of_prefix(contrast: Contrast, blocks: Mapping[str, Sequence[Block]], found: Mapping[str, Contrast]) -> bool:
    """Whether a prefix cache explains that repeats are faster: those that share only their beginning gain as well.

    Made-up repeats and their twins share all but a word, so a suspicion does not explain their difference.
    """
    if contrast.kind not in ("response", "reuse"):
        return False
    shared = contrasts.beginning(blocks)
    if contrast.kind == "reuse":
        return reaches_floors(shared) and _saved(shared) >= _saved(contrast) / 2
    seen = shared.p <= _SUSPECT_P and reaches_floors(shared)
    if _NEAR not in found and _PREFIX not in found and (not seen or _RESPONSE in found):
        return False
    little_decode = all(decode_share(some) < DECODE_SHARE for some in blocks.values())
    if contrast.of == DATASET and _RESPONSE not in found and _is_prefix(blocks, found):
        return little_decode  # a row shares more with its prime than with its twins, by eight words and not by one
    return little_decode and contrast.effect.factor < max(_BEYOND_PREFIX, shared.effect.factor if seen else 1.0)


def _is_prefix(blocks: Mapping[str, Sequence[Block]], found: Mapping[str, Contrast]) -> bool:
    """Whether made-up prompts show a prefix cache."""
    return _kind_of_near(blocks[MADE_UP]) == "prefix" if _NEAR in found else _PREFIX in found


def _saved(contrast: Contrast) -> float:
    """Return the share of the time that the faster ones save."""
    return 1 - 1 / contrast.effect.factor
