"""What a kind of fuzz is: an input from a seed, and an oracle that says what is wrong with what came of it."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol


class WrongError(Exception):
    """What the oracle of a kind has to say of an input."""


class Kind(Protocol):
    """One kind of input. An instance lives in one process, and no input of it may leave a trace in the next."""

    name: str

    def try_one(self, drawn: random.Random) -> None:
        """Make an input from `drawn` alone, and try it. Raises WrongError; any other exception is a finding, too."""

    def close(self) -> None:
        """Give back what the kind holds."""


def drawn_for(kind: str, seed: int) -> random.Random:
    """Return what an input is made from: the same for a kind and a seed on every machine."""
    return random.Random(f"{kind}:{seed}")


def scratch() -> TemporaryDirectory[str]:
    """Return a directory in memory where there is one: most of the time goes into opening files."""
    memory = Path("/dev/shm")
    return TemporaryDirectory(dir=memory if memory.is_dir() else None)


def require(condition: object, said: str) -> None:
    """Raise WrongError unless a condition holds."""
    if not condition:
        raise WrongError(said)
