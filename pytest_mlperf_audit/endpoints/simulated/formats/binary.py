"""A text for input that is none, so that the model and every cache can read it. Pure."""

from __future__ import annotations

import hashlib


def text_of(data: bytes | memoryview, n_words: int = 16) -> str:
    """Return so many words, each a digest of one stretch of the data; fewer where it has fewer bytes.

    Inputs that are alike in most stretches have most words in common, those that begin alike have the first ones: what
    a semantic, a near-duplicate or a prefix cache looks at.
    """
    view = memoryview(data).cast("B")
    stretch = max(1, -(-len(view) // n_words))
    starts = range(0, len(view), stretch)
    return " ".join(hashlib.blake2b(view[at : at + stretch], digest_size=8).hexdigest() for at in starts)
