"""What asks for nothing that there is says so: a misspelt marker, a part that has nothing to send."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("test4", "-m 'test4' selects no check of wan22.yaml; did you mean 'test04'? its markers are mlperf, test04"),
        ("performance", "-m 'performance' selects no check of wan22.yaml; its markers are mlperf, test04"),
        ("not mlperf", "-m 'not mlperf' selects no check of wan22.yaml; its markers are mlperf, test04"),
    ],
)
def test_a_marker_that_selects_nothing_is_told(audit, sut, expression, told):
    audit.config(sut)
    result = audit.run("-m", expression)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines([f"mlperf-audit: {told}"])
    assert sut.received == 0


def test_where_other_tests_were_selected_nothing_is_told(audit, sut):
    audit.config(sut)
    (audit.path / "test_own.py").write_text(
        "import pytest\n\n@pytest.mark.skipif(False, reason='')\ndef test(): pass\n"
    )
    result = audit.run("-m", "skipif")
    assert result.ret == 0
    assert "selects no check" not in str(result.stdout)


def test_a_part_that_has_nothing_to_send_says_so_in_the_header(audit, sut):
    audit.config(sut, type="submission", benchmark_mode="offline", audit={"only": False})
    lines = audit.run("--co").outlines
    assert sum(", accuracy (nothing to send)" in line for line in lines) == 1
    assert "accuracy ()" not in "\n".join(lines)
