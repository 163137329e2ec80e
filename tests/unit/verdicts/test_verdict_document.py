from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import jsonschema
import msgspec
import pytest

from pytest_mlperf_audit.audits.verdict import Check
from pytest_mlperf_audit.errors import RecordError
from pytest_mlperf_audit.verdicts.files import SCHEMA_FILE, read_verdict, verdict_schema, with_artifacts, write_verdict
from tests.support.entries import a_check, an_audit

DOCS = Path(__file__).parents[3] / "docs/verdict-format.md"
REGENERATE = "not current; run python docs/generate.py"


def _strict(text: bytes):
    def refuse(constant):
        raise AssertionError(f"{constant} in JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_published_schema_is_current_and_valid():
    assert json.loads(SCHEMA_FILE.read_text()) == verdict_schema(), REGENERATE
    jsonschema.Draft202012Validator.check_schema(verdict_schema())


@pytest.mark.parametrize("asked", [{}, {"simulated": True}, {"failed": 64}, {"rows": [3, 7]}, {"n": 1}, {"audits": ()}])
def test_documents_validate_and_read_back(make_run, tmp_path, asked):
    written = with_artifacts(make_run(**asked), tmp_path)
    path = write_verdict(written, tmp_path)
    jsonschema.Draft202012Validator(verdict_schema()).validate(_strict(path.read_bytes()))
    assert msgspec.structs.replace(read_verdict(path), digest="") == written
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("asked", [{}, {"cached": True, "streamed": True}, {"settings": {"design": "anytime"}}])
def test_documents_of_a_probe_validate_and_read_back(make_probe, tmp_path, asked):
    written = with_artifacts(make_probe(**asked), tmp_path)
    path = write_verdict(written, tmp_path)
    jsonschema.Draft202012Validator(verdict_schema()).validate(_strict(path.read_bytes()))
    assert msgspec.structs.replace(read_verdict(path), digest="") == written
    (audit,) = written.audits
    assert audit.findings
    assert audit.arms


def test_a_document_from_before_there_were_findings_is_read(make_run, tmp_path):
    path = write_verdict(with_artifacts(make_run(), tmp_path), tmp_path)
    old = json.loads(path.read_bytes())
    del old["digest"]
    for audit in old["audits"]:
        del audit["findings"], audit["arms"], audit["planned"]
        for check in audit["checks"]:
            del check["undecided"]
    path.write_text(json.dumps(old))
    assert read_verdict(path).audits[0].findings == ()


def test_the_documentation_names_every_field():
    page = DOCS.read_text(encoding="utf-8")
    for name, definition in verdict_schema()["$defs"].items():
        if name.endswith(("Document", "Entry", "Figures", "Summary", "Artifact", "Tool", "Finding")):
            missing = [field for field in definition["properties"] if f"`{field}`" not in page]
            assert missing == [], f"{name}: not in docs/verdict-format.md"


def test_the_schema_refuses_a_forged_document(make_run, tmp_path):
    forged = msgspec.to_builtins(with_artifacts(make_run(), tmp_path)) | {"status": "GREEN"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(verdict_schema()).validate(forged)


def test_checks_carry_observed_limit_and_reason(make_run, tmp_path):
    run = with_artifacts(make_run(repeat_s=0.01), tmp_path)
    (audit,) = run.audits
    ratio = audit.checks[-1]
    assert (run.status, ratio.name, ratio.status, ratio.passed) == ("FAIL", "throughput_ratio", "failed", False)
    assert ratio.node_id == "wan22.yaml::test04::throughput_ratio"
    assert ratio.limit == 1.1
    assert "not below the limit" in ratio.reason
    assert [phase.directory for phase in audit.phases] == [
        *("audit/reference", "audit/output_caching", "audit/confirmation")
    ]
    assert audit.phases[0].spec.n_samples == 64


def test_a_check_without_verdict_keeps_its_own_reason(make_run, tmp_path):
    lost = a_check(name="throughput_ratio", node_id="x::test04", status="error", reason="the endpoint was lost")
    audit = an_audit(id="test04", title="TEST04", status="NO_VERDICT", is_audit=True, checks=(lost,))
    (entry,) = with_artifacts(make_run(audits=(audit,)), tmp_path).audits[0].checks
    assert (entry.passed, entry.observed, entry.reason) == (None, None, "the endpoint was lost")


def test_every_file_is_digested_but_the_report_itself_and_hidden_ones(make_run, tmp_path):
    run = make_run()
    (tmp_path / "config.yaml").write_bytes(b"name: wan22\n")
    for name in ("verdict.json", "report.html", ".lock", "audit/.queries.jsonl.1.tmp"):
        (tmp_path / name).write_bytes(b"x")
    outside = tmp_path.parent / f"{tmp_path.name}-secret"
    outside.write_bytes(b"not ours")
    (tmp_path / "link").symlink_to(outside)
    artifacts = with_artifacts(run, tmp_path).artifacts
    assert list(artifacts) == [
        "audit/output_caching/phase.json",
        "audit/output_caching/queries.jsonl",
        "audit/reference/phase.json",
        "audit/reference/queries.jsonl",
        "config.yaml",
    ]
    assert artifacts["config.yaml"].sha256 == hashlib.sha256(b"name: wan22\n").hexdigest()
    assert artifacts["config.yaml"].bytes == 12


def test_nan_and_infinity_and_lone_surrogates_never_reach_json(make_run, tmp_path):
    check = Check(name="ratio", passed=False, observed=float("nan"), limit=float("inf"), reason="\udcff name")
    outcome = a_check(name="ratio", node_id="n", status="failed", check=check)
    audit = an_audit(
        id="a", title="A", status="FAIL", is_audit=True, checks=(outcome,), figures={"ratio": float("-inf"), "ok": 1.5}
    )
    written = with_artifacts(make_run(audits=(audit,), warnings=("\ud800",)), tmp_path)
    found = _strict(write_verdict(written, tmp_path).read_bytes())["audits"][0]
    assert found["figures"] == {"ratio": None, "ok": 1.5}
    assert (found["checks"][0]["observed"], found["checks"][0]["limit"]) == (None, None)
    assert found["checks"][0]["reason"] == "? name"


def test_describing_reads_no_file(make_run, tmp_path):
    outcome = make_run()
    shutil.rmtree(tmp_path / "audit")
    assert outcome.artifacts == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"schema_version": 2}', "schema version 2"),
        (b'{"schema_version": 1}', "not a verdict"),
        (b'{"status": "PASS"}', "not a verdict"),
        (b'{"schema_version": 1, "too', "not a verdict"),
        (b"\xff\xfe", "not a verdict"),
        (b"", "not a verdict"),
    ],
)
def test_a_foreign_or_broken_verdict_is_refused(tmp_path: Path, content, said):
    path = tmp_path / "verdict.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=said) as raised:
        read_verdict(path)
    assert str(path) in str(raised.value)


def test_a_missing_verdict_is_refused(tmp_path: Path):
    with pytest.raises(RecordError, match="cannot be read"):
        read_verdict(tmp_path / "verdict.json")
