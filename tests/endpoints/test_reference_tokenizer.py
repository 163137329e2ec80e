"""Replies as one message, counted by a model's own tokenizer and chat template: MLPerf Endpoints' rules, § 2.8."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_mlperf_audit.endpoints.reference import ReferenceTokenizer, RenderError, load_reference
from pytest_mlperf_audit.errors import PlanError
from pytest_mlperf_audit.runs.message import AssistantMessage, ToolCall
from tests.support.reference import PLAIN, REASONS, write_reference

pytest.importorskip("tokenizers")

CALL = ToolCall("look", '{"at": "é"}', "id7")


def reference(path, template=REASONS, **how):
    return load_reference(write_reference(path / "model", template, **how), ())


@pytest.mark.parametrize(
    ("message", "n_bytes"),
    [
        (AssistantMessage(content="héllo"), 6),
        (AssistantMessage(), 0),
        (AssistantMessage(content="so", reasoning="why"), len("<think>why</think>so")),
        (AssistantMessage(tool_calls=(CALL,)), len('look({"at": "é"})'.encode())),
        (AssistantMessage(tool_calls=(ToolCall("look", "[1]"),)), len('look("[1]")')),
        (AssistantMessage(content="<end>"), 5),
    ],
    ids=["text", "nothing", "reasoning", "object", "other arguments", "looks like a frame"],
)
def test_a_reply_is_rendered_once_less_the_frame_of_an_empty_one(tmp_path, message, n_bytes):
    assert reference(tmp_path).count(message) == n_bytes


def test_a_template_in_the_settings_knows_special_tokens(tmp_path):
    found = reference(tmp_path, PLAIN, in_settings=True)
    assert found.count(AssistantMessage(content="four")) == 4
    assert (found.reasoning_field, found.count(AssistantMessage(content="four", reasoning="why"))) == ("", 4)


@pytest.mark.parametrize("field", ["reasoning_content", "thinking", "reasoning"])
def test_reasoning_goes_where_the_template_reads_it(tmp_path, field):
    found = reference(tmp_path, PLAIN.replace("{{ m.content", f"{{{{ m.{field} }}}}{{{{ m.content"))
    assert (found.reasoning_field, found.count(AssistantMessage(content="a", reasoning="why"))) == (field, 4)


def test_what_templates_use_beside_jinja(tmp_path):
    used = "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{% generation %}{{ m.content }}"
    found = reference(tmp_path, used + "{% endgeneration %}{% endfor %}{{ strftime_now('%Y-%m-%d') }}")
    assert found.count(AssistantMessage(content="abc")) == 3
    assert found is load_reference(tmp_path / "model", ())


def test_what_the_template_refuses_is_told(tmp_path):
    found = reference(tmp_path, PLAIN + "{% if messages[-1].tool_calls %}{{ raise_exception('no tools') }}{% endif %}")
    with pytest.raises(RenderError, match="no tools"):
        found.count(AssistantMessage(tool_calls=(CALL,)))


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% for m in messages %}", "its chat template cannot be used"),
        ("{{ raise_exception('never') }}", "never"),
        ("{% for m in messages %}{{ m.role }}{% endfor %}", "leaves out what the assistant says"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError"),
        ("", "has no chat template"),
    ],
    ids=["broken", "refuses all", "says nothing", "changes", "escapes", "empty"],
)
def test_a_template_that_cannot_count_is_refused(tmp_path, template, why):
    with pytest.raises(PlanError, match=why):
        reference(tmp_path, template, in_settings=True)


def test_a_directory_is_looked_for_and_must_be_whole(tmp_path):
    write_reference(tmp_path / "model")
    assert isinstance(load_reference(Path("model"), (tmp_path / "no", tmp_path)), ReferenceTokenizer)
    with pytest.raises(PlanError, match="org/model is no directory; name the local one"):
        load_reference(Path("org/model"), (tmp_path,))
    (tmp_path / "model" / "tokenizer.json").unlink()
    (tmp_path / "bad").mkdir()
    with pytest.raises(PlanError, match=r"bad: tokenizer .*tokenizer\.json: cannot be read"):
        load_reference(Path("bad"), (tmp_path,))


@pytest.mark.parametrize("settings", ["{", "[1]"])
def test_settings_that_are_none(tmp_path, settings):
    place = write_reference(tmp_path / "model")
    (place / "tokenizer_config.json").write_text(settings)
    with pytest.raises(PlanError, match=r"tokenizer_config\.json"):
        load_reference(place, ())


def test_one_of_several_templates(tmp_path):
    place = write_reference(tmp_path / "model", in_settings=True)
    named = [{"name": "tools", "template": "x"}, {"name": "default", "template": PLAIN}]
    (place / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert load_reference(place, ()).count(AssistantMessage(content="four")) == 4


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in [1] %}" * 25 + "x" + "{% endfor %}" * 25,
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{% break %}",
        "{% for %}",
        "{{ raise_exception('no') }}",
    ],
    ids=["nested", "deep", "no loop", "syntax", "raises"],
)
def test_a_template_that_cannot_be_compiled_or_rendered_is_one_message(tmp_path, template):
    with pytest.raises(PlanError, match=r"model: its chat template cannot be used \(.*\); name the directory"):
        reference(tmp_path, template + PLAIN)


def test_half_a_character_in_the_arguments_of_a_call_is_refused_and_no_crash(tmp_path):
    """An endpoint may send any text as arguments; json makes a lone surrogate of this one."""
    with pytest.raises(RenderError, match="no Unicode text"):
        reference(tmp_path).count(AssistantMessage(tool_calls=(ToolCall("look", r'{"at": "\ud800"}'),)))
