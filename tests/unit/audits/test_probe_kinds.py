"""What is known of each kind of cache, from judgements made up here."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.audits.probe.judges.judgement import Judged, Judgement
from pytest_mlperf_audit.audits.probe.kinds import kinds, without_probe, words
from pytest_mlperf_audit.audits.probe.planned import Probe
from pytest_mlperf_audit.audits.probe.seen.contrast import Contrast
from pytest_mlperf_audit.audits.probe.seen.evidence import Evidence
from pytest_mlperf_audit.audits.probe.sent.design import MADE_UP
from pytest_mlperf_audit.audits.probe.settings import KINDS, Excluded, Kind
from pytest_mlperf_audit.stats.ranks import Effect

PROBE = Probe(design="groups", looks=(6,), sources=(MADE_UP,), forbidden=KINDS, n_rows=64, bursts=True, at_once=8)
SINGLE = Probe(
    design="single", looks=(1,), sources=(MADE_UP,), forbidden=("response",), n_rows=64, unseen=("semantic",)
)


def contrast(kind: Kind, high: float = 1.02) -> Contrast:
    return Contrast(kind, "made-up prompts", 0.5, 0.001, lambda: Effect(1.0, 0.98, high), 0.1, 0.1, 24)


def judged(kind: Kind, high: float = 1.02, *, found: bool = False, named: Kind | None = None) -> Judged:
    return Judged(contrast(kind, high), 0.001 if found else 1.0, found, named)


def states(judgement: Judgement, probe: Probe = PROBE) -> dict[str, str]:
    return {state.kind: state.state for state in kinds(probe, Evidence(), judgement)}


ALL: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in ("multimodal", "reuse"))


def test_what_was_compared_is_excluded_from_its_bound_on():
    judgement = Judgement("CLEAN", tuple(judged(kind, 1.3) for kind in KINDS))
    assert states(judgement) == dict.fromkeys(ALL, "excluded"), "reuse has no name of its own"
    assert words(kinds(PROBE, Evidence(), judgement)).startswith("excluded: response >= 1.3x, near-duplicate >= 1.3x, ")


def test_what_a_design_excludes_comes_before_an_interval():
    judgement = Judgement("CLEAN", (judged("response", 9.0),), excluded={"response": Excluded(1.5, 0.5, "repeats")})
    (response, *others) = kinds(SINGLE, Evidence(), judgement)
    assert (response.times, response.share) == (1.5, 0.5)
    assert response.why == "the data exclude that 50% of repeats or more come back 1.5 times as fast or more"
    assert {state.state for state in others} == {"not looked for"}
    assert {state.kind for state in others if state.forbidden} == {"semantic"}
    assert words([response]) == "excluded: response >= 1.5x at 50% hits"


def test_a_bound_without_an_end_excludes_nothing():
    assert states(Judgement("CLEAN", (judged("response", float("inf")),)), SINGLE)["response"] == "undecided"


def test_an_open_question_says_how_little_is_excluded():
    judgement = Judgement(
        "INCONCLUSIVE", (judged("response"),), reason="ended", excluded={"response": Excluded(4, 0.9, "repeats")}
    )
    (response, *_) = kinds(SINGLE, Evidence(), judgement)
    assert (response.state, response.why, response.times, response.share) == ("undecided", "ended", 4, 0.9)
    assert words([response]) == "undecided: response (not >= 4x at 90% hits)"


@pytest.mark.parametrize("excluded", [{}, {"response": Excluded(1.5, 0.5, "repeats")}], ids=["open", "excluded"])
def test_what_another_cache_explains_is_not_excluded(excluded):
    found = (judged("prefix", found=True, named="prefix"), judged("response", 8.0, found=True))
    judgement = Judgement("CACHE", found, kinds=("prefix",), excluded=excluded)
    (response, *_) = kinds(PROBE, Evidence(), judgement, {"prefix": "twins start early"})
    assert response.state == ("excluded" if excluded else "undecided")
    if not excluded:
        assert response.why == "what would show it is taken for the prefix cache that was found"
    assert kinds(PROBE, Evidence(), judgement, {"prefix": "twins start early"})[2].why == "twins start early"


def test_reuse_is_told_of_where_it_was_found():
    judgement = Judgement("CACHE", (judged("reuse", found=True, named="reuse"),), kinds=("reuse",))
    assert states(judgement)["reuse"] == "found"


def test_without_a_probe_no_kind_was_looked_for():
    assert words(without_probe()) == (
        "not looked for: response, near-duplicate, prefix, semantic, coalescing, URL-keyed (set probe: true)"
    )
