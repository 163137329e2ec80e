"""Bodies of many megabytes, adapters that read a reply's head, and pages that tell of a model."""

from __future__ import annotations

import hashlib
import json
import mmap
import tracemalloc
from typing import ClassVar

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import EndpointAdapter, Reply, digest
from pytest_mlperf_audit.endpoints.source import RequestSource
from pytest_mlperf_audit.errors import EndpointError
from pytest_mlperf_audit.load.group import run_group
from pytest_mlperf_audit.load.metadata import check_metadata
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.records.log import read_queries
from pytest_mlperf_audit.runs.body import Pieces
from pytest_mlperf_audit.runs.order import single
from pytest_mlperf_audit.runs.spec import Concurrency
from tests.support.hashing_server import HashingServer

MIB = 2**20


class Echoed:
    """Reads a reply that tells the digest of its request."""

    def __init__(self) -> None:
        self.body, self.length, self.asked = b"", "", 0

    def on_request(self, body) -> None:
        self.asked = len(body)

    def on_head(self, headers) -> None:
        self.length = headers["x-length"]

    def feed(self, data, at_ns) -> None:  # noqa: ARG002
        self.body += data

    def finish(self) -> Reply:
        assert int(self.length) == self.asked, "a decoder knows what was asked for"
        return Reply(digest=digest(self.body), id=f"{self.length} {self.body.decode()}")


class Large(EndpointAdapter):
    """Sends a mapped file, and a word of the row behind it."""

    api_type: ClassVar[str] = "large"
    max_batch = 4
    tensor: ClassVar[bytes | mmap.mmap] = b""

    def __init__(self, params, *, streaming=False) -> None:
        super().__init__(params, streaming=streaming)
        self.path = f"/models/{params.name}/infer"

    def problem(self, row):  # noqa: ARG002
        return None

    def encode(self, row, edit=None):
        words = " ".join(one["prompt"] for one in self.rows(row)) + (edit.lead if edit else "")
        return Pieces([b"head ", memoryview(self.tensor), words.encode()])

    def decoder(self, *, keep_output=False):  # noqa: ARG002
        return Echoed()

    def metadata_path(self):
        return f"/models/{self.params.name}"

    def metadata_problem(self, page):
        takes = json.loads(page)["takes"]
        return None if takes == "words" else f"takes {takes}; name another model in model_params.name"


@pytest.fixture
def large(tmp_path, monkeypatch):
    """An adapter of a file of 24 MiB, which is mapped and not read."""
    path = tmp_path / "tensor.bin"
    with path.open("wb") as file:
        file.truncate(24 * MIB)
        file.seek(20 * MIB)
        file.write(b"in the middle")
    with path.open("rb") as file:
        monkeypatch.setattr(Large, "tensor", mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return Large(ModelParams(name="m"))


@pytest.fixture
def hashing():
    """Start a server that answers with the digest of what it was sent."""
    servers = []

    def start(**options):
        servers.append(HashingServer(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def send(engine, adapter, url, *, n=3, in_flight=2):
    [planned] = engine.planned([engine.spec(n_samples=n, order=single(5), load=Concurrency(target=in_flight))])
    [record] = run_group([planned], RequestSource(engine.dataset, adapter), Target(urls=(url,)))
    return record, list(read_queries(planned.directory / "queries.jsonl"))


def test_a_mapped_file_is_sent_whole_and_never_copied(engine, large, hashing):
    sut = hashing()
    tracemalloc.start()
    try:
        record, queries = send(engine, large, sut.url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    body = b"head " + bytes(Large.tensor) + b"scene 5"
    assert [query.outcome for query in queries] == ["completed"] * 3
    assert {query.reply_id for query in queries} == {f"{len(body)} {hashlib.sha256(body).hexdigest()}"}
    assert record.figures.n_distinct_requests == 1
    assert peak < 4 * MIB


def test_a_server_that_refuses_a_large_body_unread_fails_the_query_alone(engine, large, hashing):
    sut = hashing(most_bytes=MIB)
    record, queries = send(engine, large, sut.url)
    assert {query.outcome for query in queries} <= {"http_413", "reset"}
    assert record.status != "crashed"


def test_batches_hold_rows_in_their_order_and_the_last_is_filled(engine, monkeypatch):
    monkeypatch.setattr(Large, "tensor", b"")
    source = RequestSource(engine.dataset, Large(ModelParams(name="m", batch_size=3)))
    assert len(source) == 22
    assert bytes(source.body(1)) == b"head scene 3 scene 4 scene 5"
    assert bytes(source.body(21)) == b"head scene 63 scene 0 scene 1"
    assert source.where(1) == "prompts.jsonl line 4 and the 2 behind it"
    assert source.value(1, "prompt") == "scene 3"
    with pytest.raises(IndexError):
        source.body(22)


def test_a_path_that_depends_on_the_model_is_part_of_what_identifies_a_request(engine, monkeypatch):
    monkeypatch.setattr(Large, "tensor", b"")
    one, other = (RequestSource(engine.dataset, Large(ModelParams(name=name))) for name in ("a", "b"))
    assert bytes(one.body(0)) == bytes(other.body(0))
    assert one.fingerprint(0) != other.fingerprint(0)


@pytest.mark.parametrize(
    ("status", "takes", "refused"),
    [(200, "words", False), (200, "FP32 of 3 x 224 x 224", True), (404, "FP32", False), (403, "FP32", False)],
)
def test_what_a_page_says_of_the_model_is_looked_at_before_any_query(server, status, takes, refused):
    asked = []

    def get(path):
        asked.append(path)
        return status, {"takes": takes}

    server.get = get
    target = Target(urls=(server.url,))
    if refused:
        with pytest.raises(EndpointError, match=r"/models/m: takes FP32 of 3 x 224 x 224; name another model"):
            check_metadata(Large(ModelParams(name="m")), target)
    else:
        check_metadata(Large(ModelParams(name="m")), target)
    assert asked == ["/models/m"]
    assert not server.posts


def test_a_file_that_a_row_names_is_looked_for_beside_the_yaml_first(tmp_path):
    adapter = Large(ModelParams(name="m"))
    adapter.directories = [tmp_path / "yaml", tmp_path]
    (tmp_path / "a.wav").write_bytes(b"1")
    assert adapter.find("a.wav") == tmp_path / "a.wav"
    with pytest.raises(FileNotFoundError, match=r"no such file: b.wav; looked in .*yaml, "):
        adapter.find("b.wav")
