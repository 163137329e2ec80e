"""The shipped audits by id. Importing this file imports none of them, so that a session without a YAML stays light.

Adding an audit adds a line here: its id, and where its class is, as module beside this one and name. The folder of an
MLPerf test says the rest in its `__init__.py`, all of it optional: `MLPERF_NAME`, what the endpoints tool calls it, and
`RATIO_LIMITS`, the limits of the ratio of two published scores. One with a module `published` re-verifies
submissions, one with `published_file` judges the figures in the file of an endpoints submission.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Final

SHIPPED: Final = {
    "test01": "test01.live:Test01",
    "test04": "test04.live:Test04",
    "test06": "test06.live:Test06",
    "test07": "test07.live:Test07",
    "test09": "test09.live:Test09",
    "cache_probe": "probe.live:CacheProbe",
}

#: Tests of MLPerf that have a folder and no live audit: what they test is not asked over HTTP.
ONLY_PUBLISHED: Final = ("test08",)


def published_tests() -> tuple[str, ...]:
    """Return the tests of which a submission can be re-verified."""
    return tuple(test for test in _folders() if find_spec(f".{test}.published", __package__))


def audit_file_tests() -> tuple[str, ...]:
    """Return the tests whose file audit_<name>.json of an endpoints submission has figures to judge it by."""
    return tuple(test for test in published_tests() if find_spec(f".{test}.published_file", __package__))


def mlperf_names() -> dict[str, str]:
    """Return each test by its name in the endpoints tool, which the submission checker knows as well."""
    names = {test: getattr(import_module(f".{test}", __package__), "MLPERF_NAME", None) for test in _folders()}
    return {name: test for test, name in names.items() if name}


def ratio_limits() -> dict[str, tuple[float, ...]]:
    """Return the limits that MLPerf sets on the ratio of two scores, of the tests that have some."""
    limits = {test: getattr(import_module(f".{test}", __package__), "RATIO_LIMITS", ()) for test in _folders()}
    return {test: of_test for test, of_test in limits.items() if of_test}


def _folders() -> tuple[str, ...]:
    """Return the tests of MLPerf, each in a folder of its id."""
    return (*(test for test, home in SHIPPED.items() if home.startswith(f"{test}.")), *ONLY_PUBLISHED)
