"""Runs edited by somebody who computed figures, verdict and digests anew: what contradicts itself is named."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.plugin.test_recheck_differences import edit, wrong
from tests.support.forge import believed, edit_phase, edit_queries

AUDIT = "records::audit[test04]"


def repeats(run):
    return run / "audit/output_caching"


def reference(run):
    return run / "audit/reference"


def test_computing_anew_what_was_not_edited_changes_nothing(finished_run):
    believed(finished_run)
    assert wrong(finished_run) == {}


def shifted(directory: Path, **by: float) -> None:
    phase = json.loads((directory / "phase.json").read_text())
    moment = datetime.fromisoformat(phase["started_at"]) + timedelta(**by)
    edit_phase(directory, started_at=moment.isoformat(timespec="milliseconds"))


def from_another_run(run):
    """The repeats of a run an hour later, against the same endpoint."""
    shifted(repeats(run), hours=1)


def from_an_earlier_run(run):
    shifted(repeats(run), hours=-1)


def twice(queries):
    return [*queries, *({**query, "reply_id": f"again-{at}"} for at, query in enumerate(queries))]


def renumbered(queries):
    return [*queries, *({**query, "query": 100, "reply_id": "again"} for query in queries[:1])]


def of_another_row(queries):
    return [{**query, "sample": 5} for query in queries]


def back_in_time(queries):
    queries[0]["completed_ns"] = queries[0]["issued_ns"] - 1


def an_hour_long(queries):
    queries[-1]["completed_ns"] += 3600 * 10**9


def fewer(queries):
    return queries[:4]


FORGED = {
    "another_run": (from_another_run, "phase output_caching ended after the run, at "),
    "earlier_run": (from_an_earlier_run, "before the end of phase reference: it is of another run"),
    "no_time": (lambda run: edit_phase(repeats(run), started_at="now"), "is said to begin at 'now'"),
    "twice": (lambda run: edit_queries(repeats(run), twice), "phase output_caching: query 0 is there twice"),
    "renumbered": (lambda run: edit_queries(repeats(run), renumbered), "there is a query 100, and 9 were issued"),
    "row": (
        lambda run: edit_queries(repeats(run), of_another_row),
        "query 0 is of row 5, and the phase's order has row 3",
    ),
    "rows": (
        lambda run: edit_queries(reference(run), of_another_row),
        "row 5 was sent twice, and the phase's order has",
    ),
    "back": (lambda run: edit_queries(repeats(run), back_in_time), "query 0 completed before it was issued"),
    "hour": (lambda run: edit_queries(repeats(run), an_hour_long), "the queries of phase output_caching took 3600"),
    "fewer": (lambda run: edit_queries(reference(run), fewer), "stopped at its count of 8, and 4 queries were issued"),
    "ceiling": (lambda run: edit_phase(reference(run), stopped_by="ceiling"), "at its ceiling, and it has none"),
    "load": (
        lambda run: edit_phase(repeats(run), spec={"load": {"type": "concurrency", "target": 1}}),
        "phase output_caching was driven as Concurrency(target=1), config.yaml asks for MaxThroughput",
    ),
    "order": (
        lambda run: edit_phase(repeats(run), spec={"order": {"kind": "sequential"}}),
        "is of row 3, and the phase's order has row 0 there",
    ),
}


@pytest.mark.parametrize("which", FORGED)
def test_records_that_contradict_themselves_are_named(finished_run, which):
    forge, said = FORGED[which]
    forge(finished_run)
    believed(finished_run)
    assert said in wrong(finished_run)[AUDIT]


def small(run):
    edit_queries(reference(run), fewer)
    edit_phase(reference(run), spec={"n_samples": 4})


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (small, "phase reference was run with 4 queries, 8 are asked for"),
        (lambda run: _configured(run, "sample_index: 3", "sample_index: 2"), "repeated row 3, 2 is asked for"),
        (lambda run: _configured(run, "samples: 8", "samples: 7"), "was run with 8 queries, 7 are asked for"),
    ],
    ids=["phase", "row", "size"],
)
def test_records_of_another_yaml_give_no_verdict(finished_run, forge, said):
    forge(finished_run)
    believed(finished_run)
    found = wrong(finished_run)
    assert said in found["test04::throughput_ratio"]
    assert "records::verdict" in found


def _configured(run, old, new):
    path = run / "config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(("left_out", "place"), [("test04", "audit"), ("performance", "performance")])
def test_an_audit_taken_out_is_missed(finished_run, left_out, place):
    def take_out(verdict):
        verdict["audits"] = [entry for entry in verdict["audits"] if entry["id"] != left_out]

    edit(finished_run / "verdict.json", take_out)
    shutil.rmtree(finished_run / place)
    edit(finished_run / "verdict.json", lambda verdict: verdict.update(digest=""))
    believed(finished_run)
    found = wrong(finished_run)
    assert list(found) == ["records::verdict"]
    assert f"config.yaml asks for {left_out}, which the verdict does not have" in found["records::verdict"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("verdict.json", "and none that we write has more than"),
        ("audit/reference/phase.json", "and none that we write has more than"),
        ("audit/reference/queries.jsonl", "queries.jsonl:9: is longer than any query record"),
        ("audit/audit_output_caching_test.json", "and none that we write has more than"),
        ("added", "added was added after the verdict"),
    ],
)
def test_files_of_any_size_fill_no_memory(finished_run, name, said):
    with (finished_run / name).open("ab") as file:
        file.truncate(1 << 36)
    assert any(said in told for told in wrong(finished_run).values())


def test_a_run_with_directories_deeper_than_python_recurses(finished_run, monkeypatch):
    monkeypatch.chdir(finished_run)
    for _ in range(1200):
        Path("d").mkdir()
        os.chdir("d")
    Path("x.txt").write_text("x")
    found = wrong(finished_run)
    Path("x.txt").unlink()
    for _ in range(1200):  # pytest's own cleaning up would recurse
        os.chdir("..")
        Path("d").rmdir()
    assert list(found) == ["records::artifacts"]


@pytest.mark.parametrize("name", ["run[1]", "a::b"])
def test_a_directory_that_pytest_cannot_name_is_refused(audit, finished_run, name):
    finished_run.rename(audit.path / name)
    result = audit.run(f"--mlperf-recheck={name}", config=None)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --mlperf-recheck: *pytest can collect nothing from a path with*"])


def test_a_whole_file_system_is_refused_without_a_look_at_it(audit):
    result = audit.run("--mlperf-recheck=/", config=None)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --mlperf-recheck: /: holds no verdict.json*"])
