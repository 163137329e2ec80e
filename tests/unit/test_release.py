"""What a release needs is in order: one version everywhere, actions and packages of CI pinned by hash."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pytest_mlperf_audit import __version__

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))


def test_the_version_is_one():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == __version__
    assert f"\n## {__version__} (" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.name))
def test_a_workflow_uses_what_is_pinned_and_may_no_more_than_it_needs(file: Path):
    text = file.read_text(encoding="utf-8")
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action) for action in used)
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", ["release", "test"])
def test_packages_of_ci_are_pinned_with_hashes(name: str):
    text = (ROOT / ".github" / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    packages = [block for block in re.split(r"\n(?=\S)", text.strip()) if not block.startswith("#")]
    assert packages
    assert all("==" in block and "--hash=sha256:" in block for block in packages)
