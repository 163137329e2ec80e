"""report.html of a round: the verdict, a picture of it, what to act on, and every case; made for 10,000; no script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
import ziaplot
from markupsafe import Markup, escape

from ...audits.shipped import ratio_limits
from ...verdicts.round import RoundDocument
from ..canvas import MUTED, SERIES, Scale, count_scale, graph, limit_line, to_svg
from ..html import filled
from . import listing, words
from .checking import checking_of
from .picture import picture_of
from .places import Place, place, places
from .steps import steps

_LOW, _HIGH, _STEP = 0.5, 1.5, 0.025
#: So few cases are listed on paper one by one; a reader of more wants pages that can be turned.
_MOST_ON_PAPER: Final = 400
#: Names break behind these, and inside a word only where nothing else is left.
_BREAKS: Final = re.compile(r"([_/]+|-(?=\w))")


class _Submitter(msgspec.Struct, frozen=True):
    """The cases of one submitter in one division, and how many of them came to what."""

    place: Place
    counts: str
    bad: bool


class _Histogram(msgspec.Struct, frozen=True):
    """The ratios of one test: how many, and the chart."""

    test: str
    n: int
    description: str
    svg: Markup


def render(document: RoundDocument) -> str:
    """Return the page; deterministic. Where the tree lies on this machine is nowhere on it."""
    page = filled(
        "round.html.j2",
        run=document,
        words=words,
        tests=sorted({case.test for case in document.cases}),
        picture=picture_of(document),
        steps=steps(document),
        act=listing.to_act_on(document),
        skipped=listing.skipped(document),
        noted=listing.noted(document),
        differing=listing.differing(document),
        shown=listing.shown,
        submitters=list(_submitters(document)),
        histograms=list(_histograms(document)),
        checking=checking_of(document),
        on_paper=len(document.cases) <= _MOST_ON_PAPER,
        breakable=_breakable,
    )
    return _without_places(page, document)


def _without_places(page: str, document: RoundDocument) -> str:
    """Leave out where the tree lies, which a reason may name in front of a file's place in it."""
    tree = re.escape(str(escape(document.tree.rstrip("/"))))
    return re.sub(rf"(?<![\w.-]){tree}/", "", page) if tree else page


def _breakable(text: str) -> Markup:
    """Return a name that a line may break behind its parts only: H200-SXM-141GBx8_TRT."""
    return Markup(_BREAKS.sub(r"\1<wbr>", str(escape(text))))  # noqa: S704 - escaped here


def _submitters(document: RoundDocument) -> Iterator[_Submitter]:
    of_place: dict[str, list[str]] = {}
    for case in document.cases:
        of_place.setdefault(place(case), []).append(case.status)
    for one in places(document.cases):
        counts = {status: of_place[one.name].count(status) for status in dict.fromkeys(of_place[one.name])}
        yield _Submitter(one, words.of_counts(counts), bad=bool({"FAIL", "NO_VERDICT"} & counts.keys()))


def _histograms(document: RoundDocument) -> Iterator[_Histogram]:
    for test, limits in sorted(ratio_limits().items(), reverse=True):
        ratios = [
            float(ratio)
            for case in document.cases
            if case.test == test and isinstance(ratio := case.figures.get("ratio"), (int, float))
        ]
        if svg := _histogram_svg(ratios, limits, test):
            description = f"Histogram of {len(ratios)} ratios from {min(ratios):.3g} to {max(ratios):.3g}"
            yield _Histogram(test, len(ratios), description, Markup(svg))  # noqa: S704 - our own SVG of numbers


def _histogram_svg(ratios: Sequence[float], limits: Sequence[float], key: str) -> str | None:
    """Draw how many ratios fall where, those beyond the ends gathered in the last bars; None without any."""
    if not ratios:
        return None
    edges = np.arange(_LOW - _STEP, _HIGH + _STEP * 1.5, _STEP)
    middle = np.clip(np.asarray(ratios), edges[0] + _STEP / 2, edges[-1] - _STEP / 2)
    counts = [int(count) for count in np.histogram(middle, bins=edges)[0]]
    labels = ("≤ 0.5", "0.75", "1", "1.25", "≥ 1.5")
    x = Scale("audit score / reference score", float(edges[0]), float(edges[-1]), (0.5, 0.75, 1, 1.25, 1.5), labels)
    y = count_scale("audits", max(counts) * 1.05)
    with graph(x, y, 158) as drawn:
        drawn.add(ziaplot.Bars(list(edges[:-1]), counts, width=_STEP, align="left").color(SERIES[0]))
        for limit in limits:
            limit_line(drawn, limit, f"{limit:g}", (y.low, y.high))
        drawn.add(ziaplot.Segment((1, y.low), (1, y.high)).color(MUTED).strokewidth(0.8).stroke("dashed"))
        return to_svg(drawn, "ratios", key)
