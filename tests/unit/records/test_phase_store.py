from __future__ import annotations

import json

import msgspec
import pytest

from pytest_mlperf_audit.errors import NoVerdictError, RecordError
from pytest_mlperf_audit.records.log import QueryLog
from pytest_mlperf_audit.records.store import complete_phase, consistent, read_phase, set_aside, started, write_phase


def test_a_phase_is_read_as_it_was_written(tmp_path, record):
    write_phase(tmp_path / "reference", record(endpoint="http://127.0.0.1:1", simulated=True, attempt=2))
    assert read_phase(tmp_path / "reference") == record(endpoint="http://127.0.0.1:1", simulated=True, attempt=2)
    assert complete_phase(tmp_path / "reference").attempt == 2


def test_phase_json_is_fit_for_people(tmp_path, record):
    write_phase(tmp_path, record())
    text = (tmp_path / "phase.json").read_text()
    assert text.endswith("}\n")
    assert json.loads(text)["spec"]["order"] == {"kind": "single", "index": 1}
    assert json.loads(text)["schema_version"] == 1


def test_no_phase(tmp_path):
    assert read_phase(tmp_path) is None
    assert not started(tmp_path)
    with pytest.raises(NoVerdictError, match="was not run"):
        complete_phase(tmp_path)


def test_a_phase_whose_process_was_killed(tmp_path, query):
    with QueryLog(tmp_path / "queries.jsonl") as log:
        log.append(query(0))
    assert started(tmp_path)
    assert read_phase(tmp_path) is None
    with pytest.raises(NoVerdictError, match="was cut short: its process ended in mid-phase"):
        complete_phase(tmp_path)


@pytest.mark.parametrize("status", ["interrupted", "endpoint_lost", "undrained", "crashed"])
@pytest.mark.parametrize("reason", [None, "the reason"])
def test_only_a_complete_phase_may_be_judged(tmp_path, record, status, reason):
    write_phase(tmp_path, record(status=status, reason=reason))
    with pytest.raises(NoVerdictError, match=f"phase reference: {reason or status}"):
        complete_phase(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(b'"schema_version": 1', b'"schema_version": 2'), "schema version 2, .* reads 1"),
        (lambda _: b'{"schema_version": 7, "shape": "another"}', "schema version 7"),
        (lambda _: b"{}", "not a phase record"),
        (lambda _: b"", "not a phase record"),
        (lambda text: text[: len(text) // 2], "not a phase record"),
        (lambda text: text.replace(b"complete", b"finished", 1), "not a phase record"),
        (lambda text: text.replace(b'"label"', b'"\xff"'), "not a phase record"),
        (lambda text: text.replace(b'"kind": "single"', b'"kind": "doubled"'), "not a phase record"),
        (lambda _: b"[" * 100_000, "not a phase record"),
    ],
)
def test_a_foreign_or_damaged_record_is_named(tmp_path, record, change, message):
    write_phase(tmp_path, record())
    path = tmp_path / "phase.json"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RecordError, match=message) as caught:
        read_phase(tmp_path)
    assert str(path) in str(caught.value)


def test_a_record_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "phase.json").mkdir()
    with pytest.raises(RecordError, match=r"phase.json: cannot be read \("):
        read_phase(tmp_path)


def test_attempts_are_set_aside_one_after_another(tmp_path, record, query):
    assert set_aside(tmp_path) == 1
    for attempt in (1, 2, 3):
        with QueryLog(tmp_path / "queries.jsonl") as log:
            log.append(query(attempt))
        if attempt == 2:
            write_phase(tmp_path, record(attempt=2))
        assert set_aside(tmp_path) == attempt + 1
        assert not started(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["attempt-1", "attempt-2", "attempt-3"]
    assert sorted(path.name for path in (tmp_path / "attempt-2").iterdir()) == ["phase.json", "queries.jsonl"]
    kept = read_phase(tmp_path / "attempt-2")
    assert kept is not None
    assert kept.attempt == 2
    lines = (tmp_path / "attempt-3" / "queries.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line)["query"] for line in lines] == [3]


def test_setting_aside_touches_nothing_else(tmp_path, query):
    with QueryLog(tmp_path / "queries.jsonl") as log:
        log.append(query(0))
    (tmp_path / "notes.txt").write_text("mine")
    set_aside(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_record_of_before_tenths_and_the_clients_state_follows_from_its_queries(tmp_path, record, query):
    with QueryLog(tmp_path / "queries.jsonl") as log:
        for number in range(3):
            log.append(query(number))
    write_phase(tmp_path, record())
    now = read_phase(tmp_path)
    assert now is not None
    assert now.figures.qps_by_tenth
    assert consistent(tmp_path, now).figures == now.figures
    content = json.loads((tmp_path / "phase.json").read_text())
    del content["client"], content["figures"]["qps_by_tenth"], content["figures"]["most_in_flight"]
    (tmp_path / "phase.json").write_text(json.dumps(content))
    old = read_phase(tmp_path)
    assert old is not None
    assert (old.client, old.figures.qps_by_tenth, old.figures.most_in_flight) == (None, (), 0)
    assert consistent(tmp_path, old).figures == old.figures


@pytest.mark.parametrize("changes", [{"most_in_flight": 2}, {"qps_by_tenth": (1.0,) * 10}, {"qps_by_tenth": ()}])
def test_tenths_that_were_edited_do_not_follow(tmp_path, record, query, changes):
    with QueryLog(tmp_path / "queries.jsonl") as log:
        for number in range(3):
            log.append(query(number))
    edited = record()
    edited = msgspec.structs.replace(edited, figures=msgspec.structs.replace(edited.figures, **changes))
    with pytest.raises(RecordError, match=r"its figures do not follow from queries\.jsonl"):
        consistent(tmp_path, edited)


def test_what_several_workers_left_is_set_aside_as_well(tmp_path):
    names = ["queries.jsonl", "queries.worker-0.jsonl", "queries.worker-12.jsonl"]
    for name in names:
        (tmp_path / name).write_text("")
    assert set_aside(tmp_path) == 2
    assert sorted(path.name for path in (tmp_path / "attempt-1").iterdir()) == names
    assert [path.name for path in tmp_path.iterdir()] == ["attempt-1"]
