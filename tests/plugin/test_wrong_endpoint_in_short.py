"""A wrong key, port or model in an empty folder: a line or two, exit status 4, and none of pytest's header."""

from __future__ import annotations

import pytest

from tests.support.scripted_server import Server

_MOST_LINES = 6


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def refused(audit, *args):
    """Run pytest; return what it said, all of it."""
    result = audit.run(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [*result.outlines, *result.errlines]
    assert len(lines) <= _MOST_LINES, lines
    return "\n".join(lines)


@pytest.mark.parametrize("args", [(), ("-m", "test04"), ("-n", "2")])
def test_a_wrong_port(audit, closed_port, args):
    audit.config(f"http://127.0.0.1:{closed_port}", endpoint_config={"api_type": "openai"})
    assert "cannot be reached" in refused(audit, *args)


def test_a_wrong_key(audit, start_sut):
    audit.config(start_sut(token="right"), endpoint_config={"api_key": "wrong-key-1234"})
    assert "set endpoint_config.api_key" in refused(audit)


def test_a_wrong_model(audit, server):
    server.post = lambda _path, _body: (404, {"error": {"message": "The model `gpt-x` does not exist."}})
    audit.config(server.url, endpoint_config={"api_type": "openai"}, model_params={"name": "gpt-x"})
    assert "correct model_params.name" in refused(audit)


def test_the_answer_stands_in_the_header_where_all_is_well(audit, sut):
    audit.config(sut)
    lines = audit.run().outlines
    first = next(at for at, line in enumerate(lines) if "the first query took" in line)
    assert first < next(at for at, line in enumerate(lines) if line.startswith("rootdir:"))
    assert sum("the first query took" in line for line in lines) == 1
