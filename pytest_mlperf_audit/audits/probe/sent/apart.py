"""The order of queries: repeats stand apart from what they repeat, changed URLs come last; none says "audit".

A group begins with the primes of all its prompts, so that no request comes twice in a row. When the groups have given
their answer, their first prompts come again, long after they were first sent, and so many at once as the benchmark has
in flight: a cache that does not serve what is recent, or serves only under load, or from the second repeat on, shows
here. At last, some fresh queries go to the URL as it is, and as many to a changed one. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from ....runs.script import Step
from ....runs.twins import WORDS
from .design import MADE_UP, Designer, Parts
from .prompts import nonce

#: Groups whose made-up prompts come again, each time beside a twin.
N_LATE_GROUPS: Final = 6
#: The number of the pass that is sent where the two before it give no clear answer.
LATE_AGAIN: Final = 2
#: Queries of these two, and of that one.
N_LATE: Final = 2 * 2 * 2 * N_LATE_GROUPS
N_LATE_AGAIN: Final = 2 * 3 * N_LATE_GROUPS
#: Most queries that late repeats and their twins are sent at once.
MOST_AT_ONCE: Final = 8
#: Fresh queries to the URL as it is, and as many to a changed one.
N_URLS: Final = 8
#: Fresh prompts with a known image, and as many with a new one.
N_IMAGES: Final = 12
#: Numbers of fresh prompts from here on are those of the changed URLs, and of the images.
_FIRST_URL: Final = 100
_FIRST_IMAGE: Final = 200


def mixed(designer: Designer, group: int, sources: Sequence[str]) -> tuple[Step, ...]:
    """Return the blocks of one group: primes of every kind first, then their kin, kind by kind.

    Those that share no beginning stand before all these or after them, by a fair coin.
    """
    rng = designer.rng(f"g{group}")
    parts = [designer.parts(source, group) for source in sources]
    rng.shuffle(parts)
    first = [step for number in range(designer.n_primes) for part in parts for step in _begun(part, number, parts)]
    kin = [step for part in parts for step in rng.sample(part.kin, len(part.kin))]
    others = [step for part in parts for step in part.others]
    apart = rng.sample(others, len(others))
    return tuple([*apart, *first, *kin] if rng.random() < 0.5 else [*first, *kin, *apart])


def _begun(part: Parts, number: int, parts: Sequence[Parts]) -> list[Step]:
    """Return primes, and where they are of one kind a query that parts them from their repeats."""
    return part.first if len(parts) > 1 else [*part.first, part.fillers[number]]


def late(designer: Designer, number: int, at_once: int) -> list[tuple[Step, ...]]:
    """Return the late repeats of a pass in rounds of so many at once, as many pairs of a repeat and a twin as fit.

    LATE_AGAIN repeats what the groups sent but once, the passes before it and behind it the primes, each time beside
    fresh twins. A twin shares all but its last word with what is repeated. Each half of a round has pairs of its own,
    so that those of the second half are sent while the first is in flight.
    """
    rng = designer.rng(f"late{number}")
    pairs_of_round = max(1, min(at_once, MOST_AT_ONCE) // 2)
    pairs = [pair for group in range(N_LATE_GROUPS) for pair in _late_pairs(designer, group, number)]
    rounds: list[tuple[Step, ...]] = []
    for at in range(0, len(pairs), pairs_of_round):
        chosen = rng.sample(some := pairs[at : at + pairs_of_round], len(some))
        half = (len(chosen) + 1) // 2
        halves = ([step for pair in part for step in pair] for part in (chosen[:half], chosen[half:]))
        steps = [step for part in halves for step in rng.sample(part, len(part))]
        rounds.append(tuple(replace(step, tag=f"l{number}.{at}/{step.tag}", route=0) for step in steps))
    return rounds


def _late_pairs(designer: Designer, group: int, number: int) -> list[tuple[Step, Step]]:
    parts = designer.parts(MADE_UP, group)
    sent_once = [step for step in parts.kin if step.tag.endswith("/Y")]
    again = sent_once if number == LATE_AGAIN else parts.first
    used = {step.edit.tail.split()[-1] for step in (*parts.first, *parts.kin)}
    unused = [word for word in WORDS if word not in used]
    fresh = designer.rng(f"late.{group}").sample(unused, LATE_AGAIN * len(parts.first) + len(sent_once))
    rng, pairs = designer.rng(f"late{number}.{group}"), []
    words = fresh[number * len(parts.first) :]
    if number > LATE_AGAIN:  # of a second series
        words = rng.sample([word for word in unused if word not in fresh], len(again))
    for at, (step, word) in enumerate(zip(again, words, strict=False)):
        twin = replace(step.edit, tail=f"{step.edit.tail.rpartition(' ')[0]} {word}")
        pairs.append((replace(step, tag=f"R.{group}{at}"), replace(step, tag=f"Y.{group}{at}", edit=twin)))
    return rng.sample(pairs, len(pairs))


def urls(designer: Designer, number: int) -> tuple[Step, ...]:
    """Return fresh queries to the URL (V) and to changed ones (U), in random order: block `number`, 0 or 1."""
    first = _FIRST_URL + 2 * N_URLS * number
    steps = [designer.warm_up(first + at, url=at % 2 == 1) for at in range(2 * N_URLS)]
    named = [replace(step, tag=f"u{number}/{'U' if step.query else 'V'}", route=0) for step in steps]
    return tuple(designer.rng(f"urls{number}").sample(named, len(named)))


def images(designer: Designer, number: int, row: int) -> tuple[Step, ...]:
    """Return fresh prompts with a row's image that is known by then (K), and with new ones (I): block `number`, 0 or 1.

    Both kinds of image are the row's but for one pixel, so that they cost the same. The known one is sent twice first.
    """
    rng = designer.rng(f"images{number}")
    first = _FIRST_IMAGE + 2 * N_IMAGES * number + 2
    known = nonce(designer.rng("image"))
    made = [designer.warm_up(first + at) for at in range(2 * N_IMAGES)]
    steps = [
        Step(f"i{number}/{arm}", row, replace(step.edit, image=known if arm == "K" else nonce(rng)), "", 0)
        for step, arm in zip(made, "KI" * N_IMAGES, strict=True)
    ]
    primes = [designer.warm_up(_FIRST_IMAGE + at) for at in range(2)] if number == 0 else []
    sent = [Step("i0/prime", row, replace(step.edit, image=known), "", 0) for step in primes]
    return (*sent, *rng.sample(steps, len(steps)))
