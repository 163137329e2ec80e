"""datasets[].accuracy_config: what the endpoints tool has there loads; mistakes are named."""

from __future__ import annotations

import pytest

FILE = """\
type: offline
model_params: {name: model}
datasets:
  - path: prompts.jsonl
  - path: questions.jsonl
    type: accuracy
    accuracy_config:
      eval_method: pass_at_1
"""
WHERE = "wan22.yaml:9: datasets[1].accuracy_config"


def accuracy(load, lines: str = ""):
    indented = "".join(f"      {line}\n" for line in lines.splitlines())
    return load(FILE + indented).benchmark.datasets[1].accuracy_config


def test_defaults(load) -> None:
    found = accuracy(load)
    assert (found.ground_truth, found.extractor, found.command) == ("ground_truth", None, None)
    assert (found.timeout_ms, found.pattern, found.threshold) == (3_600_000, None, None)


@pytest.mark.parametrize(
    "lines",
    [
        "extractor: abcd_extractor\nground_truth: answer\nnum_repeats: 5",
        "extractor: python_code_extractor",
        "extractor: function_call_extractor\nextras: {a: 1}",
        "ground_truth: null",
    ],
)
def test_what_the_endpoints_tool_writes(load, lines) -> None:
    assert accuracy(load, lines).eval_method == "pass_at_1"


def test_a_command(load) -> None:
    found = accuracy(
        load, "command: [python, score.py, '--log={accuracy_log}', '{queries}', '{\"json\": 1}']\ntimeout_ms: 10m"
    )
    assert found.command == ("python", "score.py", "--log={accuracy_log}", "{queries}", '{"json": 1}')
    assert found.timeout_ms == 600_000


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("extractor: abcd", ".extractor: 'abcd' is not one of identity, "),
        ("extractor: multiple_choise", "did you mean 'multiple_choice'?"),
        ("extractor: pattern", ".extractor: pattern needs a regular expression; add 'pattern: ...'"),
        ("pattern: 'a(b)'", ".pattern: has no effect without command or 'extractor: pattern'; add one, or take it out"),
        ("pattern: '(a'\nextractor: pattern", ".pattern: is no regular expression (missing )"),
        ("pattern: 'score'\ncommand: [score]", ".pattern: has no group for the score; put the number in brackets"),
        ("command: score.py", ".command: expected a list, got 'score.py'"),
        ("command: []", ".command: "),
        ("command: ['']", ".command[0]: is empty; name a program"),
        ("command: [score, '{acuracy_log}']", "unknown placeholder {acuracy_log}; did you mean {accuracy_log}?"),
        ("timeout_ms: 0", ".timeout_ms: a scorer needs time; give at least 1s"),
        ("timeout_ms: soon", ".timeout_ms: expected milliseconds, or a number with a unit"),
        ("threshold: high", ".threshold: expected a number, got 'high'"),
        ("threshold: .nan", ".threshold: "),
    ],
)
def test_mistakes(fault, lines, message) -> None:
    indented = "".join(f"      {line}\n" for line in lines.splitlines())
    found = fault(FILE + indented)
    assert message in found
    assert "wan22.yaml:" in found


def test_where_a_mistake_is(fault) -> None:
    assert fault(FILE + "      extractor: pattern\n").startswith(f"{WHERE}.extractor: ")


def test_all_mistakes_at_once(fault) -> None:
    found = fault(FILE + "      pattern: '('\n      timeout_ms: 0\n      command: ['']\n")
    assert found.count("\n") == 2
