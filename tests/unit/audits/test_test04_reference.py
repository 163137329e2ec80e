"""What TEST04's repeats are compared with: rows or twins, how it is planned, and what is required of what was sent."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.test04 import exempt_model, lengths, passes, reference, rule
from pytest_mlperf_audit.audits.test04.live import Test04
from pytest_mlperf_audit.audits.test04.mlperf import beside_mlperf
from pytest_mlperf_audit.audits.test04.ratio import Compared, Probed, throughput_ratio, wants_blocks
from pytest_mlperf_audit.audits.test04.reference import unlike_cost
from pytest_mlperf_audit.errors import NoVerdictError, PlanError
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.order import in_turn, without_replacement
from pytest_mlperf_audit.runs.phase import MeasuredPhase, PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit
from pytest_mlperf_audit.runs.spec import Concurrency, Load, MaxThroughput, RunSpec

S = 10**9
TEXT = AuditContext(load=MaxThroughput(), api_type="openai", text_output=True)
VIDEO = AuditContext(load=MaxThroughput(), api_type="videogen")
VECTORS = AuditContext(load=MaxThroughput(), api_type="openai_embeddings", own_costs=True)
LONG = [f"row {number} has more than six words, which may change places" for number in range(64)]
TWINS: dict[str, Any] = {"order": in_turn([3]), "nonce": "twin"}


def measured(
    label: str = "reference",
    *,
    seconds: float = 0.1,
    rows: list[int] | None = None,
    tokens: int | list[int] | None = 8,
    prompt_tokens: int | None = None,
    load: Load | None = None,
    cost: dict[int, float] | None = None,
    requests: list[str] | None = None,
    **spec: Any,
) -> MeasuredPhase:
    """A phase of 20 queries, one after another, each of `seconds`, or of the row's own `cost`."""
    rows = rows or [3] * 20
    at_s, queries = 0.0, []
    for number, row in enumerate(rows):
        end_s = at_s + (cost or {}).get(row, seconds)
        query = QueryRecord(
            query=number,
            sample=row,
            issued_ns=round(at_s * S),
            completed_ns=round(end_s * S),
            request=(requests or [f"{number:032x}" for number in range(len(rows))])[number],
            outcome="completed",
        )
        query.prompt_tokens = prompt_tokens
        query.tokens = tokens[number] if isinstance(tokens, list) else tokens
        queries.append(query)
        at_s = end_s
    load = load or Concurrency(target=1)
    planned: dict[str, Any] = {
        "label": label,
        "n_samples": len(rows),
        "load": load,
        "order": without_replacement(1),
        **spec,
    }
    record = PhaseRecord(
        label=label,
        spec=RunSpec(**planned),
        status="complete",
        figures=figures(QueryColumns(queries), load),
        stopped_by="count",
    )
    return MeasuredPhase.of(record, queries)


def test_texts_are_compared_with_twins_and_videos_with_rows(block, rows):
    text, repeats, _ = Test04().plan(block(sample_index=3), rows(prompts=LONG), TEXT)
    assert (text.label, text.n_samples, text.order, text.nonce) == ("reference", 20, in_turn([3]), "twin")
    assert repeats.nonce == "none"
    video = Test04().plan(block(sample_index=3), rows(), VIDEO)[0]
    assert (video.order, video.nonce) == (without_replacement(42), "none")


def test_texts_that_are_answered_with_numbers_are_compared_with_twins(block, rows):
    """What they cost depends on their length; their replies are as long as those of their twins."""
    spec = Test04().plan(block(), rows(prompts=LONG), VECTORS)[0]
    assert (spec.nonce, reference.may_differ_in_length(spec)) == ("twin", False)
    assert unlike_cost(Test04().plan(block(), rows(), VECTORS)[0]).startswith("rows may cost more or less")


@pytest.mark.parametrize(("asked", "context", "nonce"), [("rows", TEXT, "none"), ("twins", VIDEO, "twin")])
def test_the_block_may_say_which(block, rows, asked, context, nonce):
    assert Test04().plan(block(reference=asked), rows(), context)[0].nonce == nonce


def test_several_rows_have_their_twins_in_turn(block, rows):
    assert Test04().plan(block(sample_index=[9, 3]), rows(prompts=LONG), TEXT)[0].order == in_turn([9, 3])


def test_no_rows_are_needed_for_twins(block, rows):
    assert Test04().plan(block(samples=500, sample_index=1), rows(2), TEXT)[0].n_samples == 500
    with pytest.raises(PlanError, match="there is no row 2; 2 rows were loaded"):
        Test04().plan(block(sample_index=2), rows(2), TEXT)


def test_the_same_row_twice_does_not_matter_to_twins(block, rows):
    assert Test04().plan(block(), rows(prompts=["one prompt"] * 20), TEXT)[0].nonce == "twin"


def test_rows_of_few_words_are_compared_with_rows(block, rows):
    """Their twins would be longer; where rows will not do, twins do, as the YAML may ask for."""
    short = Test04().plan(block(), rows(), TEXT)[0]
    assert (short.order, short.nonce) == (without_replacement(42), "none")
    assert Test04().plan(block(reference="twins"), rows(), TEXT)[0].nonce == "twin"
    assert unlike_cost(short) == "rows may cost more or less than the repeated one, whose twins would be longer"
    for other in (block(reference="rows"), block(reference="twins")):
        assert unlike_cost(Test04().plan(other, rows(), TEXT)[0]) == ""
    assert unlike_cost(Test04().plan(block(), rows(), VIDEO)[0]) == ""


class _Deaf:
    """A data set behind an adapter that leaves edits out."""

    twins = ""

    def image_row(self) -> int | None:
        return None

    def __len__(self) -> int:
        return 64

    def fingerprint(self, index: int, edit: object = None) -> str:  # noqa: ARG002
        return str(index)

    def n_words(self, index: int) -> int:  # noqa: ARG002
        return 16

    def where(self, index: int) -> str:
        return str(index)


def test_a_row_whose_words_are_not_known_is_not_short(block, rows, monkeypatch):
    """As behind an adapter whose rows have their prompt in a column of its own."""
    samples = rows()
    monkeypatch.setattr(samples, "n_words", lambda _: 0)
    assert Test04().plan(block(), samples, TEXT)[0].nonce == "twin"


def test_an_adapter_that_leaves_edits_out_has_no_twins(block):
    of_rows = Test04().plan(block(), _Deaf(), TEXT)[0]
    assert (of_rows.nonce, unlike_cost(of_rows)) == ("none", "")
    with pytest.raises(PlanError, match=r"reference: twins: .* have encode\(\) apply its edit, or set reference: rows"):
        Test04().plan(block(reference="twins"), _Deaf(), TEXT)


class _Sounds(_Deaf):
    """Rows that are no text, which the wire format changes by the seeds of an edit."""

    twins = "a least noise"

    def fingerprint(self, index: int, edit: Edit = NO_EDIT) -> str:  # type: ignore[override]
        return f"{index}/{edit.made_up_seed}/{edit.twin_seed}"

    def n_words(self, index: int) -> int:  # noqa: ARG002
        return 3  # as a file's name may have


def test_a_row_that_is_no_text_is_never_a_short_one(block):
    """Sounds are compared with twins, which cost the same; tensors with rows, as in MLPerf, unless the YAML says so."""
    for context, asked, nonce in ((TEXT, None, "twin"), (VIDEO, None, "none"), (VIDEO, "twins", "twin")):
        assert Test04().plan(block(reference=asked), _Sounds(), context)[0].nonce == nonce


def test_an_adapter_that_leaves_seeds_out_has_no_twins(block, monkeypatch):
    monkeypatch.setattr(_Deaf, "twins", "a least noise")
    with pytest.raises(PlanError, match=r"whatever twin_seed an edit has, so that .* have encode\(\) apply its edit"):
        Test04().plan(block(reference="twins"), _Deaf(), TEXT)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("llama3.1-8b", "llama3.1-8b"),
        ("llama2-70b-99.9", "llama2-70b"),
        ("ssd-resnet34", "retinanet"),
        ("resnet50", None),
        ("wan-2.2-t2v-a14b", None),
        ("stable-diffusion-xl", None),
        ("pointpainting", None),
        ("my-model", None),
    ],
)
def test_the_models_that_mlperf_exempts(model, name):
    assert exempt_model(model) == name


def test_what_mlperf_compares_is_said(block, rows):
    context = msgspec.structs.replace(TEXT, model="llama3.1-8b")
    of_exempt, plain = (
        measured(nonce="twin", order=planned.order, parameters=planned.parameters)
        for planned in (Test04().plan(block(), rows(prompts=LONG), each)[0] for each in (context, TEXT))
    )
    repeats = measured("output_caching")
    said = beside_mlperf(of_exempt, repeats, None)
    assert said == "MLPerf compares with other rows, whose cost may differ, and exempts llama3.1-8b from TEST04"
    assert beside_mlperf(plain, repeats, None) == "MLPerf compares with other rows, whose cost may differ"
    assert beside_mlperf(measured(), repeats, None) == ""


@pytest.mark.parametrize(
    ("tags", "prompt_tokens", "words"),
    [
        ("d{}/prime", 30, "which have 1.5 times its tokens to read and 2 times its tokens to write"),
        ("d{}/prime", 20, "which have as many tokens to read and 2 times its tokens to write"),
        ("d{}/prime", None, "which have 2 times its tokens to write"),
        ("m{}/prime.a", 30, "whose cost may differ"),
    ],
)
def test_rows_that_the_probe_has_sent_say_how_they_differ(tags, prompt_tokens, words):
    probe = measured("cache_probe", rows=list(range(20)), tokens=16, prompt_tokens=prompt_tokens)
    for number, query in enumerate(probe.read()):
        query.tag = tags.format(number)
    repeats = measured("output_caching", tokens=8, prompt_tokens=20)
    assert beside_mlperf(measured(**TWINS), repeats, probe) == f"MLPerf compares with other rows, {words}"


@pytest.mark.parametrize(
    ("asked", "spec", "wrong"),
    [
        (None, {}, ""),
        ("rows", {}, ""),
        (None, TWINS, ""),
        ("twins", TWINS, ""),
        ("twins", {}, "was run with rows, twins are asked for"),
        ("rows", TWINS, "was run with twins, rows are asked for"),
        (None, {**TWINS, "order": in_turn([4])}, "twins of row 4, 3 is due"),
    ],
)
def test_a_reference_is_judged_as_it_was_sent(asked, spec, wrong):
    sent = measured(**spec).spec
    if not wrong:
        reference.require_asked(asked, [3], sent)
        return
    with pytest.raises(NoVerdictError, match=wrong):
        reference.require_asked(asked, [3], sent)


def test_of_several_rows_each_is_compared_with_its_own_twins():
    sent = measured(rows=[9, 3] * 10, cost={9: 0.3, 3: 0.1}, order=in_turn([9, 3]), nonce="twin")
    dear, cheap = (reference.of_row(sent, row) for row in (9, 3))
    assert sent.figures.qps == pytest.approx(5.0)
    assert (dear.figures.qps, cheap.figures.qps) == pytest.approx((1 / 0.3, 10.0)), "as if there were no other"
    assert (dear.spec.n_samples, dear.figures.n_completed, len(dear.queries)) == (10, 10, 10)
    assert {query.sample for query in dear.read()} == {9}
    assert dear.queries.latencies_s() == pytest.approx([0.3] * 10)


def test_latencies_that_are_waiting_times_say_nothing_of_a_row():
    twins: dict[str, Any] = {"order": in_turn([9, 3]), "nonce": "twin", "load": MaxThroughput()}
    sent = measured(rows=[9, 3] * 10, cost={9: 0.3, 3: 0.1}, **twins)
    assert reference.of_row(sent, 9).figures.qps == sent.figures.qps


def test_one_row_is_compared_with_the_whole_reference():
    for sent in (measured(**TWINS), measured()):
        assert reference.of_row(sent, 3) is sent


def test_a_check_says_what_the_repeats_are_compared_with():
    repeats = measured("output_caching")
    for sent, words in (
        (measured(**TWINS), "against 10 with fresh twins of it"),
        (measured(), "with distinct samples"),
    ):
        assert words in rule.point_ratio("throughput_ratio", sent, repeats, 0.1, 0.9).reason


WRAPPED: dict[str, Any] = {"order": without_replacement(1, wrap=True), "parameters": {"rows": 4}}


def passes_of(rows: list[int], **changed: Any) -> MeasuredPhase:
    return measured(rows=rows, requests=[f"{row:032x}" for row in rows], **WRAPPED, **changed)


@pytest.mark.parametrize(
    ("rows", "passed", "due"),
    [
        ([0, 1, 2, 3], True, 4),
        ([0, 1, 2, 3, 2, 0, 3, 1], True, 4),
        ([0, 1, 2, 3, 2, 0], True, 4),
        ([0, 1, 2, 3, 2, 0, 2], False, 4),
        ([0, 1, 2, 0, 0], False, 4),
        ([0, 1, 2, 0], False, 4),
        ([0, 1, 2], True, 3),
    ],
)
def test_a_pass_over_the_rows_has_none_twice(rows, passed, due):
    check = reference.requests_distinct(passes_of(rows))
    assert (check.passed, check.limit) == (passed, due), check.reason


def test_rows_that_are_one_request_are_no_distinct_rows():
    rows = [0, 1, 2, 3] * 2
    same = measured(rows=rows, requests=[f"{row // 2:032x}" for row in rows], **WRAPPED)
    assert reference.requests_distinct(same).passed is False


def test_without_wrapping_each_request_counts():
    assert reference.requests_distinct(measured(rows=[0, 1, 2, 3], order=without_replacement(1))).passed is True
    twice = measured(rows=[0, 1, 0, 1], requests=[f"{row:032x}" for row in [0, 1, 0, 1]])
    assert reference.requests_distinct(twice).passed is False
    twins = measured(**TWINS)
    assert reference.requests_distinct(twins).passed is True, "one row, and twenty requests"


def test_a_floor_has_rows_sent_again_and_a_warning_says_from_which_rate_on(block, rows):
    context = msgspec.structs.replace(VIDEO, min_duration_ms=4000)
    planned = Test04().plan(block(), rows(20), context)
    assert planned[0].order == without_replacement(42, wrap=True)
    [warning] = Test04().warnings(block(), planned, rows(20))
    assert "phase reference: from 5 queries a second on, its 20 rows are used up before the 4 s" in warning
    assert warning.endswith("blocks of fresh twins decide")
    assert Test04().warnings(block(probe=True), planned, rows(20))[0].endswith("the cache probe decides")
    for without in (Test04().plan(block(), rows(20), VIDEO), Test04().plan(block(), rows(20), TEXT)):
        assert Test04().warnings(block(), without, rows(20)) == []


def test_with_a_floor_no_two_rows_may_be_one_request(block, rows):
    prompts = [f"prompt {row}" for row in range(40)]
    sent_last = list(without_replacement(42).indices(40))[-1]
    prompts[sent_last] = prompts[(sent_last + 1) % 40]
    assert len(Test04().plan(block(), rows(prompts=prompts), VIDEO)) == 3
    with pytest.raises(PlanError, match="are sent as the same request"):
        Test04().plan(block(), rows(prompts=prompts), msgspec.structs.replace(VIDEO, min_duration_ms=1000))


def test_rows_sent_again_are_told():
    again, once = passes_of([0, 1, 2, 3] * 3), passes_of([0, 1, 2, 3])
    assert "the 4 rows of the reference phase were gone through 3 times" in passes.sent_again(again)
    assert passes.sent_again(once) == ""


def compared(sent: MeasuredPhase, repeats: MeasuredPhase, *, probed: bool) -> Compared:
    found = Probed() if probed else None
    return Compared("throughput_ratio", sent, 3, repeats, 0.1, 0.9, found)


@pytest.mark.parametrize("probed", [True, False])
def test_without_the_probe_blocks_decide_over_rows_sent_again(probed):
    repeats = measured("output_caching", rows=[3] * 12)
    again, once = (compared(passes_of(list(range(4)) * n), repeats, probed=probed) for n in (3, 1))
    assert wants_blocks(again) is not probed
    assert not wants_blocks(once)


@pytest.mark.parametrize(
    ("of_twins", "of_row", "ratio", "explained", "hidden"),
    [
        (8, 8, 1.02, True, False),
        (8, 8, 1.5, False, True),
        (60, 20, 2.9, True, True),  # an honest model that decodes
        (60, 20, 1.0, True, False),  # one that reads
        (60, 20, 9.0, False, True),  # a cache all the same
        (20, 60, 0.34, True, False),  # an honest model that decodes
        (20, 60, 0.9, True, True),  # one that reads
        (20, 60, 1.2, False, True),
        (None, 20, 9.0, False, False),
    ],
)
def test_a_speed_up_may_be_one_of_lengths(of_twins, of_row, ratio, explained, hidden):
    twins, repeats = measured(tokens=of_twins, **TWINS), measured("output_caching", tokens=of_row)
    assert bool(lengths.may_explain(twins, repeats, ratio, 1.1)) is explained
    assert bool(lengths.may_hide(twins, repeats, ratio, 1.1)) is hidden


@pytest.mark.parametrize(
    ("of_row", "seconds", "probed", "passed"),
    [
        (8, 0.1, True, True),
        (8, 0.05, True, None),  # blocks are to be sent
        (3, 0.05, True, True),  # the reply is shorter by more
        (3, 0.05, False, None),
        (24, 0.1, True, True),
        (24, 0.1, False, None),  # a cache may be hidden
    ],
)
def test_what_lengths_leave_to_blocks(of_row, seconds, probed, passed):
    repeats = measured("output_caching", tokens=of_row, seconds=seconds)
    pair = compared(measured(**TWINS), repeats, probed=probed)
    assert wants_blocks(pair) is (passed is None)
    check, _ = throughput_ratio(pair, None)
    assert check.passed is passed, check.reason


def test_lengths_have_to_be_surely_alike():
    repeats = measured("output_caching", tokens=9)
    steady, spread = (measured(tokens=tokens, **TWINS) for tokens in ([10] * 20, [2, 18] * 10))
    assert not lengths.may_explain(steady, repeats, 1.3, 1.1)
    assert lengths.may_explain(spread, repeats, 1.3, 1.1)


@pytest.mark.parametrize(("of_twins", "explained"), [(20, False), (25, True), (None, False)])
def test_prompts_may_differ_in_length_as_well(of_twins, explained):
    twins, repeats = measured(prompt_tokens=of_twins, **TWINS), measured("output_caching", prompt_tokens=20)
    assert bool(lengths.may_explain(twins, repeats, 1.3, 1.1)) is explained


def test_lengths_of_rows_and_of_videos_are_not_asked_for():
    video: dict[str, Any] = {**TWINS, "parameters": {"text_output": False}}
    for sent in (measured(tokens=60), measured(tokens=None, **video)):
        assert lengths.lengths(sent, measured(tokens=20)) is None
