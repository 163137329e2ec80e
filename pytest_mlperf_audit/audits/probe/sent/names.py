"""What the queries of each arm are, in words, by the arm's letter in their tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ARMS: Final[Mapping[str, str]] = {
    "prime": "first sent in the probe",
    "R": "exact repeat",
    "Y": "other last word",
    "X": "new ending",
    "P": "new beginning",
    "N": "new beginning",
    "S": "all new",
    "T": "all new, null control",
    "V": "all new, the URL as it is",
    "U": "changed URL",
    "K": "all new, an image sent before",
    "I": "all new, a new image",
}


#: The arms that are twins where inputs are no texts.
TWINS: Final = ("Y", "P")


def arm_of(tag: str | None, twins: str = "") -> str:
    """Return what a query is by its tag: "g3/R.1" is an exact repeat; the tag's own word where no arm has it.

    `twins` is what twins of inputs that are no text have, "" for texts.
    """
    word = (tag or "?").partition("/")[2].partition(".")[0]
    return twins if twins and word in TWINS else ARMS.get(word, word or "probe")
