"""TEST01's comparison of outputs, on plain values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.audits.test01.live_outputs import diff
from pytest_mlperf_audit.audits.test01.rule import Differing, SampledOutputs


def _compared(answered: dict[int, str], sampled: list[tuple[int, str | None]]) -> SampledOutputs:
    """Outputs to samples, numbered as queries, beside those of the accuracy run."""
    outputs = SampledOutputs()
    for query, (sample, text) in enumerate(sampled):
        outputs.add(sample, None if text is None else text.encode(), query)
    for sample, text in answered.items():
        outputs.add_reference(sample, text.encode())
    return outputs


def test_matching_differing_and_missing() -> None:
    long = "x" * 100
    answered = {3: "three", 10**15: long, 5: "five", 7: "not sampled"}
    sampled = [
        (3, "three"),
        (5, "another"),
        (5, None),  # failed
        (4, "four"),  # not in the accuracy run
        (10**15, long),
        (5, "five"),
    ]
    found = _compared(answered, sampled)
    assert (found.n_sampled, found.n_compared, found.n_without) == (6, 4, 1)
    assert found.differing_outputs == [Differing(query=1, sample=5)]
    assert (found.compared, found.missing, found.differing) == ([3, 5, 10**15], [4], [5])


def test_what_names_no_sample_is_not_compared() -> None:
    outputs = SampledOutputs()
    outputs.add(None, b"one")
    outputs.add(1, b"one")
    outputs.add_reference(None, b"one")
    outputs.add_reference(2, b"two")
    outputs.add_reference(1, None)
    assert (outputs.n_sampled, outputs.n_without, outputs.n_compared) == (2, 1, 0)
    assert (outputs.compared, outputs.missing) == ([], [1])


def test_any_of_several_answers_will_do_and_they_are_unsteady() -> None:
    outputs = SampledOutputs()
    for sample, text in [(1, b"a"), (1, b"a"), (2, b"a"), (2, b"c"), (3, b"b")]:
        outputs.add(sample, text)
    for sample, text in [(1, b"a"), (2, b"a"), (3, b"a"), (3, b"b")]:
        outputs.add_reference(sample, text)
    assert (outputs.differing, outputs.unsteady) == ([2], [2, 3])


def test_the_differing_are_in_the_order_of_their_queries() -> None:
    found = _compared({0: "a"}, [(0, "b")] * 100)
    assert [output.query for output in found.differing_outputs] == list(range(100))


@given(st.dictionaries(st.integers(0, 50), st.sampled_from("abc"), min_size=1), st.data())
def test_every_comparison_is_counted_once(answered: dict[int, str], data: st.DataObject) -> None:
    texts = st.none() | st.sampled_from("abc")
    sampled = data.draw(st.lists(st.tuples(st.integers(0, 60), texts), max_size=80))
    found = _compared(answered, sampled)
    comparable = [(sample, text) for sample, text in sampled if text and sample in answered]
    assert found.n_compared == len(comparable)
    assert found.n_compared - len(found.differing_outputs) == sum(answered[row] == text for row, text in comparable)


def test_a_diff_shows_where_two_texts_part() -> None:
    assert diff("the answer is (B).", "the answer is (C).") == (
        "@@ character 15 @@\n-the answer is (B).\n+the answer is (C)."
    )
    assert diff("same start", "same start, and more") == "@@ character 10 @@\n-same start\n+same start, and more"
    assert diff("", "x") == "@@ character 0 @@\n-\n+x"


def test_a_diff_is_short() -> None:
    shown = diff("x" * 1000 + "a" + "y" * 1000, "x" * 1000 + "b" + "y" * 1000)
    before, after = shown.splitlines()[1:]
    assert before == "-…" + "x" * 60 + "a" + "y" * 139 + "…"
    assert after == "+…" + "x" * 60 + "b" + "y" * 139 + "…"
    lines = diff("\n" * 100, "a").splitlines()
    assert lines == ["@@ character 0 @@", "-", "-", "-", "-", "-", "-", "-…", "+a"]


def test_no_diff_without_texts() -> None:
    assert diff(None, "a") == diff("a", None) == ""
    assert diff("a" * 9, "a" * 9) == "@@ the first 9 characters are the same @@"


@given(st.text(), st.text())
def test_a_diff_names_the_first_difference(before: str, after: str) -> None:
    if before != after:
        at = int(diff(before, after).split()[2])
        assert before[:at] == after[:at]
        assert before[at : at + 1] != after[at : at + 1]
