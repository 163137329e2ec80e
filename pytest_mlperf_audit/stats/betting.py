"""An anytime-valid test: wealth of a gambler who bets against chance, for queries that take minutes each.

By Ville's inequality the wealth of a fair game exceeds 1/alpha at any time at all with a chance of at most alpha, so
that one may look after every bet and stop when one likes. Source: Shafer and Vovk 2019; Ramdas et al. 2023.
"""

from __future__ import annotations

from collections.abc import Iterable

#: What is left of the stake after a lost bet. A quarter finds a full cache in four bets out of four.
_KEPT = 0.25


def wealth(won: Iterable[bool], arms: int) -> float:
    """Return the wealth after bets that one of `arms` exchangeable queries is the fastest, starting from 1."""
    gain = arms - _KEPT * (arms - 1)
    money = 1.0
    for win in won:
        money *= gain if win else _KEPT
    return money
