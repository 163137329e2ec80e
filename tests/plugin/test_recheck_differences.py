"""Whatever of a finished run was edited, exchanged, cut or made up is named: no traceback, and never a pass."""

from __future__ import annotations

import json
import os
import random
import shutil

import pytest

from pytest_mlperf_audit.audits.registry import shipped
from pytest_mlperf_audit.session.finished import find
from pytest_mlperf_audit.session.recheck import Recheck
from pytest_mlperf_audit.session.recheck_results import names_of_records, result


def results(directory):
    """Return what each test of a recheck comes to, without pytest: {"test04::throughput_ratio": Result}."""
    recheck = Recheck(find(directory), shipped())
    stored = recheck.run.stored
    names = [("records", name) for name in names_of_records(recheck)]
    names += [(entry.id, check.name) for entry in (stored.audits if stored else ()) for check in entry.checks]
    return {f"{group}::{name}": result(recheck, group, name) for group, name in names}


def wrong(directory):
    return {name: one.text for name, one in results(directory).items() if one.state != "confirmed"}


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content, indent=2) + "\n")


def test_an_honest_run_is_confirmed(finished_run, finished_simulation):
    assert wrong(finished_run) == {}
    assert wrong(finished_simulation) == {}


def swap(run, one, other):
    (run / "audit" / one).rename(run / "audit" / "aside")
    (run / "audit" / other).rename(run / "audit" / one)
    (run / "audit" / "aside").rename(run / "audit" / other)


def cut(run):
    path = run / "audit/reference/queries.jsonl"
    path.write_bytes(path.read_bytes()[:-20])


def drop_a_query(run):
    path = run / "audit/output_caching/queries.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def link(run):
    path = run / "audit/reference/queries.jsonl"
    path.rename(run.parent / "elsewhere")
    path.symlink_to(run.parent / "elsewhere")


def pipe(run):
    (run / "audit/reference/phase.json").unlink()
    os.mkfifo(run / "audit/reference/phase.json")


def foreign_phase(run):
    edit(run / "audit/reference/phase.json", lambda phase: phase.update(schema_version=99))


DAMAGE = {
    "phases_exchanged": (
        lambda run: swap(run, "reference", "output_caching"),
        {
            "records::artifacts": "audit/output_caching and audit/reference were exchanged",
            "records::audit[test04]": "record of another phase than the one planned, called 'output_caching'",
            "test04::throughput_ratio": "called 'output_caching'",
        },
    ),
    "phase_copied": (
        lambda run: shutil.copytree(run / "audit/reference", run / "audit/output_caching", dirs_exist_ok=True),
        {"records::artifacts": "audit/output_caching/phase.json holds what was recorded as audit/reference/phase.json"},
    ),
    "last_line_cut": (
        cut,
        {
            "records::artifacts": "audit/reference/queries.jsonl was altered: it has",
            "test04::completion[reference]": "queries.jsonl:8: the last record is cut short",
        },
    ),
    "query_dropped": (
        drop_a_query,
        {"test04::throughput_ratio": "do not follow from queries.jsonl, so one of them was edited or exchanged (n_is"},
    ),
    "phase_json_removed": (
        lambda run: (run / "audit/reference/phase.json").unlink(),
        {"records::artifacts": "phase.json is missing", "test04::throughput_ratio": "phase reference was cut short"},
    ),
    "phase_json_cut": (
        lambda run: os.truncate(run / "audit/reference/phase.json", 100),
        {"test04::throughput_ratio": "phase.json: not a phase record"},
    ),
    "foreign_phase": (foreign_phase, {"test04::throughput_ratio": "has schema version 99, and this version"}),
    "phase_removed": (
        lambda run: shutil.rmtree(run / "audit/cache_probe"),
        {"records::artifacts": "is missing", "test04::cache_probe": "phase cache_probe was not run"},
    ),
    "link": (link, {"records::artifacts": "is missing", "test04::throughput_ratio": "is no regular file"}),
    "pipe": (pipe, {"test04::throughput_ratio": "is no regular file"}),
    "no_config": (
        lambda run: (run / "config.yaml").unlink(),
        {"records::verdict": "config.yaml: cannot be used", "test04::throughput_ratio": "config.yaml: cannot be used"},
    ),
    "config_edited": (
        lambda run: (run / "config.yaml").write_text(
            (run / "config.yaml").read_text().replace("threshold: 0.9", "threshold: 0.8")
        ),
        {
            "records::audit[test04]": "settings.threshold: 0.9 stored, 0.8 recomputed",
            "test04::throughput_ratio": "limit: 1.9 stored, 1.8 recomputed",
        },
    ),
    "config_for_another_audit": (
        lambda run: (run / "config.yaml").write_text(
            (run / "config.yaml").read_text().replace("test: test04", "test: cache_probe").replace("samples: 8", "")
        ),
        {"test04::throughput_ratio": "config.yaml"},
    ),
    "audit_file": (
        lambda run: edit(run / "audit/audit_output_caching_test.json", lambda one: one.update(passed=False)),
        {"records::audit[test04]": "audit_output_caching_test.json: passed: False stored, True recomputed"},
    ),
    "marker": (
        lambda run: (run / "audit/verify_OUTPUT_CACHING_TEST.txt").write_text("Performance check pass: False\n"),
        {"records::audit[test04]": "does not say 'Performance check pass: True'"},
    ),
    "result_summary": (
        lambda run: edit(run / "performance/result_summary.json", lambda one: one.update(qps=1e6)),
        {"records::audit[performance]": "result_summary.json: qps: 1000000.0 stored, "},
    ),
    "summary_of_a_phase": (
        lambda run: edit(run / "audit/reference/performance/result_summary.json", lambda one: one.update(qps=1e6)),
        {"records::audit[test04]": "audit/reference/performance/result_summary.json: qps: 1000000.0 stored, "},
    ),
    "added": (
        lambda run: (run / "audit/reference/more.txt").write_text("x"),
        {"records::artifacts": "audit/reference/more.txt was added after the verdict"},
    ),
    "renamed": (
        lambda run: (run / "config.yaml").rename(run / "config.yml"),
        {"records::artifacts": "config.yaml is missing; config.yml holds what was recorded of it"},
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_records_are_named(finished_run, damage):
    harm, expected = DAMAGE[damage]
    harm(finished_run)
    found = wrong(finished_run)
    assert "records::artifacts" in found
    for test, said in expected.items():
        assert said in found[test]


def audit_entry(verdict):
    return next(entry for entry in verdict["audits"] if entry["id"] == "test04")


def figure(verdict):
    audit_entry(verdict)["figures"]["ratio"] = 0.5


def check(verdict):
    entry = audit_entry(verdict)["checks"][4]
    assert entry["name"] == "throughput_ratio"
    entry.update(observed=0.5, reason="as slow as a snail")


def failed_after_all(verdict):
    audit_entry(verdict)["checks"][0].update(status="failed", passed=False)


def left_out(verdict):
    del audit_entry(verdict)["checks"][0]


def forged_spec(verdict):
    audit_entry(verdict)["phases"][2]["spec"]["n_samples"] = 4


EDITS = {
    "status": (lambda verdict: verdict.update(status="FAIL"), "records::verdict", "status: 'FAIL' stored, 'PASS' rec"),
    "simulated": (lambda verdict: verdict.update(simulated=True), "records::verdict", "simulated: True stored, False"),
    "endpoint": (lambda verdict: verdict.update(endpoint="http://x"), "records::verdict", "endpoint: 'http://x' stor"),
    "model": (lambda verdict: verdict.update(model="gpt"), "records::verdict", "model: 'gpt' stored, 'wan22' recomp"),
    "figure": (figure, "records::audit[test04]", "figures.ratio: 0.5 stored, "),
    "note": (lambda verdict: audit_entry(verdict).update(notes=[]), "records::audit[test04]", "notes[0]: nothing"),
    "finding": (
        lambda verdict: audit_entry(verdict)["findings"][0].update(p=0.5),
        "records::audit[test04]",
        "findings[0].p: 0.5 stored",
    ),
    "arm": (lambda verdict: audit_entry(verdict)["arms"][0].update(n=99), "records::audit[test04]", "arms[0].n: 99"),
    "audit_status": (
        lambda verdict: audit_entry(verdict).update(status="INCOMPLETE"),
        "records::audit[test04]",
        "status: 'INCOMPLETE' stored, 'PASS' recomputed",
    ),
    "settings": (
        lambda verdict: audit_entry(verdict)["settings"].update(threshold=0.1),
        "records::audit[test04]",
        "settings.threshold: 0.1 stored, 0.9 recomputed",
    ),
    "check": (check, "test04::throughput_ratio", "test04 throughput_ratio: passed then, passed now: observed: 0.5"),
    "check_failed": (
        failed_after_all,
        "test04::completion[reference]",
        "failed then, passed now: status: 'failed' stored, 'passed' recomputed",
    ),
    "check_left_out": (left_out, "records::audit[test04]", "checks: completion[output_caching], "),
    "spec": (forged_spec, "test04::throughput_ratio", "the record of another phase than the one planned"),
    "phase_elsewhere": (
        lambda verdict: audit_entry(verdict)["phases"][0].update(directory="../../run/audit/x"),
        "records::verdict",
        "outside the run's directory",
    ),
    "no_test": (
        lambda verdict: audit_entry(verdict)["checks"][0].update(name="setup_method"),
        "records::verdict",
        "which cannot be; the file was edited",
    ),
    "no_audit": (
        lambda verdict: audit_entry(verdict).update(id="test99"),
        "test99::throughput_ratio",
        "audit test99 is not known here",
    ),
    "same_audit_twice": (
        lambda verdict: audit_entry(verdict).update(id="performance"),
        "records::verdict",
        "its audits are called",
    ),
    "foreign": (lambda verdict: verdict.update(schema_version=9), "records::verdict", "schema version 9, but this ver"),
}


@pytest.mark.parametrize("which", EDITS)
@pytest.mark.parametrize("believed", [False, True], ids=["edited", "with_a_new_digest"])
def test_an_edited_verdict_is_named(finished_run, reseal, which, believed):
    change, test, said = EDITS[which]
    edit(finished_run / "verdict.json", change)
    if believed:
        reseal(finished_run / "verdict.json")
    found = wrong(finished_run)
    assert said in found[test]
    assert believed or "records::verdict" in found


def test_what_no_record_tells_is_told_by_the_digest(finished_run, reseal):
    edit(finished_run / "verdict.json", lambda verdict: verdict["environment"].update(cpus=1000))
    assert list(wrong(finished_run)) == ["records::verdict"]
    assert "it was altered after it was written" in wrong(finished_run)["records::verdict"]
    reseal(finished_run / "verdict.json")
    assert wrong(finished_run) == {}


def test_a_verdict_without_a_digest_is_named(finished_run):
    edit(finished_run / "verdict.json", lambda verdict: verdict.pop("digest"))
    found = wrong(finished_run)
    assert list(found) == ["records::verdict"]
    assert "it has no digest at its end" in found["records::verdict"]


def test_words_of_another_version_may_differ_and_figures_may_not(finished_run, reseal):
    def older(verdict):
        verdict["tool"]["version"] = "0.0.1"
        for entry in verdict["audits"]:
            entry.update(notes=["other words"], title="Other words")
            del entry["figures"]["qps" if "qps" in entry["figures"] else "ref_cv"]
            for one in entry["checks"]:
                one["reason"] = "other words"

    edit(finished_run / "verdict.json", older)
    reseal(finished_run / "verdict.json")
    assert wrong(finished_run) == {}
    edit(finished_run / "verdict.json", figure)
    reseal(finished_run / "verdict.json")
    assert "figures.ratio: 0.5 stored" in wrong(finished_run)["records::audit[test04]"]


def test_submission_files_beside_a_simulated_run_are_named(finished_simulation, finished_run):
    for name in ("audit/audit_output_caching_test.json", "performance/result_summary.json"):
        shutil.copy(finished_run / name, finished_simulation / name)
    found = wrong(finished_simulation)
    assert "though an audit that is simulated gives no submission file" in found["records::audit[test04]"]
    assert "only a complete run against a real endpoint" in found["records::audit[performance]"]
    assert "was added after the verdict" in found["records::artifacts"]


@pytest.mark.parametrize("seed", range(150))
def test_any_altered_byte_is_found(finished_run, seed):
    rng = random.Random(seed)
    files = [path for path in sorted(finished_run.rglob("*")) if path.is_file() and path.name != "report.html"]
    path = rng.choice(files)
    raw = bytearray(path.read_bytes())
    at = rng.randrange(len(raw))
    raw[at] ^= rng.randrange(1, 256)
    path.write_bytes(raw)
    assert wrong(finished_run), f"{path.name}: byte {at} is now {raw[at]}"
