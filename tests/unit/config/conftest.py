"""`write` puts a YAML on disk; `load` loads text with two audits known; `fault` returns the message it fails with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

import pytest
from pydantic import Field, SecretStr, model_validator
from typing_extensions import Self

from pytest_mlperf_audit.config.block import AuditBlock, Block, reject
from pytest_mlperf_audit.config.load import LoadedConfig, load_config
from pytest_mlperf_audit.errors import ConfigError


class Probe(Block):
    """Of test04."""

    says_by_presence: ClassVar[frozenset[str]] = frozenset({"groups"})

    design: Literal["groups", "single"] = Field(default="groups", description="How")
    groups: int = Field(default=24, description="How many")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.design == "single" and "groups" in self.model_fields_set:
            reject("has no effect with design: single", at=["groups"])
        return self


class Caching(AuditBlock):
    test: Literal["test04", "output_caching_test"]
    samples: int = Field(ge=1)
    audit_samples: int | None = Field(default=None, ge=1)
    sample_index: int | tuple[Annotated[int, Field(ge=0)], ...] = 0
    threshold: float = Field(default=0.1, gt=0, lt=1)
    probe: Probe | Literal[False] = False


class Judged(AuditBlock):
    test: Literal["judged"]
    judge_password: SecretStr | None = None
    hidden: SecretStr | None = None
    most: int | None = 5
    cache: str = ""


AUDITS: dict[str, type[AuditBlock]] = {"test04": Caching, "judged": Judged}


class Load(Protocol):
    def __call__(self, text: str | bytes, environ: Mapping[str, str] = ..., name: str = ...) -> LoadedConfig: ...


class Fault(Protocol):
    def __call__(self, text: str | bytes, environ: Mapping[str, str] = ..., name: str = ...) -> str: ...


@pytest.fixture
def audits() -> dict[str, type[AuditBlock]]:
    return AUDITS


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str | bytes, environ: Mapping[str, str] | None = None, name: str = "wan22.yaml") -> LoadedConfig:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(path, AUDITS, environ=environ or {})

    return load


@pytest.fixture
def load_as_written(tmp_path: Path) -> Load:
    """As `load`, with variables left as they stand."""

    def load(text: str | bytes, environ: Mapping[str, str] | None = None, name: str = "config.yaml") -> LoadedConfig:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(path, AUDITS, environ=environ)

    return load


@pytest.fixture
def fault(load: Load) -> Fault:
    def fault(text: str | bytes, environ: Mapping[str, str] | None = None, name: str = "wan22.yaml") -> str:
        with pytest.raises(ConfigError) as caught:
            load(text, environ or {}, name)
        return str(caught.value)

    return fault


@pytest.fixture
def minimal() -> str:
    """Five lines that load; what a test adds begins on line 6."""
    return "type: offline\nmodel_params:\n  name: wan22\ndatasets:\n  - path: rows.jsonl\n"
