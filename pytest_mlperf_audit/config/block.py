"""What every block of the YAML shares: frozen, unknown keys refused, and no input in pydantic's own messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, Final, NoReturn, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

_MAX_DIGITS = 20
_TOO_LARGE = re.compile(rf"\s*[+-]?[0-9_]{{{_MAX_DIGITS + 1},}}(?:\.0*)?\s*", re.ASCII)


class Block(BaseModel):
    """Base of the configuration's models.

    `hide_input_in_errors` keeps a secret out of a pydantic error that someone prints unexplained. Keys in
    `says_by_presence` mean something by standing in the file, even with their default.
    """

    says_by_presence: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        str_strip_whitespace=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _no_slips(cls, data: Any) -> Any:
        """Refuse `true` for a number, which pydantic reads as 1, and NUL, which no path, URL or header may have.

        So also text of more digits than a number has, which pydantic reads as one.
        """
        for name, value in data.items() if isinstance(data, Mapping) else ():
            if isinstance(value, str) and "\0" in value:
                reject("has a NUL character; take it out", at=[name])
            if not isinstance(value, (bool, str, list)) or not (field := cls.model_fields.get(name)):
                continue
            kinds = _kinds(field.annotation)
            if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
                reject(f"expected a number, got {str(value).lower()}", at=[name])
            if int in kinds and any(_is_too_large(item) for item in (value if isinstance(value, list) else [value])):
                reject(f"has more than {_MAX_DIGITS} digits", at=[name])
        return data


#: With what is put before and behind it, a name must remain one that a file may have: 255 bytes.
LONGEST_NAME: Final = 100
_MARKER = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{LONGEST_NAME - 1}}}", re.ASCII)
#: Markers of pytest's own and of ours.
_TAKEN = re.compile(
    r"skip|skipif|xfail|parametrize|usefixtures|filterwarnings|tryfirst|trylast|mlperf|performance|accuracy|"
    r"cache_probe|required|test\d\d"
)


class AuditBlock(Block):
    """An entry of `audit:`, the base of every audit's own; a subclass narrows `test` to a Literal of id and aliases."""

    test: str = Field(description="Which audit to run")
    name: str | None = Field(
        default=None,
        description="Name of this entry, where a test is asked for more than once: test04 called short is test04-short "
        "in test ids and files, and -m short selects it",
    )
    only: bool = Field(default=False, description="Run the audit alone, without the main performance run")
    dataset: str | None = Field(
        default=None, description="Name of the data set whose rows are sent (default: the performance data set)"
    )

    @model_validator(mode="after")
    def _is_fit_for_a_marker(self) -> Self:
        if self.name is not None and not is_entry_name(self.name):
            reject(
                f"is a marker, and part of test ids and file names; use letters, digits and _, a letter first, at most "
                f"{LONGEST_NAME}, and no name that pytest or an audit has",
                at=["name"],
            )
        return self


def is_entry_name(name: str) -> bool:
    """Whether an entry of `audit:` may be called so."""
    return bool(_MARKER.fullmatch(name)) and not _TAKEN.fullmatch(name)


def _is_too_large(value: Any) -> bool:
    return isinstance(value, str) and _TOO_LARGE.fullmatch(value) is not None


def _kinds(annotation: Any) -> set[Any]:
    """Return the plain types in an annotation: those of `int | None` are int and NoneType."""
    args = get_args(annotation)
    return set().union(*map(_kinds, args)) if args else {annotation}


#: Error type of `reject`; `explain` shows its messages as they stand.
REJECTED = "mlperf_rejected"

#: A key path below the model or field being validated, and what is wrong there.
Problem = tuple[Sequence[str | int], str]


def reject(message: str, at: Sequence[str | int] = ()) -> NoReturn:
    """Raise a validation error whose message is shown to the user as it is; `at` as in Problem."""
    reject_all([(at, message)])


def reject_all(problems: Sequence[Problem]) -> NoReturn:
    """Raise one validation error that stands for all `problems`."""
    # Braces would be read as a template by pydantic, so the messages travel as a value.
    text = "; ".join(message for _, message in problems)
    raise PydanticCustomError(REJECTED, "{text}", {"text": text, "problems": tuple(problems)})


_DURATION = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>ms|s|m|h)?", re.ASCII)
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
#: In milliseconds; a signed number of 64 bits.
_MAX_MS = 2**63
_DURATION_CURE = "expected milliseconds, or a number with a unit (600000ms, 600s, 10m, 4h)"


def parse_duration_ms(value: Any) -> int:
    """Return a duration in milliseconds from an int, or text such as '600s', '10m', '4h', '600000ms'.

    Raises pydantic's custom error (see `reject`) for anything else, a negative number included.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return _bounded(value)
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        reject(_DURATION_CURE)
    try:
        milliseconds = Decimal(match["number"]) * _UNIT_MS[match["unit"] or "ms"]
        whole = _bounded(_MAX_MS if milliseconds >= _MAX_MS else int(milliseconds))
    except (InvalidOperation, ValueError):
        reject(_DURATION_CURE)
    if whole != milliseconds:
        reject("expected a duration that comes to a whole number of milliseconds")
    return whole


def _bounded(milliseconds: int) -> int:
    if milliseconds >= _MAX_MS:
        reject("is longer than any run; give it in a shorter form, such as 4h")
    return milliseconds


DurationMs = Annotated[
    int,
    BeforeValidator(parse_duration_ms),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(ms|s|m|h)?\s*$"},
            ]
        }
    ),
]

_MAX_S: Final = 9e15
_RATES: Final = (1e-6, 1e9)


def _within_reach(seconds: float) -> float:
    """Return seconds as they are. Rejects what would overflow where it becomes nanoseconds."""
    if seconds > _MAX_S:
        reject("is longer than any run; leave it out for no limit, or give less")
    return seconds


def _in_range(rate: float) -> float:
    """Return queries a second as they are. Rejects gaps that outlast any run, or that no clock can tell apart."""
    least, most = _RATES
    if rate > 0 and not least <= rate <= most:
        reject(f"is no rate that can be sent; give {least:g} to {most:g} queries a second")
    return rate


Seconds = Annotated[float, AfterValidator(_within_reach)]
#: Seconds to wait, more than 0, and queries a second.
Wait = Annotated[float, Field(gt=0), AfterValidator(_within_reach)]
Rate = Annotated[float, Field(gt=0), AfterValidator(_in_range)]
