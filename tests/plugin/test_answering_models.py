"""The model that answers is kept with each query, and named where it is not the one asked for or does not stay."""

from __future__ import annotations

import json
from itertools import chain, repeat

import pytest

from tests.support.scripted_server import ANSWER, Server


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def run(audit, server, models):
    """Run test04 on a server that gives its replies these models' names in turn; return the warnings on models."""
    names = chain(models, repeat(models[-1]))  # there are further queries where the ratio has to be confirmed
    server.post = lambda _path, _body: (200, {**ANSWER, "model": next(names)})
    audit.config(server.url, endpoint_config={"api_type": "openai"}, model_params={"name": "m"})
    audit.run()
    return [warning for warning in audit.verdict()["warnings"] if "model_params.name" in warning]


def test_the_model_asked_for_is_no_news(audit, server):
    assert run(audit, server, ["m"] * 17) == []
    line = (audit.report() / "audit" / "reference" / "queries.jsonl").read_text().splitlines()[0]
    assert json.loads(line)["model"] == "m"


def test_another_model_is_named_once(audit, server):
    [told] = run(audit, server, ["m-2026"] * 17)
    assert told.startswith("replies come from model 'm-2026', not 'm' of model_params.name; make sure")


def test_models_that_change_between_phases_are_named(audit, server):
    [told] = run(audit, server, ["m"] * 9 + ["tiny"] * 8)
    assert "changes between phases (reference: 8 from 'm'; output_caching: 8 from 'tiny'" in told


def test_models_that_take_turns_are_named(audit, server):
    [told] = run(audit, server, ["m", "tiny"] * 9)
    assert "several models answer (reference: 4 from 'm', 4 from 'tiny'" in told
