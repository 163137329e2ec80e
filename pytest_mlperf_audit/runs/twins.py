"""Twins of a row: its prompt with fresh words in place of its first, so that no cache knows it and it costs as much."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from .script import Edit

# Plain words, each one token behind a space in the vocabularies of GPT-2, GPT-NeoX, Llama 2 and 3, Qwen 2, Gemma,
# Falcon, DeepSeek, Command R and in OpenAI's cl100k; 256, so that a word is eight bits.
WORDS = (  # noqa: SIM905 - a list of 256 lines says no more
    "album animal apple artist atom ball bank baseball basket bath battery beach bell boat book boot border brain "
    "bread building button cabinet cable camera camp campus canal carbon card cargo cart cave cell chain chair "
    "chant chapter charm chart church cinema circuit city climate cloud club cluster coach coast coffee coin "
    "college color cook corn cousin cycle dance desert distance doctor door double drawing dream dress drink "
    "driver drum earth engine evening family farm father feature film finger fish flag flash flight floor fluid "
    "food foot football form fort forum friend fruit game garden gate gift glass gold golf gram ground guest "
    "guitar hair hand handle heart heaven hole home hook horse hospital host hotel hour house husband icon insect "
    "island jack jazz journey king kitchen lady lake lamp land layer league letter light line liquid machine "
    "magazine magnet mail medal memory metal meteor meter mile milk mill mirror money monitor monument mother "
    "motion mountain mouse mouth movie museum music nation neighbor nest night novel ocean office opera orbit "
    "organ owner painting pair panel paper park phone piano picture pier pilot pipe plane planet plant plate "
    "pocket poem poet port prince radio rain range reward rice ring river road robot rock roof room root rose "
    "round salt sand school sheet ship shop silver sister slide smile snow song soup spark speaker spring star "
    "station steel stem step store storm street student sugar summer table talk tank target teacher temple thread "
    "ticket tool tour trade train tree tunnel vehicle watch water wheel wind window wine winter wood"
).split()

#: Words of a twin: 64 bits.
N_WORDS: Final = 8
_BITS: Final = 64


def twins(seed: int | None) -> Iterator[Edit]:
    """Yield edits that make twins of whatever row they are applied to, without end.

    All differ, and in their first three words already among the first 2^24: a short prompt takes no more. The numbers
    that the words spell are a x n + b modulo 2^64 with an odd a, which takes every value once.
    """
    rng = random.Random(seed)  # noqa: S311 - recorded, so that a run can be reproduced
    step, number = rng.getrandbits(_BITS) | 1, rng.getrandbits(_BITS)
    while True:
        yield Edit(lead=" ".join(WORDS[number >> 8 * at & 255] for at in range(N_WORDS)), in_place=True)
        number = (number + step) % 2**_BITS
