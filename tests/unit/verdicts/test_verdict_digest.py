from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.verdicts.files import UNSEALED, seal_problem, sealed


def _unsealed(**fields):
    return json.dumps({**fields, "digest": UNSEALED}, indent=2).encode() + b"\n"


SEALED = sealed(_unsealed(status="PASS", name=f'"digest": "{UNSEALED}"'))


def test_the_digest_is_that_of_the_bytes_with_zeros_in_its_place():
    digest = json.loads(SEALED)["digest"]
    at = SEALED.rindex(digest.encode())
    zeroed = SEALED[:at] + b"0" * 64 + SEALED[at + 64 :]
    assert hashlib.sha256(zeroed).hexdigest() == digest
    assert seal_problem(SEALED) == ""


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_any_altered_byte_is_found(at, change):
    altered = bytearray(SEALED)
    altered[at] ^= change
    assert seal_problem(bytes(altered))


@pytest.mark.parametrize("altered", [SEALED[:-1], SEALED + b" ", SEALED + b"\n", SEALED[1:], b"", SEALED * 2])
def test_what_is_cut_or_added_is_found(altered):
    assert seal_problem(altered)


def test_an_older_document_is_named():
    assert "before there were digests" in seal_problem(b'{\n  "status": "PASS"\n}\n')


@pytest.mark.parametrize("raw", [b"{}\n", SEALED, b""])
def test_only_what_ends_in_an_empty_digest_is_sealed(raw):
    with pytest.raises(ValueError, match="does not end in an empty digest"):
        sealed(raw)
