from __future__ import annotations

import errno

import pytest

from pytest_mlperf_audit.records import artifacts as room
from pytest_mlperf_audit.records.artifacts import artifacts, what_changed

FILES = {
    "config.yaml": "a",
    "audit/reference/phase.json": "b",
    "audit/reference/queries.jsonl": "c",
    "audit/caching/phase.json": "d",
    "audit/caching/queries.jsonl": "e",
}


@pytest.fixture
def directory(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def changes(directory, change):
    recorded = dict(artifacts(directory, ()))
    change()
    return what_changed(recorded, dict(artifacts(directory, ())))


def test_every_file_is_told_in_order(directory):
    assert list(artifacts(directory, ("config.yaml",))) == [
        (name, one) for name, one in sorted(artifacts(directory, ())) if name != "config.yaml"
    ]
    assert list(dict(artifacts(directory, ()))) == sorted(FILES)


def test_nothing_changed(directory):
    assert changes(directory, lambda: None) == []


def test_exchanged_directories_are_told_once(directory):
    def swap():
        for one, other in [("reference", "aside"), ("caching", "reference"), ("aside", "caching")]:
            (directory / "audit" / one).rename(directory / "audit" / other)

    assert changes(directory, swap) == [
        "audit/caching and audit/reference were exchanged: each holds what was recorded of the other"
    ]


def test_exchanged_files(directory):
    one, other = directory / "audit/reference/queries.jsonl", directory / "audit/caching/queries.jsonl"

    def swap():
        one.rename(directory / "aside")
        other.rename(one)
        (directory / "aside").rename(other)

    assert changes(directory, swap) == [
        (
            "audit/caching/queries.jsonl and audit/reference/queries.jsonl were exchanged: each holds what was "
            "recorded as the other"
        )
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_text("z"), "config.yaml was altered: its size is as recorded, its digest is not"),
        (lambda path: path.write_text("zz"), "config.yaml was altered: it has 2 bytes, 1 were recorded"),
        (lambda path: path.write_text("c"), "config.yaml holds what was recorded as audit/reference/queries.jsonl"),
        (lambda path: path.unlink(), "config.yaml is missing"),
    ],
    ids=["altered", "longer", "copied_over", "missing"],
)
def test_one_file(directory, change, said):
    assert changes(directory, lambda: change(directory / "config.yaml")) == [said]


def test_renamed_and_added(directory):
    def change():
        (directory / "config.yaml").rename(directory / "config.yml")
        (directory / "copy").write_text("b")

    assert changes(directory, change) == [
        "config.yaml is missing; config.yml holds what was recorded of it",
        "config.yml was added after the verdict; it is a copy of config.yaml",
        "copy was added after the verdict; it is a copy of audit/reference/phase.json",
    ]


def test_links_and_hidden_files_are_no_artifacts(directory):
    def change():
        (directory / ".lock").write_text("x")
        (directory / "audit/.tmp").mkdir()
        (directory / "audit/.tmp/queries.jsonl").write_text("x")
        (directory / "link").symlink_to(directory / "config.yaml")
        (directory / "loop").symlink_to(directory)

    assert changes(directory, change) == []


def test_a_file_replaced_by_a_link_is_missing(directory):
    def change():
        (directory / "config.yaml").rename(directory.parent / "elsewhere")
        (directory / "config.yaml").symlink_to(directory.parent / "elsewhere")

    assert changes(directory, change) == ["config.yaml is missing"]


def test_many_changes_are_cut_short(directory):
    def change():
        for number in range(30):
            (directory / f"more{number}").write_text(str(number))

    found = changes(directory, change)
    assert (len(found), found[-1]) == (21, "and 10 more files")


def test_what_cannot_be_read_is_told_or_raised(directory, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(room, "sha256_file", refuse)
    with pytest.raises(PermissionError):
        list(artifacts(directory, ()))
    errors: list[OSError] = []
    assert list(artifacts(directory, (), errors.append)) == []
    assert len(errors) == len(FILES)
