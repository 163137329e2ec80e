"""A path of `http_json` at which no reply has anything is named in the terminal and in verdict.json."""

from __future__ import annotations

import pytest

from tests.support.scripted_server import Server


@pytest.fixture
def server():
    made = Server()
    made.post = lambda _path, _body: (200, {"out": "because", "id": "1"})
    yield made
    made.close()


def test_a_misspelt_id_is_a_warning_in_every_output(audit, server):
    http = {"path": "/predict", "body": {"q": "{prompt}"}, "twin": "prompt", "output": "out", "id": "idd"}
    audit.config(
        server.url, type="online", audit=None, model_params={"name": "m", "http": http},
        settings={"load_pattern": {"type": "concurrency", "target_concurrency": 1}},
        endpoint_config={"endpoints": [server.url], "api_type": "http_json"},
    )  # fmt: skip
    result = audit.run()
    assert result.ret == 0
    said = "the first reply has nothing at idd (model_params.http.id)"
    assert any(said in warning for warning in audit.verdict()["warnings"])
    assert said in (audit.report() / "report.html").read_text()
    assert "idd (model_params.http.id)" in " ".join(str(result.stdout).split())
