"""Real sessions in a wire format whose inputs are no text: what is sent, what is found, and how it is told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_mlperf_audit import recheck, run_audits
from pytest_mlperf_audit.verdicts.document import AuditEntry
from tests.support.numeric_api import Numbers, served
from tests.support.scripted_server import Server

N_ROWS = 24
VALUES = [[(37 * row + at * at) % 1000 for at in range(16)] for row in range(N_ROWS)]


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


@pytest.fixture
def audited(server, tmp_path, monkeypatch) -> Callable[..., AuditEntry]:
    """Audit the server; `audit` are the keys of the audit. The report is in `report`."""
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text("".join(json.dumps({"values": values}) + "\n" for values in VALUES))

    def session(kind: str, *, service_s: float = 0.004, **audit: Any) -> AuditEntry:
        served(server, kind, service_s)
        config = {
            "name": kind,
            "type": "offline",
            "model_params": {"name": "m"},
            "datasets": [{"path": "rows.jsonl", "type": "performance"}],
            "audit": {"only": True, **audit},
            "endpoint_config": {"api_type": "numbers", "endpoints": [server.url]},
        }
        Path("run.yaml").write_text(yaml.safe_dump(config))
        verdict = run_audits("run.yaml", report_dir="report", adapters=[Numbers])
        (entry,) = verdict.audits
        return entry

    return session


def states(entry: AuditEntry) -> dict[str, str]:
    return {state.kind: state.state for state in entry.kinds}


@pytest.mark.parametrize(("kind", "found"), [("exact", "response"), ("rounded", "near_duplicate")])
def test_a_cache_is_found_and_told_in_words_of_the_format(audited, kind, found):
    entry = audited(kind, test="cache_probe", bursts=False)
    assert (entry.status, states(entry)[found]) == ("FAIL", "found")
    assert [state for state in ("prefix", "semantic") if states(entry)[state] != "not looked for"] == []
    (sentence,) = {finding.sentence for finding in entry.findings if finding.kind == found and "made-up" in finding.of}
    assert Numbers.twins in sentence
    page = Path("report/report.html").read_text()
    assert Numbers.twins in page
    for words in ("last word", "new ending", "new beginning", "same meaning", "made-up prompts"):
        assert words not in page, words
    assert recheck("report").verdict == "CONFIRMED"


def test_an_honest_server_is_sent_twins_of_its_row_and_does_not_fail(audited, server):
    probe = {"groups": 6, "bursts": False, "url": False}
    entry = audited("honest", test="test04", samples=N_ROWS, sample_index=3, reference="twins", probe=probe)
    assert entry.status != "FAIL"
    sent = [tuple(body["values"]) for _, body in server.posts]
    row = tuple(map(float, VALUES[3]))
    twins = {values for values in sent if values != row and tuple(map(int, values)) == row}
    assert len(twins) >= N_ROWS
    assert all(sum(one != other for one, other in zip(values, row, strict=True)) == 1 for values in twins)
    assert Counter(sent)[row] >= N_ROWS
    assert not [check for check in entry.checks if check.name.startswith("requests_") and not check.passed]
