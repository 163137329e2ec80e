"""How `eval_method:` names a score; the endpoints tool's names are known as well."""

from __future__ import annotations

from typing import Final, Literal

BuiltIn = Literal["exact_match", "rouge"]

_METHODS: Final[dict[str, BuiltIn]] = {
    "exact_match": "exact_match",
    "pass_at_1": "exact_match",
    "string_match": "exact_match",
    "rouge": "rouge",
}
METHOD_NAMES: Final = tuple(_METHODS)


def method_of(eval_method: str) -> BuiltIn | None:
    """Return the built-in method of that name, None where only an external command can score."""
    return _METHODS.get(eval_method)
