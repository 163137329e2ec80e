"""Pages written for newcomers keep their sentences short; the picture of the README is small."""

from __future__ import annotations

import runpy

import pytest

from tests.support.doc_blocks import ROOT

STYLE = runpy.run_path(str(ROOT / "docs" / "check_style.py"))


PAGES = ("README.md", "docs/quickstart.md", "docs/first-run.md", "docs/formats.md", "docs/known-limitations.md")


@pytest.mark.parametrize("page", PAGES)
def test_few_sentences_are_long(page):
    long, count = STYLE["share"](STYLE["sentences"]((ROOT / page).read_text()))
    assert long < 0.05 * count, f"run: python docs/check_style.py {page}"


def test_words_are_counted():
    text = "# Title\n\nOne two three `four 4` five. Six\nseven eight nine.\n\n    code\n\n* an item of some list\n"
    assert [(s.line, s.words) for s in STYLE["sentences"](text)] == [(3, 5), (3, 4), (8, 5)]


def test_the_picture_is_small():
    assert (ROOT / "docs" / "report.png").stat().st_size <= 100_000
