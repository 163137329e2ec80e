"""Servers that ask for a client's certificate: what is sent to whom, and what is said where it cannot be."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.errors import EndpointError
from pytest_mlperf_audit.load.first_query import ask_first, check_endpoint
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.load.tls import Identity, IdentityError
from tests.support.raw_server import (
    BODY,
    NOT_ALLOWED,
    RawServer,
    make_certificate,
    reply,
    requests,
    server_tls,
)

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
Pair = tuple[Path, Path]


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async for asked in requests(reader):
        page = b"a_b 1" if asked.path == "/metrics" else b'{"data": [{"id": "other"}]}'
        if b'"nginx"' in asked.body:
            page = b"<html><center>No required SSL certificate was sent</center></html>"
            writer.write(reply(page, status="400 Bad Request"))
        elif asked.method == "POST":
            writer.write(reply(BODY) if b'"unknown"' not in asked.body else reply(b"no model", status="404 Not Found"))
        else:
            writer.write(reply(page) if asked.path in {"/metrics", "/v1/models"} else NOT_ALLOWED)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """Certificates and keys: the server's, two clients', and one whose key has a password."""
    directory = tmp_path_factory.mktemp("keys")
    pairs = {name: make_certificate(directory, name) for name in ("server", "client", "stranger")}
    return {**pairs, "locked": make_certificate(directory, "locked", "open-sesame")}


@pytest.fixture
def served(keys: dict[str, Pair]) -> Iterator[Callable[..., RawServer]]:
    """Start a server that takes the certificate of `client` alone, or anybody's."""
    servers: list[RawServer] = []

    def start(version: ssl.TLSVersion | None = None, *, asks: str | None = "client") -> RawServer:
        clients = keys[asks][0] if asks else None
        servers.append(RawServer(serve, tls=server_tls(keys["server"], clients, version)))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def target(keys: dict[str, Pair]) -> Callable[..., Target]:
    def make(server: RawServer, client: str | None = "client", **options: Any) -> Target:
        identity = Identity(*keys[client]) if client else None
        return Target(urls=(server.url,), ca_file=keys["server"][0], identity=identity, **options)

    return make


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("trust", ["ca_file", "insecure"])
def test_queries_greetings_and_metrics_pages_have_it(engine, served, target, version, trust):
    server = served(version)
    to = target(server, metrics=(f"{server.url}/metrics",))
    if trust == "insecure":
        to = Target(urls=to.urls, metrics=to.metrics, insecure=True, identity=to.identity)
    check_endpoint(engine.adapter, to)
    assert ask_first(engine.source, to, timeout_s=5, ready_timeout_s=0).latency_s is not None
    ended = engine.drive(to)
    assert (ended.record.status, ended.record.figures.n_completed) == ("complete", 16)
    assert ended.record.counters is not None
    assert ended.record.counters.problems == ()


@pytest.fixture
def openssl(keys: dict[str, Pair]) -> Iterator[Callable[..., str]]:
    """Start a server that ends handshakes as OpenSSL does, by an alert; asyncio's resets the connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def start(version: ssl.TLSVersion) -> str:
        context = server_tls(keys["server"], keys["client"][0], version)

        def run() -> None:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured:
                with suppress(OSError):
                    secured.do_handshake()
                    secured.recv(1)
                with suppress(OSError):  # to close with data unread would take back the alert
                    secured.shutdown(socket.SHUT_WR)
                    while secured.recv(4096):
                        pass

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return f"https://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for thread in threads:
        thread.join(10)
    listener.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("client", [None, "stranger"])
def test_a_server_that_refuses_us_is_named_with_the_cure(engine, openssl, keys, version, client):
    identity = Identity(*keys[client]) if client else None
    target = Target(urls=(openssl(version),), ca_file=keys["server"][0], identity=identity)
    with pytest.raises(EndpointError, match=r"TLS failed \(.*\); the server refuses us; .*client_cert") as caught:
        check_endpoint(engine.adapter, target)
    assert "stranger.pem" not in str(caught.value)


def test_one_that_ends_the_handshake_without_a_word_is_named_too(engine, served, target):
    with pytest.raises(EndpointError, match=r"\(.*eset.*\); start it, .*; where it asks .*client_cert"):
        check_endpoint(engine.adapter, target(served(ssl.TLSVersion.TLSv1_2), None))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_asks_for_none_is_none_the_wiser(engine, served, target, version):
    assert engine.drive(target(served(version, asks=None))).outcomes == {"completed"}


def test_pages_that_explain_a_refusal_are_asked_with_it(engine, served, target):
    engine.adapter = OpenAIChatAdapter(ModelParams(name="unknown"))
    with pytest.raises(EndpointError, match=r"it serves: other; correct model_params\.name"):
        ask_first(engine.source, target(served()), timeout_s=5, ready_timeout_s=0)


def test_a_server_that_refuses_the_query_for_want_of_it(engine, served, target):
    """As nginx does, which takes the handshake."""
    engine.adapter = OpenAIChatAdapter(ModelParams(name="nginx"))
    with pytest.raises(EndpointError, match=r"answers 400 .*No required SSL certificate.*; .* set .*client_cert"):
        ask_first(engine.source, target(served(asks=None), None), timeout_s=5, ready_timeout_s=0)


def test_one_file_may_hold_all(engine, served, keys, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(keys["client"][1].read_bytes() + keys["client"][0].read_bytes())
    identity = Identity(both)
    identity.check()
    to = Target(urls=(served().url,), ca_file=keys["server"][0], identity=identity)
    assert engine.drive(to).outcomes == {"completed"}


def test_a_key_with_a_password(engine, served, keys):
    certificate, key = keys["locked"]
    identity = Identity(certificate, key, "open-sesame")
    identity.check()
    to = Target(urls=(served(asks="locked").url,), ca_file=keys["server"][0], identity=identity)
    assert engine.drive(to).outcomes == {"completed"}
    assert "open-sesame" not in repr(to)
    assert "open-sesame" not in to.redact("it was open-sesame")


@pytest.mark.parametrize(
    ("certificate", "key", "password", "named", "problem"),
    [
        ("gone.pem", None, None, "client_cert", r"gone.pem cannot be read \(No such file or directory\); correct"),
        ("client.key", None, None, "client_cert", "client.key has no certificate in PEM form"),
        ("client.pem", None, None, "client_cert", "client.pem has no private key in PEM form; name .* as client_key"),
        ("client.pem", "gone.key", None, "client_key", "gone.key cannot be read"),
        ("client.pem", "server.pem", None, "client_key", "server.pem has no private key in PEM form$"),
        ("client.pem", "server.key", None, "client_key", "server.key is not the key of the certificate in .*client"),
        ("locked.pem", "locked.key", None, "client_key", r"protected by a password; set .*\${KEY_PASSWORD}"),
        ("locked.pem", "locked.key", "wrong-word", "client_key_password", "does not open .*locked.key; correct"),
        ("locked.pem", "locked.key", "x" * 2000, "client_key_password", "does not open"),
        ("broken.pem", "client.key", None, "client_cert", r"broken.pem with .* cannot be used \(.+\)"),
    ],
)
def test_files_that_cannot_be_used(keys, certificate, key, password, named, problem):
    directory = keys["client"][0].parent
    (directory / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    identity = Identity(directory / certificate, directory / key if key else None, password)
    with pytest.raises(IdentityError, match=problem) as caught:
        identity.check()
    assert caught.value.key == named
    assert "wrong-word" not in str(caught.value)


def test_a_file_that_went_away_after_the_plan_is_named(engine, served, tmp_path):
    to = Target(urls=(served().url,), identity=Identity(tmp_path / "gone.pem"))
    with pytest.raises(EndpointError, match=r"settings\.client\.client_cert: .*gone\.pem cannot be read"):
        check_endpoint(engine.adapter, to)
