"""A judgement in words and rows: findings, arms, figures, and whether a check passed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

import msgspec
import numpy as np

from ...runs.cache_headers import says_hit
from ...runs.query import QueryRecord
from ..verdict import ArmSummary, Check, Figure, Finding, KindState
from .arms import arms, of_name
from .identity.identity import Identity, identity, with_identity
from .identity.known import known_rows
from .judges.judgement import Judged, Judgement
from .kinds import TITLES, kinds, why_no_bursts, why_not, words
from .planned import Probe
from .seen.contrast import Contrast
from .seen.contrasts import SINGLE, SINGLE_RUN, STARTS
from .seen.evidence import Evidence, decode_share
from .seen.measured import measured
from .seen.naming import reaches_floors
from .sent.design import MADE_UP
from .settings import ALPHA, KINDS, Kind

_SAYS: Final[Mapping[Kind, str]] = {
    "response": "an exact repeat comes back {times} as fast as twins {unlike}",
    "near_duplicate": "twins that differ in their last word come back {times} as fast as those with a new ending",
    "prefix": "twins with the same beginning start {times} as fast as those with a new one",
    "semantic": "prompts of the same meaning come back {times} as fast as others",
    "coalescing": "identical queries at once are done {times} as fast as different ones",
    "url_keyed": "queries to the same URL come back {times} as fast as those to a new one",
    "multimodal": "new prompts with an image that was sent before start {times} as fast as those with a new image",
    "reuse": "an exact repeat comes back {times} as fast as twins with a new beginning",
}
_EARLY: Final = "an exact repeat starts {times} as fast as twins that differ in their last word"
#: The same of inputs that are no text.
_SAYS_OF_INPUTS: Final[Mapping[Kind, str]] = {
    "near_duplicate": "twins {unlike} come back {times} as fast as all-new inputs",
    "reuse": "an exact repeat starts {times} as fast as twins {unlike}",
}
#: Caches of replies that answer more than exact repeats.
_ANSWERS_REPEATS: Final[tuple[Kind, ...]] = ("near_duplicate", "semantic", "url_keyed")
#: Speeds that differ by less are alike to a reader, whatever chance says.
_ALIKE: Final = 0.05
_SLOWER: Final = "no faster than"
_PLACE: Final[Mapping[str, int]] = {kind: place for place, kind in enumerate(KINDS)}


class Conclusion:
    """What a probe's records come to. Pure: the same records always give the same conclusion."""

    def __init__(
        self, probe: Probe, records: Iterable[QueryRecord], before: Sequence[Iterable[QueryRecord]] = ()
    ) -> None:
        """Judge a probe's records; `before` are those of the phases before it, whose replies are evidence as well."""
        self._probe = probe
        records = list(records)
        self.evidence = Evidence.of(records)
        found = identity([*before, records])
        self.identity = _of_inputs(found) if probe.twins else found
        judged = probe.judge_first(self.evidence) if self.identity.proofs else probe.judge(self.evidence)
        if not (self.identity.proofs or self.identity.doubt) and "response" in probe.forbidden:
            self.identity = self.identity._replace(doubt=known_rows(self.evidence, judged))
        self.judgement: Judgement = with_identity(judged, self.identity)

    @property
    def proved(self) -> tuple[Kind, ...]:
        """The forbidden kinds that are proved, those that were not looked for included."""
        return self.judgement.proved(self._probe.barred)

    @property
    def passed(self) -> bool | None:
        """False when a forbidden kind is proved, None when the question is open, else True."""
        if self.proved:
            return False
        is_open = self.judgement.word in ("ERROR", "INCONCLUSIVE") or not self.judgement.settled
        return None if is_open or self.identity.doubt else True

    @property
    def word(self) -> str:
        """The verdict in a word or two: 'CACHE: response'."""
        kinds = self.judgement.kinds
        return f"{self.judgement.word}: {', '.join(kinds)}" if kinds else self.judgement.word

    def reason(self) -> str:
        """Return the conclusion as a sentence or two."""
        if self.judgement.kinds:
            sentences = self._found_sentences()
            allowed = [TITLES[kind] for kind in self.judgement.kinds if kind not in self._probe.barred]
            if allowed and not self.proved:
                sentences.append(f"{', '.join(allowed)}: not forbidden by this configuration")
            if self.passed is None:
                open_s = self.judgement.reason or "on the other kinds: the budget ended before an answer"
                sentences.append(f"inconclusive{':' if self.judgement.reason else ''} {open_s}")
            elif self.judgement.may_be:
                sentences.append(self.judgement.reason)
            return "; ".join([*sentences, *self.judgement.proofs])
        if self.judgement.word == "CLEAN":
            return f"no cache found in {self._scope()}; {words(self.kinds)}"
        return f"{self.judgement.word.lower()}: {self.judgement.reason}"

    @cached_property
    def kinds(self) -> tuple[KindState, ...]:
        """What became of each kind of cache."""
        proofs: dict[Kind, str] = {kind: "; ".join(self._proof_of(kind)) for kind in self.judgement.kinds}
        states = kinds(self._probe, self.evidence, self.judgement, proofs)
        return tuple(map(self._hidden, states)) if self._hides else states

    @property
    def _hides(self) -> bool:
        """Whether a cache was found that answers twins as it does repeats: ids say so, or inputs are no texts."""
        of_twins = bool(self._probe.twins) and "near_duplicate" in self.judgement.kinds
        return of_twins or self.identity.hides is not None

    def _hidden(self, state: KindState) -> KindState:
        """Return the state of a kind where a cache was found that answers twins as it does repeats."""
        if state.state != "excluded":
            return state
        why = (
            f"the {TITLES[self.judgement.kinds[0]]} that was found answers twins as well, so that times exclude nothing"
        )
        return msgspec.structs.replace(state, state="undecided", why=why, times=None, share=None)

    def check(self, name: str, asked: Collection[Kind] = ()) -> Check:
        """Return the one check that stands for the whole probe; it is in doubt where an `asked` kind was not tested."""
        passed, reason = self.passed, self.reason()
        unseen = [one for one in self.kinds if one.state == "not looked for" and one.kind in (*asked, "response")]
        if passed and unseen:
            passed = None
            reason = "; ".join(f"{one.title} was not looked for: {one.why}" for one in unseen)
        return Check(name=name, passed=passed, observed=self.word, limit="no forbidden cache", reason=reason)

    def kind_check(self, kind: Kind, name: str, *, asked: bool = False) -> Check:
        """Return the check that one kind of cache is not there; `asked`: the YAML names it.

        A kind that was not looked for has not passed. It is in doubt where the YAML names it, or where nothing is known
        of repeats; else its test is skipped.
        """
        state = next((state for state in self.kinds if state.kind == kind), None)
        why = state.why if state else "what was reused has a name"
        unseen = why_not(kind, self._probe, self.evidence, self.judgement)
        if unseen and kind not in self.judgement.kinds:
            doubt = asked or kind == "response"
            reason = f"{TITLES[kind]} was not looked for: {unseen}"
            return Check(name=name, passed=None, observed=None, limit="not found", reason=reason, tested=doubt)
        of_another = self._is_of_another(kind)
        is_hidden = self._hides and kind not in self.judgement.kinds and not of_another
        is_open = self.passed is None or kind in self.judgement.may_be or is_hidden
        passed = None if is_open else kind not in self.judgement.kinds and not of_another
        return Check(
            name=name,
            passed=passed,
            observed={None: None, False: "found", True: "not found"}[passed],
            limit="not found",
            reason=self._kind_reason(kind, passed, why),
        )

    def _is_of_another(self, kind: Kind) -> bool:
        """Whether a forbidden cache was found that no check asks for, and that answers repeats as well."""
        return kind == "response" and any(one in self._probe.unseen and one in _ANSWERS_REPEATS for one in self.proved)

    def _kind_reason(self, kind: Kind, passed: bool | None, why: str) -> str:
        if passed is None:
            return self.reason()
        if not passed:
            return "; ".join(self._proof_of(kind)) if kind in self.judgement.kinds else self.reason()
        when = f"by the time {', '.join(self.proved)} was proved" if self.proved else f"in {self._scope()}"
        return f"no {TITLES[kind]} found {when}: {why}"

    def _proof_of(self, kind: Kind) -> list[str]:
        """Return the sentences that prove a kind."""
        others = {proof for of, proof in self.identity.proofs.items() if of != kind}
        return [*self._found_sentences(kind), *(proof for proof in self.judgement.proofs if proof not in others)]

    def _found_sentences(self, kind: Kind | None = None) -> list[str]:
        """Return a sentence for each kind that was found, of each kind of prompt: one mechanism moves several arms."""
        found = [finding for finding in self.findings() if finding.found and kind in (None, finding.kind)]
        return list({(finding.kind, finding.of): finding.sentence for finding in reversed(found)}.values())[::-1]

    def findings(self) -> tuple[Finding, ...]:
        """Return every comparison, the found ones first."""
        findings = [self._finding(judged) for judged in self.judgement.judged]
        return tuple(sorted(findings, key=lambda finding: (not finding.found, _PLACE[finding.kind])))

    def _finding(self, judged: Judged) -> Finding:
        contrast = judged.contrast
        kind = judged.named or contrast.kind
        low, high = contrast.effect.low, contrast.effect.high
        return Finding(
            kind=kind,
            of=of_name(contrast.of, self._probe.twins),
            found=judged.named is not None,
            forbidden=kind in self._probe.barred,
            sentence=_sentence(judged, self._probe.twins),
            p=contrast.p,
            p_corrected=judged.p_corrected,
            effect=contrast.effect.factor,
            effect_low=low if low > 0 else None,
            effect_high=high if np.isfinite(high) else None,
            fast_s=contrast.fast_s,
            slow_s=contrast.slow_s,
            n=contrast.n,
            measured=measured(contrast, self.evidence),
        )

    def arms(self) -> tuple[ArmSummary, ...]:
        """Return the medians of each arm, in the order of the design; bursts by their makespan."""
        return arms(self.evidence, self._probe.twins)

    def figures(self) -> dict[str, Figure]:
        """Return what a program wants to read."""
        judgement, evidence = self.judgement, self.evidence
        n_groups = evidence.n_groups()
        share = decode_share(evidence.groups[MADE_UP])
        burst = evidence.bursts.get("same")
        return {
            "probe": judgement.word,
            "probe_kinds": ", ".join(judgement.kinds),
            "probe_queries": evidence.n_queries,
            "probe_failed": len(evidence.failed),
            "probe_groups": n_groups or len(evidence.bets),
            "probe_null_p": judgement.null_p,
            "probe_decode_share": share or None,
            "probe_burst_size": len(burst[0]) if burst else None,
        }

    def notes(self) -> tuple[str, ...]:
        """Return what a reader should know beside the verdict."""
        notes = list(self.judgement.notes)
        evidence = self.evidence
        if evidence.url_refused:
            notes.append(
                f"cache probe: the endpoint answers {evidence.url_refused} to a changed URL, so a cache keyed on the "
                "URL alone was not looked for"
            )
        compared = any(one.contrast.kind == "coalescing" for one in self.judgement.judged)
        if self._probe.bursts and not compared and self.judgement.settled and not self.proved:
            notes.append(f"cache probe: coalescing was not tested: {why_no_bursts(self._probe, evidence)}")
        if evidence.failed and self.judgement.word != "ERROR":
            notes.append(
                f"cache probe: {len(evidence.failed)} queries failed, and their groups were left out and made up for"
            )
        if hits := sum(says_hit(record.cache_header) for record in evidence.every()):
            notes.append(f"cache probe: {hits} replies say in their headers that they come from a cache")
        if self.identity.note:
            notes.append(f"cache probe: {self.identity.note}")
        if cached := sum(record.cached_tokens or 0 for record in evidence.every()):
            notes.append(f"cache probe: the endpoint says it reused {cached} cached prompt tokens")
        return tuple(notes)

    def _scope(self) -> str:
        evidence = self.evidence
        if evidence.bets:
            return f"{len(evidence.bets)} groups of one repeat and three twins"
        if evidence.single:
            return f"{len(evidence.single['R'])} repeats against {len(evidence.single['P'])} twins"
        of = " and ".join(of_name(source, self._probe.twins) for source in evidence.sources())
        return f"{evidence.n_groups()} groups of {of}"


def _of_inputs(found: Identity) -> Identity:
    """Return what identities show of inputs that are no text: these have no meaning to be alike in."""
    proofs: dict[Kind, str] = {
        "near_duplicate" if kind == "semantic" else kind: proof for kind, proof in found.proofs.items()
    }
    return found._replace(proofs=proofs)


def _seen(contrast: Contrast, kind: Kind, twins: str) -> str:
    """Return what was faster than what; `twins` is what twins of inputs that are no text have, "" for texts."""
    apart = contrast.of in ("one prompt", "anytime", SINGLE, SINGLE_RUN)
    unlike = "with a new beginning" if apart else "that differ in their last words"
    says = _EARLY if contrast.of == STARTS else _SAYS[kind]
    if twins:
        unlike, says = f"with {twins}", _SAYS_OF_INPUTS.get(kind, _SAYS[kind])
    factor = contrast.effect.factor
    said = says.format(times="{times}", unlike=unlike)
    if abs(factor - 1) < _ALIKE:
        return said.replace("{times} as fast as", "as fast as")
    # Equal queries at once may be slower for being merged, and by how much is then the finding.
    told = factor > 1 or contrast.kind == "coalescing"
    return said.replace("{times}", f"{factor:.3g} times") if told else said.replace("{times} as fast as", _SLOWER)


def _sentence(judged: Judged, twins: str = "") -> str:
    contrast = judged.contrast
    kind = judged.named or contrast.kind
    seen = _seen(contrast, contrast.kind if kind == "near_duplicate" else kind, twins)
    where = of_name(contrast.of, twins)
    if judged.named and judged.p_corrected > ALPHA:
        return f"{TITLES[kind]} on {where}: found by ids, whatever the times show"
    if judged.named:
        hits = "" if contrast.steady else ", not always but too often for chance"
        return f"{TITLES[kind]} on {where}: {seen}{hits} (p {judged.p_corrected:.2g})"
    if judged.found:
        return f"no {TITLES[kind]} of its own on {where}: the cache that was found explains that {seen}"
    if judged.p_corrected <= ALPHA and reaches_floors(contrast):
        return f"{TITLES[kind]} on {where}, in doubt: {seen} (p {judged.p_corrected:.2g})"
    if judged.p_corrected <= ALPHA:
        return f"no {TITLES[kind]} on {where}: {seen}, below the floor of what counts (p {judged.p_corrected:.2g})"
    if reaches_floors(contrast):
        return (
            f"no {TITLES[kind]} proved on {where}: {seen}, in too few queries to be sure (p {judged.p_corrected:.2g})"
        )
    return f"no {TITLES[kind]} on {where}: {seen} (p {judged.p_corrected:.2g})"
