"""`--mlperf-csv`: the files of a run and of its recheck, and what of a hostile server's words reaches a spreadsheet."""

from __future__ import annotations

import csv
import shutil

import pytest

from pytest_mlperf_audit.report.csv_text import csv_pieces
from tests.support.submission import Submission


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_and_its_recheck_leave_the_same_figures(audit):
    audit.config(None)
    result = audit.run("--mlperf-csv=sheets")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["csv: *sheets*wan22"])
    sheets = audit.path / "sheets" / "wan22"
    phases = {(row["audit"], row["phase"]): row for row in table(sheets / "phases.csv")}
    entry = audit.phase("reference")
    row = phases["test04", "reference"]
    assert float(row["qps"]) == entry["figures"]["qps"]
    assert float(row["latency.p99_s"]) == entry["figures"]["latency"]["p99_s"]
    queries = table(sheets / "queries-test04-reference.csv")
    assert len(queries) == entry["figures"]["n_issued"]
    assert {row["outcome"] for row in queries} == {"completed"}
    assert "throughput_ratio" in {row["name"] for row in table(sheets / "checks.csv")}
    again = audit.run("--mlperf-csv=again", f"--mlperf-recheck={audit.report()}", config=None)
    again.stdout.fnmatch_lines(["*CONFIRMED*"])
    for path in sheets.iterdir():
        if path.name != "checks.csv":  # a node id is the run's own
            assert (audit.path / "again" / "wan22" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("given", ["mlperf-reports/wan22/csv", "wan22.yaml"])
def test_files_among_what_is_judged_or_a_file_for_a_directory_are_refused(audit, given):
    audit.config(None)
    result = audit.run(f"--mlperf-csv={given}")
    assert result.ret == 4
    assert not audit.report().exists()


def test_no_text_is_a_formula_and_no_text_breaks_a_row():
    hostile = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '"=1', "a,b\r\n=2", "\uff1d1", "é"]
    raw = b"".join(csv_pieces([hostile, [-1.5, None, True]]))
    assert raw.endswith(b"\r\n")
    first, second = csv.reader(raw.decode("utf-8").splitlines())
    assert first == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'=1", '"=1', "a,b =2", "'\uff1d1", "é"]
    assert second == ["-1.5", "", "True"]


def test_two_finished_runs_of_one_name_do_not_write_over_each_other(audit):
    audit.config(None)
    audit.run()
    shutil.copytree(audit.report(), audit.path / "other" / "wan22")
    audit.run("--mlperf-csv=s", f"--mlperf-recheck={audit.report()}", "--mlperf-recheck=other/wan22", config=None)
    assert sorted(path.name for path in (audit.path / "s").iterdir()) == ["wan22", "wan22-2"]


def test_a_round_leaves_a_row_a_case_and_the_ini_file_may_ask_for_it(audit):
    case = "closed/NVIDIA/H200x8/resnet50/Offline"
    tree = Submission(audit.path / "v3.1")
    tree.test04(case)
    (audit.path / "pytest.ini").write_text("[pytest]\nmlperf_csv = sheets\n")
    assert audit.run("--mlperf-results=v3.1", config=None).ret == 0
    (row,) = table(audit.path / "sheets" / "v3.1" / "cases.csv")
    assert (row["submitter"], row["benchmark"], row["status"]) == ("NVIDIA", "resnet50", "PASS")
    assert float(row["ratio"]) == pytest.approx(1.0, abs=0.1)
