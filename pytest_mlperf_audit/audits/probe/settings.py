"""The `probe:` block of test04 and the keys of cache_probe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, NamedTuple, get_args

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from ...config.block import Block, DurationMs, reject
from ...config.rulesets import allowed_caches

Kind = Literal[
    "response", "near_duplicate", "prefix", "semantic", "coalescing", "url_keyed", "multimodal", "reuse"
]  # fmt: skip
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

#: False alarms of the whole probe, and the parts of it that the bursts have, and each of two looks at late
#: repeats and at changed URLs.
ALPHA: Final = 0.01
BURST_ALPHA: Final = 0.0012
LATE_ALPHAS: Final = (0.001, 0.0004)
URLS_ALPHAS: Final = (0.0002, 0.0002)
#: What two looks at known images have where rows have some; it comes on top of the others' ALPHA.
IMAGES_ALPHAS: Final = (0.0002, 0.0002)
LOOKS_ALPHA: Final = ALPHA - BURST_ALPHA - sum(LATE_ALPHAS) - sum(URLS_ALPHAS)
#: What the looks had when nothing was sent late, and changed URLs stood in the groups.
LOOKS_ALPHA_OF_BEFORE: Final = ALPHA - BURST_ALPHA

#: The least speed-up that counts: relative, and in seconds.
FLOOR: Final = 1.10
FLOOR_S: Final = 0.001

#: The fewest groups that can show a response cache; see docs/method.md.
FEWEST_GROUPS: Final = 6
_DEFAULT_GROUPS: Final = 24


#: Kinds of cache that an input of no text cannot have, and why.
NOT_OF_INPUTS: Final[Mapping[Kind, str]] = {
    "prefix": "an input of this format has no beginning that others share",
    "semantic": "an input of this format has no words that could mean the same",
}


class Excluded(NamedTuple):
    """That a share `share` or more of the queries of `of` are `times` times as fast or more is excluded by the data."""

    times: float
    share: float
    of: str


class ProbeSettings(Block):
    """How the cache probe is run. The defaults find a full cache with the first six groups."""

    says_by_presence: ClassVar[frozenset[str]] = frozenset({"groups", "thorough", "bursts"})

    design: Literal["auto", "groups", "single", "anytime"] = Field(
        default="auto",
        description="groups: short groups of repeats and twins, looked at after 6, 12 and 24; single: repeats and "
        "twins alone, looked at after 16, 26, 46 and 66 queries (videogen's default); anytime: one group after "
        "another until the answer is clear, for queries that take minutes; auto: single for videogen, groups for "
        "others, and anytime where a query takes over 20 s",
    )
    groups: int = Field(
        default=_DEFAULT_GROUPS,
        ge=FEWEST_GROUPS,
        le=96,
        description="Most groups to send; the answer is looked for at half and a quarter of them, too, never below 6",
    )
    thorough: bool = Field(
        default=False,
        description="Send all groups unless a forbidden cache is found, and prime each twice: finds caches behind a "
        "balancer and those that store a reply only on its second use",
    )
    samples: Literal["both", "made_up", "dataset"] = Field(
        default="both",
        description="Prompts to probe with: made up (never sent before), the data set's own, or both",
    )
    forbid: tuple[Kind, ...] | None = Field(
        default=None,
        description="Kinds of cache that fail the check; null: what the ruleset of submission_ref forbids in its "
        "division (docs/rulesets.md); without a ruleset every kind",
    )
    bursts: bool | None = Field(
        default=None,
        description="Whether to look for request coalescing with identical queries at once; null: not for videogen",
    )
    max_burst: int = Field(
        default=64,
        ge=4,
        le=128,
        description="Most identical queries at once, whatever the benchmark's own concurrency: bursts grow from 4 "
        "until different queries have to queue, and end at the first that is refused",
    )
    url: bool = Field(
        default=True, description="Whether to send queries with a changed URL (?n=...), which some gateways refuse"
    )
    max_output_tokens: int = Field(
        default=32, ge=1, description="Longest output of made-up prompts in tokens, where the wire format has a limit"
    )
    max_queries: int | None = Field(
        default=None,
        ge=1,
        description="Most queries to send; null: as many as it takes. Where it ends undecided, the verdict says how "
        "little is excluded",
    )
    max_duration_ms: DurationMs = Field(
        default=0, description="Time after which no further group is begun, in milliseconds (or 10m, 1h); 0: no limit"
    )

    @field_validator("forbid")
    @classmethod
    def _each_once(cls, value: tuple[Kind, ...] | None) -> tuple[Kind, ...] | None:
        return None if value is None else tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.design in ("single", "anytime"):
            for key in ("thorough", "groups"):
                if key in self.model_fields_set:
                    reject(f"has no effect with design: {self.design}; drop it, or set design: groups", at=[key])
        if self.bursts and (self.design in ("single", "anytime") or self.samples == "dataset"):
            reject("needs design: groups and made-up prompts (samples: both); set them, or drop it", at=["bursts"])
        if self.forbid == ():
            reject("names no kind, so nothing could fail; name at least one, or set probe: false", at=["forbid"])
        return self

    def forbidden(self, ruleset: str, division: str | None = None, *, conversations: bool = False) -> tuple[Kind, ...]:
        """Return the kinds that fail the check under a ruleset's division, "" for no ruleset (config/rulesets.py).

        Without a ruleset, prefixes may be used again where the benchmark plays `conversations`: within one of them that
        is allowed everywhere, and a system that does it cannot know that a repeat is not of the same one.
        """
        if self.forbid is not None:
            return self.forbid
        allowed = allowed_caches(ruleset, division)
        if conversations and not ruleset and allowed is not None:
            allowed = allowed | {"prefix"}
        return () if allowed is None else tuple(kind for kind in KINDS if kind not in allowed)

    def looks(self) -> tuple[int, ...]:
        """Return after how many groups the answer is looked for: (6, 12, 24) of 24."""
        found = [self.groups]
        while found[0] % 2 == 0 and found[0] // 2 >= FEWEST_GROUPS:
            found.insert(0, found[0] // 2)
        return tuple(found)
