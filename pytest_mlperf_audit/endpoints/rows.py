"""What keeps a row from being sent: unknown columns, values of the wrong type, values that JSON cannot hold. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterable

import msgspec

_AT = re.compile(r" - at `\$\.?(?P<column>\w+)(?P<rest>[^`]*)`$")


def nearest(name: str, known: Collection[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that `name` was probably meant to be, or None."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=cutoff)), None)


def unknown_column(columns: Iterable[object], known: Collection[str]) -> str | None:
    """Return a sentence about the first column that is not known, or None."""
    for column in columns:
        if column not in known:
            guess = nearest(str(column), known)
            cure = f"did you mean {guess!r}?" if guess else f"the columns are {', '.join(sorted(known))}"
            return f"unknown column {str(column)!r}; {cure}"
    return None


def unsendable(build: Callable[[], msgspec.Struct]) -> str | None:
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
