"""What replies of numbers share: vectors and scores as bytes that do not depend on how they were written. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from ...runs.body import Body
from ..base import Reply
from ..failures import failure, may_fail
from ..replies import as_count, as_mapping, as_word, bad, parse, parse_leniently, short_id
from ..stream import DocumentDecoder, Endings

Numbers = npt.NDArray[np.float32]


def numbers(value: Sequence[float] | str, what: str) -> Numbers:
    """Return numbers as float32, from a list or from base64 of little-endian float32.

    Raises BadReplyError: not base64, none at all, or one that is no number.
    """
    if isinstance(value, str):
        try:
            raw = base64.b64decode(value, validate=True)
        except ValueError:
            raise bad("malformed", f"{what} is not base64") from None
        if len(raw) % 4:
            raise bad("malformed", f"{what} has {len(raw)} bytes, which are no float32 numbers")
        found: Numbers = np.frombuffer(raw, "<f4")
    else:
        with np.errstate(over="ignore"):  # what no float32 holds is infinite, and refused as such
            found = np.asarray(value, "<f4")
    if not len(found):
        raise bad("empty", f"{what} has no numbers")
    if not np.isfinite(found).all():
        raise bad("malformed", f"{what} has a value that is no number (NaN or infinite)")
    return found


def in_order(indices: Sequence[int | None], n_expected: int | None, what: str) -> list[int]:
    """Return the positions of items by their index, which few servers leave out.

    Raises BadReplyError: one twice, one missing, or another count than was asked for.
    """
    wrong = n_expected is not None and len(indices) != n_expected
    if wrong or not indices:
        due = "" if n_expected is None else f", {n_expected} due"
        raise bad("malformed" if indices else "empty", f"{len(indices)} {what} in the reply{due}")
    if all(index is None for index in indices):
        return list(range(len(indices)))
    places = {index: at for at, index in enumerate(indices)}
    if places.keys() != set(range(len(indices))):
        raise bad("malformed", f"the {what} of the reply are not numbered from 0 to {len(indices) - 1}, each once")
    return [places[index] for index in range(len(indices))]


def document(decoder: msgspec.json.Decoder[Any], body: bytes, answer: str) -> Any:
    """Return a reply as `decoder` reads it; `answer` is the member that has what was asked for.

    Raises BadReplyError: `server_error` where it says that the server failed.
    """
    if may_fail(body) or b'"%b"' % answer.encode() not in body:
        members = parse_leniently(body, "the reply")
        if wrong := failure(members, answers=bool(members.get(answer))):
            raise bad("server_error", wrong)
        if answer not in members:
            raise bad("malformed", f"the reply has no `{answer}`")
    return parse(decoder, body, "the reply")


def prompt_tokens(usage: Any) -> int | None:
    """Return how many tokens were read, by a usage: all are the prompt's."""
    counted: Mapping[str, Any] = as_mapping(usage)
    counts = (as_count(counted.get(name)) for name in ("prompt_tokens", "total_tokens"))
    return next((count for count in counts if count is not None), None)


class AskedDecoder(DocumentDecoder):
    """Reads a document of numbers, and knows what its request asked for; `asked_for` has the members that count."""

    asked_for: ClassVar[msgspec.json.Decoder[Any]]

    def __init__(self, endings: Endings, *, keep_output: bool = False) -> None:
        super().__init__(endings, keep_output=keep_output)
        self._request: Body | None = None

    def on_request(self, body: Body) -> None:
        """Note what is asked for."""
        self._request = body

    def _asked(self) -> Any:
        """Return the request's members; None where no request was noted."""
        return None if self._request is None else self.asked_for.decode(bytes(self._request))


def reply_of(digest: str, answer: Any) -> Reply:
    """Return a reply with an output of this digest; `answer` has `id`, `model` and `usage`."""
    return Reply(
        digest=digest,
        id=short_id(as_word(answer.id)),
        model=short_id(as_word(answer.model)),
        prompt_tokens=prompt_tokens(answer.usage),
    )
