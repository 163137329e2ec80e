"""Credentials go to the endpoint and nowhere else; the endpoint is who it says it is."""

from __future__ import annotations

import json
import re
import ssl
from pathlib import Path

import pytest

from pytest_mlperf_audit.errors import EndpointError
from pytest_mlperf_audit.load.first_query import check_endpoint
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.runs.spec import Concurrency
from pytest_mlperf_audit.text import REDACTED
from tests.support.sut import FORMS

KEY = "sk-0123456789abcdef"


def written(directory: Path) -> str:
    return "\n".join(path.read_text() for path in directory.rglob("*.json*") if path.name != "prompts.jsonl")


def with_key(url, **options):
    return Target(urls=(url,), headers={"Authorization": f"Bearer {KEY}"}, secrets=(f"Bearer {KEY}", KEY), **options)


def test_a_redirect_is_not_followed_and_its_target_sees_nothing(engine, start_sut, connections):
    elsewhere = start_sut(service_ms=0)
    sut = start_sut(service_ms=0, fault="redirect", location=f"{elsewhere.url}/v1/videos/generations")
    ended = engine.drive(with_key(sut.url), n_samples=8)
    assert ended.record.figures.failures == {"http_307": 8}
    assert elsewhere.received == 0
    assert len(connections(elsewhere)["accepted"]) == 2  # the two times that this test asked


@pytest.mark.parametrize("fault", ["echo", "echo_200"])
def test_an_echoed_key_reaches_no_file(engine, start_sut, fault):
    sut = start_sut(service_ms=0, fault=fault)
    ended = engine.drive(with_key(sut.url), n_samples=250, load=Concurrency(target=4))
    assert ended.record.figures.n_completed == 0
    assert any(REDACTED in (query.detail or "") for query in ended.queries)
    text = written(engine.directory)
    for length in range(8, len(KEY) + 1):  # sk-01234 on: also the start of one that a length limit cut
        assert KEY[:length] not in text


def test_a_refused_key_is_not_quoted(engine, start_sut):
    sut = start_sut(service_ms=0, token="another", token_on_get=False)  # its 401 quotes the key it got
    ended = engine.drive(with_key(sut.url), n_samples=2)
    assert ended.record.figures.failures == {"http_401": 2}
    assert ended.queries[0].detail == f'{{"error":"bad key {REDACTED}"}}'


def test_a_query_string_is_shown_nowhere(engine, start_sut):
    sut = start_sut(service_ms=0, fault="echo")
    target = Target(urls=(f"{sut.url}/base?token={KEY}",))
    ended = engine.drive(target, n_samples=4)
    assert ended.record.endpoint == f"{sut.url}/base"
    assert KEY not in written(engine.directory)
    assert KEY not in repr(target)


@pytest.mark.parametrize(
    ("secrets", "text", "shown"),
    [
        (("sk-123456",), "bad key sk-123456!", f"bad key {REDACTED}!"),
        (("Bearer sk-123456",), "bad key sk-123456", f"bad key {REDACTED}"),
        (("sk-1234", "sk-123456"), "sk-123456 sk-1234", f"{REDACTED} {REDACTED}"),
        (("sk-123456",), "it was sk-12...", f"it was {REDACTED}"),
        (("sk-123456",), "it was sk-12", f"it was {REDACTED}"),
        (("1", "on"), "1 of 10 on", "1 of 10 on"),
        ((), "nothing", "nothing"),
    ],
)
def test_redaction(secrets, text, shown):
    assert Target(urls=("http://h",), secrets=secrets).redact(text) == shown


AZURE = "http://h/?code=SEKRET%2Fq3R%3D%3D&api-version=2024-05-01"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("raw", [b"Bearer sk-1/2+3=4'5", b"/v1?code=SEKRET%2Fq3R%3D%3D", b"x: SEKRET/q3R=="])
def test_redaction_of_every_form(form, raw):
    target = Target(urls=(AZURE,), secrets=("Bearer sk-1/2+3=4'5",))
    shown = target.redact(form(raw).decode())
    assert REDACTED in shown
    assert not re.search("q3r|1/2|2f3|r%3d", shown, re.IGNORECASE)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Cannot POST /v1?code=SEKRET/q3R%3D%3D&x=1", f"Cannot POST /v1?code={REDACTED}&x=1"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("the version 2024-05-01 is unknown", f"the version {REDACTED} is unknown"),
        ("&lt;SEKRET%2fq3R==&gt;", f"&lt;{REDACTED}&gt;"),
        ("a \\ b % c &d; &#x110000; \\u12", "a \\ b % c &d; &#x110000; \\u12"),
        ("\u0130 SEKRET/q3R== \u0130", f"\u0130 {REDACTED} \u0130"),
    ],
)
def test_redaction_takes_no_more_than_the_secret(text, shown):
    assert Target(urls=(AZURE,)).redact(text) == shown


@pytest.mark.parametrize("header", ["Basic bWU6aHVudGVyMi1s", "basic bWU6aHVudGVyMi1s"])
def test_the_password_in_a_basic_credential_is_a_secret(header):
    redact = Target(urls=("http://h",), headers={"Authorization": header}, secrets=(header,)).redact
    assert redact("user me, password hunter2-l") == f"user me, password {REDACTED}"


@pytest.mark.parametrize("scheme", ["Bearer", "Token"])
def test_a_scheme_is_no_secret(scheme):
    redact = Target(urls=("http://h",), secrets=(f"{scheme} sk-0123456789",)).redact
    said = f"the {scheme} said no; send {scheme} sk-..., not {scheme}"
    assert redact(said) == said
    assert redact(f"{scheme} sk-0123456789") == REDACTED


def test_an_output_keeps_words_that_a_key_is_spelt_from():
    target = Target(urls=("http://h/?model=gpt-4o-mini",), secrets=("EMPTY", "sk-0123456789"))
    assert target.redact_output("the empty set") == "the empty set"
    assert target.redact_output("EMPTY, SK-0123456789") == f"{REDACTED}, {REDACTED}"
    assert target.redact("the key Empty is wrong") == f"the key {REDACTED} is wrong"
    assert target.redact("gpt-4o-mini") == "gpt-4o-mini"


def test_much_of_a_secret_is_taken_out_at_once():
    redact = Target(urls=("http://h",), secrets=("a1" * 100,)).redact
    assert redact("a1" * 10_000) == REDACTED


def test_a_media_type_is_hidden_whole_alone():
    header = "application/json"
    redact = Target(urls=("http://h",), headers={"Accept": header}, secrets=(header,)).redact
    assert redact("the application is applied") == "the application is applied"


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("http://h:8000/", "http://h:8000"),
        ("https://user:pass@h/a/?k=v#f", "https://h/a"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
    ],
)
def test_the_label_has_no_credentials(url, label):
    assert Target(urls=(url,)).label == label


def test_headers_and_secrets_are_not_in_a_repr():
    assert KEY not in repr(with_key("http://h"))


def test_an_unknown_authority_is_refused(engine, start_sut, certificate):
    sut = start_sut(service_ms=0, tls=certificate)
    ended = engine.drive(with_key(sut.url), n_samples=3)
    assert ended.outcomes == {"tls"}
    assert sut.received == 0
    with pytest.raises(EndpointError, match=r"TLS failed \(.*\); set settings.client.ca_file to .*insecure: true"):
        check_endpoint(engine.adapter, with_key(sut.url))


@pytest.mark.parametrize("trust", ["ca_file", "insecure"])
def test_a_certificate_may_be_trusted(engine, start_sut, certificate, connections, trust):
    sut = start_sut(service_ms=1, lanes=8, tls=certificate)
    options = {"ca_file": Path(certificate[0])} if trust == "ca_file" else {"insecure": True}
    target = with_key(sut.url, **options)
    check_endpoint(engine.adapter, target)
    ended = engine.drive(target, n_samples=32)
    assert ended.record.status == "complete"
    assert ended.record.figures.n_completed == 32
    *accepted, _asking = connections(sut)["accepted"]
    assert len(accepted) == 1 + 4  # the preflight's, and one for each query in flight


def test_a_certificate_for_another_host_is_refused(engine, start_sut, certificate):
    sut = start_sut(service_ms=0, tls=certificate)
    target = Target(urls=(sut.url.replace("127.0.0.1", "localhost"),), ca_file=Path(certificate[0]))
    assert engine.drive(target, n_samples=1).outcomes == {"tls"}


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_ca_file_that_cannot_be_used_is_named(engine, start_sut, certificate, tmp_path, content):
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    sut = start_sut(tls=certificate)
    with pytest.raises(EndpointError, match=rf"settings.client.ca_file: {re.escape(str(path))} cannot be used \(.+\)"):
        check_endpoint(engine.adapter, Target(urls=(sut.url,), ca_file=path))


def test_verification_is_the_default():
    from pytest_mlperf_audit.load.tls import tls

    context = tls(Target(urls=("https://h",)))
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_cookies_are_not_sent_back(engine, start_sut, wire):
    sut = start_sut(service_ms=0)
    engine.drive(sut.url, n_samples=4)
    assert not any(b"cookie" in request.head.lower() for request in wire(sut))


def test_proxies_of_the_environment_are_not_used(engine, start_sut, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert engine.drive(start_sut(service_ms=0).url).outcomes == {"completed"}


def test_records_are_json_lines_of_ascii_or_utf8(engine, start_sut):
    engine.drive(start_sut(service_ms=0, fault="malformed").url, n_samples=3)
    for line in written(engine.directory).splitlines():
        assert line.strip() == line or not line.startswith('{"query"')
    [log] = engine.directory.rglob("queries.jsonl")
    assert all(json.loads(line)["outcome"] == "malformed" for line in log.read_text().splitlines())
