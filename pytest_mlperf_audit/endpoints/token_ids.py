"""Edits of a prompt that is given as token ids. Pure."""

from __future__ import annotations

import hashlib
import re

from ..runs.script import Edit, without_ends

#: Words become ids from FIRST_ID on, where no common vocabulary has its special tokens; a model with fewer than
#: FIRST_ID + N_IDS tokens refuses some of them.
FIRST_ID = 1000
N_IDS = 29_000

#: Ids of a 64-bit nonce: 5 x log2(29000) is 74 bits.
NONCE_IDS = 5

_NONCE = re.compile(r"[0-9A-Fa-f]{16}", re.ASCII)


def edited(ids: list[int], edit: Edit) -> list[int]:
    """Return the changed ids of a prompt, as Edit.apply does with words; the prompt's own ids stay what they are."""
    before, tail = ids_of(f"{edit.lead} {edit.head}"), ids_of(edit.tail)
    own = ids if edit.text is None else ids_of(edit.text)
    if edit.in_place:
        own = without_ends(own, len(before), len(tail))
    return [*before, *own, *tail]


def ids_of(text: str) -> list[int]:
    """Return one id for each word, the same for equal words, and five for a word that is a 64-bit nonce."""
    return [token for word in text.split() for token in _ids_of_word(word)]


def _ids_of_word(word: str) -> list[int]:
    hashed = hashlib.sha256(word.encode()).digest()
    n_ids = NONCE_IDS if _NONCE.fullmatch(word) else 1
    return [FIRST_ID + int.from_bytes(hashed[6 * at : 6 * at + 6], "big") % N_IDS for at in range(n_ids)]
