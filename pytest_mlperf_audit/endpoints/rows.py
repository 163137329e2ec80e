"""What wire formats share of a request: fields from model_params, prompts of token ids, what cannot be sent. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

import msgspec

from ..config.model_params import ModelParams
from ..runs.script import Edit, in_place_of
from ..text import nearest
from .base import Row

_AT = re.compile(r" - at `\$\.?(?P<column>\w+)(?P<rest>[^`]*)`$")

#: A token id is below it.
_ID_LIMIT = 2**31

#: Words become ids from _FIRST_ID on, where no common vocabulary has its special tokens; a model with fewer than
#: _FIRST_ID + _N_IDS tokens refuses some of them.
_FIRST_ID = 1000
_N_IDS = 29_000

#: Ids of a 64-bit nonce: 5 x log2(29000) is 74 bits.
_NONCE_IDS = 5

_NONCE = re.compile(r"[0-9A-Fa-f]{16}", re.ASCII)


def unknown_column(columns: Iterable[object], known: Collection[str]) -> str | None:
    """Return a sentence about the first column that is not known, or None."""
    for column in columns:
        if column not in known:
            guess = nearest(str(column), known)
            cure = f"did you mean {guess!r}?" if guess else f"the columns are {', '.join(sorted(known))}"
            return f"unknown column {str(column)!r}; {cure}"
    return None


def misspelt_column(columns: Iterable[object], known: Collection[str]) -> str | None:
    """Return a sentence about the first column that looks like a misspelt one of `known`, or None."""
    for column in columns:
        if column not in known and (guess := nearest(str(column), known, cutoff=0.85)):
            return f"unknown column {column!r}; did you mean {guess!r}? Rename it, or drop it if it is not to be sent"
    return None


def unsendable(build: Callable[[], msgspec.Struct | dict[str, Any]]) -> str | None:
    """Return what keeps the request that `build` makes from being sent as JSON, or None."""
    try:
        request = build()
        msgspec.json.encode(request)
        json.dumps(msgspec.to_builtins(request), allow_nan=False)  # msgspec would send NaN as null
    except UnicodeEncodeError:
        return "a text has half of a surrogate pair, which UTF-8 cannot hold; remove that character"
    except RecursionError:
        return "a value is nested too deeply to be sent as JSON"
    except msgspec.ValidationError as error:
        return _wrong_type(str(error))
    except (TypeError, ValueError, OverflowError) as error:
        return f"a value cannot be sent as JSON: {error}"
    return None


def _wrong_type(message: str) -> str:
    """Turn msgspec's "Expected `int`, got `str` - at `$.seed`" into a sentence about a column."""
    if (at := _AT.search(message)) is None:
        return message
    expected = message[: at.start()].replace("`", "")
    where = f"{at['column']}{at['rest']}"
    return f"column {where!r}: {expected[0].lower()}{expected[1:]}"


def sampling(params: ModelParams) -> dict[str, Any]:
    """Return the request fields that are named alike in every API of language models."""
    names = ("temperature", "top_p", "top_k", "repetition_penalty", "presence_penalty", "frequency_penalty")
    return {name: getattr(params, name) for name in names}


def prompt_column(row: Row, token_columns: Iterable[str]) -> str:
    """Return where a row has its prompt: the first column of token ids that it has, or else `prompt`."""
    return next((column for column in token_columns if row.get(column) is not None), "prompt")


def ids_problem(column: str, ids: Any, what: str = "not a list of token ids") -> str | None:
    """Return what keeps a column from being a prompt of token ids, or None; `what` describes one that is not a list."""
    if not isinstance(ids, list) or not all(type(token) is int and 0 <= token < _ID_LIMIT for token in ids):
        return f"column {column!r} is {what}; a token id is a whole number from 0"
    return None if ids else f"no token ids in column {column!r}"


def unsaltable(row: Row) -> str | None:
    """Return why no salt can stand between a row's system prompt and its user text, or None.

    As in the endpoints tool (`Dataset.validate_saltable`), a prompt of token ids has no such place that is known; of
    several turns of the user, the first would go unsalted.
    """
    if column := next((column for column in ("input_tokens", "token_ids") if row.get(column) is not None), None):
        return f"its prompt is the token ids of {column!r}, in which the user's part cannot be told"
    turns = row.get("messages")
    users = [turn for turn in turns if isinstance(turn, dict) and turn.get("role") == "user"] if turns else []
    return f"it has {len(users)} messages of the user" if len(users) > 1 else None


def edited(ids: list[int], edit: Edit) -> list[int]:
    """Return the changed token ids of a prompt, as Edit.apply does with words; its own ids stay as they are."""
    if edit.moved and (rearranged := edit.rearrange(ids)) is not None:
        return rearranged
    before, tail = _ids_of(f"{edit.lead} {edit.head}"), _ids_of(edit.tail)
    own = ids if edit.text is None else _ids_of(edit.text)
    return in_place_of(own, before, tail) if edit.in_place else [*before, *own, *tail]


def _ids_of(text: str) -> list[int]:
    """Return one id for each word, the same for equal words, and five for a word that is a 64-bit nonce."""
    return [token for word in text.split() for token in _ids_of_word(word)]


def _ids_of_word(word: str) -> list[int]:
    hashed = hashlib.sha256(word.encode()).digest()
    n_ids = _NONCE_IDS if _NONCE.fullmatch(word) else 1
    return [_FIRST_ID + int.from_bytes(hashed[6 * at : 6 * at + 6], "big") % _N_IDS for at in range(n_ids)]
