"""audit/audit_<name>.json of an endpoints submission: does what it says follow from the figures in it?

Its fields are those of the endpoints tool (mlcommons/endpoints, `compliance/result.py` and
`compliance/audit_test/output_caching_test.py`), and ours, which add to them. The submission checker reads `test` and
`passed` only (`checks/compliance_check.py`, compliance_endpoints_check).
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from ...errors import RecordError
from ...loadgen.detail import finite
from ...loadgen.text import read
from ...text import plain
from ..shipped import audit_file_tests
from ..verdict import Check, Figure
from .case import AuditDirectory, Defect, Reverified, Upstream
from .score import tolerance_of_rates

SCRIPT: Final = "submission_checker/checks/compliance_check.py"
_READS_TWO_FIELDS: Final = Defect(
    "reads_two_fields",
    SCRIPT,
    "the checker reads `test` and `passed` of the file, and neither the figures beside them nor the failed queries",
)

#: The tests whose files have figures that their verdict follows from.
_WITH_FIGURES: Final = audit_file_tests()
_MARKER = re.compile(r"Performance check pass: (True|False)")
_MOST_BYTES: Final = 64 * 2**20
_UNFOUNDED: Final = Check(
    name="figures",
    passed=None,
    observed=None,
    limit=None,
    reason="the file has no figures from which its verdict could be worked out again, so it rests on its word",
)


def verify(found: AuditDirectory) -> Reverified:
    """Return what the file shows. Raises RecordError when it cannot be read."""
    name = found.path.stem.removeprefix("audit_")
    data = read_object(found.path)
    checks = [_named(data, name), _claimed(data), *_marker(found.path, name, data)]
    figures: dict[str, Figure] = {}
    if found.test in _WITH_FIGURES:
        judge = import_module(f"..{found.test}.published_file", __package__).judge
        of_test, figures = judge(data, found)
        checks += of_test
    else:
        checks.append(_UNFOUNDED)
    rule = [check for check in checks if check.name not in ("passed", "marker")]
    broken = [check.name for check in rule if check.passed is False]
    if data.get("passed") is True and (told := list(dict.fromkeys([*broken, *_unpassed(data)]))):
        checks.append(_contradicted(told))
    notes = [*_foreign(found), *_threshold(data, found.scenario)]
    return Reverified(
        checks=checks,
        recorded=_recorded(data),
        figures=figures,
        notes=notes,
        upstream=[_upstream(data, name, tuple(check.name for check in checks))],
        defects=[_READS_TWO_FIELDS],
    )


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file. Raises RecordError."""
    raw = read(path, _MOST_BYTES)
    if raw is None:
        raise RecordError(f"{path}: there is no such file; it was moved while the tree was read, or links to nothing")
    try:
        data = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise RecordError(f"{path}: is no JSON ({error}); it was cut short or edited") from error
    if not isinstance(data, dict):
        raise RecordError(f"{path}: holds no JSON object; it is no audit file")
    return data


def _named(data: dict[str, Any], name: str) -> Check:
    test = data.get("test")
    return Check(
        name="test",
        passed=test == name,
        observed=test if isinstance(test, str) else None,
        limit=name,
        reason=f"the file is of the audit {test!r:.80}, and its name says {name!r}",
    )


def _claimed(data: dict[str, Any]) -> Check:
    passed = data.get("passed")
    if not isinstance(passed, bool):
        reason = f"`passed` is {passed!r:.80} where true or false is due" if "passed" in data else "it has no `passed`"
        return Check(name="passed", passed=None, observed=None, limit=True, reason=reason)
    why = data.get("reason")
    reason = f"the audit says that it {'passed' if passed else 'failed'}" + (f": {plain(str(why))}" if why else "")
    return Check(name="passed", passed=passed, observed=passed, limit=True, reason=reason)


def _marker(path: Path, name: str, data: dict[str, Any]) -> list[Check]:
    """Compare with verify_<NAME>.txt, where there is one: both are written by one run."""
    raw = read(path.with_name(f"verify_{name.upper()}.txt"), _MOST_BYTES)
    if raw is None:
        return []
    match = _MARKER.search(raw.decode("utf-8", "replace"))
    said = match[1] == "True" if match else None
    return [
        Check(
            name="marker",
            passed=None if said is None else said == data.get("passed"),
            observed=said,
            limit=data.get("passed") is True,
            reason=f"verify_{name.upper()}.txt "
            + ("says nothing" if said is None else f"says {said}, the JSON says {data.get('passed')!r:.80}"),
        )
    ]


def _unpassed(data: dict[str, Any]) -> list[str]:
    """Return the checks that the file itself lists and that did not pass; ours list all of theirs."""
    listed = data.get("checks")
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [plain(str(one.get("name")))[:60] for one in entries if one.get("passed", True) is not True]


def _contradicted(broken: list[str]) -> Check:
    reason = f"the file says `passed`: true, which does not follow from what else it says ({', '.join(broken)})"
    return Check(name="figures_agree", passed=False, observed=True, limit=False, reason=reason)


def _foreign(found: AuditDirectory) -> list[str]:
    """Say where more can be had: our own runs leave every query."""
    if any((base / "verdict.json").is_file() for base in found.path.parents[1:3]):
        return ["its query records were published as well: --mlperf-recheck recomputes every figure from them"]
    return []


def _threshold(data: dict[str, Any], scenario: str) -> list[str]:
    threshold, allowed = number_of(data, "threshold"), tolerance_of_rates(scenario)
    if threshold is None or threshold <= allowed:
        return []
    return [f"the run tolerated a speed-up of {threshold:.0%}, MLPerf's rule {allowed:.0%}; judged by the rule"]


def number_of(data: dict[str, Any], key: str) -> float | None:
    """Return a finite number of the file, None where it has none."""
    return finite(data.get(key))


def _recorded(data: dict[str, Any]) -> str:
    passed = data.get("passed")
    return ("PASS" if passed else "FAIL") if isinstance(passed, bool) else ""


def _upstream(data: dict[str, Any], name: str, checks: tuple[str, ...]) -> Upstream:
    if "test" not in data or "passed" not in data:
        return Upstream(script=SCRIPT, verdict="FAIL", reason="`test` or `passed` is missing", checks=checks)
    if data["test"] != name:
        return Upstream(script=SCRIPT, verdict="FAIL", reason="`test` is not the name of the file", checks=checks)
    passed = bool(data["passed"])
    reason = f"`passed` is {data['passed']!r:.80}" + (
        "" if isinstance(data["passed"], bool) else f", which is {passed} to it"
    )
    return Upstream(script=SCRIPT, verdict="PASS" if passed else "FAIL", reason=reason, checks=checks)
