"""HTTP_PROXY and its like: not used, and said so wherever others would use them; the YAML's own is used, and named.

Client certificates, which are the same settings' other way to an endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.raw_server import ConnectProxy, make_certificate, reply

PASSWORD = "SEKRET-pass-1234"


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    """A proxy that asks for credentials."""
    started = ConnectProxy(f"me:{PASSWORD}")
    yield started
    started.close()


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    """Return the settings that name a proxy, its password a variable."""
    monkeypatch.setenv("PROXY_PASS", PASSWORD)
    return lambda proxy, user="me:${PROXY_PASS}@": {"client": {"proxy": f"http://{user}127.0.0.1:{proxy.port}"}}


def everything(audit, result) -> str:
    written = [path.read_text(errors="replace") for path in audit.path.rglob("*") if path.is_file()]
    return "\n".join([*(text for text in written if "PROXY_PASS" not in text), f"{result.stdout}{result.stderr}"])


def test_one_that_the_yaml_names_is_used_and_named(audit, sut, proxy, through, lone_or_spread):
    audit.config(sut, settings=through(proxy))
    result = audit.run(*lone_or_spread, "--junitxml=junit.xml")
    assert result.ret == 0
    [warning] = audit.verdict()["warnings"]
    label = f"http://127.0.0.1:{proxy.port}"
    assert warning == f"queries go through the proxy {label} (settings.client.proxy), which is measured along"
    assert label in (audit.report() / "report.html").read_text()
    assert f"proxy: {label}\n" in (audit.report() / "config.yaml").read_text()
    assert "SEKRET" not in everything(audit, result)
    assert proxy.tunnels > 8


def test_one_that_refuses_us_ends_the_run_before_any_query(audit, sut, proxy, through, lone_or_spread):
    audit.config(sut, settings=through(proxy, "me:wrong-SEKRET@"))
    result = audit.run(*lone_or_spread)
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [f"ERROR: endpoint {sut.url}: cannot be reached (the proxy http://127.0.0.1:{proxy.port} answers 407 Proxy*"]
    )
    assert "SEKRET" not in f"{result.stdout}{result.stderr}"
    assert sut.received == 0


def test_one_that_refuses_us_in_mid_phase_is_no_fail(audit, start_sut, proxy, through):
    sut = start_sut(close=True)
    proxy.refuses = lambda number: reply(b"", status="407 Expired") if number >= 30 else None
    audit.config(sut, audit={"samples": 64}, settings=through(proxy))
    audit.rows(64)
    result = audit.run()
    assert result.ret != 0
    assert audit.verdict()["status"] == "NO_VERDICT"
    assert "407 Expired" in str(result.stdout)
    assert "SEKRET" not in everything(audit, result)


@pytest.mark.parametrize(
    ("client", "said"),
    [
        ({"proxy": "https://p:1"}, "settings.client.proxy: a proxy that is itself reached by TLS is not supported; *"),
        ({"proxy": "socks5://p:1"}, "settings.client.proxy: is not the URL of an HTTP proxy with a host and a port; *"),
        ({"proxy": "http://me:SEKRET@p"}, "settings.client.proxy: is not the URL of an HTTP proxy with *"),
        ({"proxy": "http://me:SEK/RET@p:1"}, "settings.client.proxy: is not a URL; *in the password as %2F*"),
        ({"proxy": "http://me:1/SEKRET@p:1"}, "settings.client.proxy: has more than a host and a port; *%2F*"),
        ({"client_key": "a.key"}, "settings.client.client_key: client_key has no effect without client_cert; *"),
        ({"client_cert": "gone.pem"}, "settings.client.client_cert: */gone.pem cannot be read (No such file*"),
        ({"client_cert": "a.pem"}, "settings.client.client_cert: */a.pem has no private key in PEM form; name *"),
        ({"client_cert": "a.pem", "client_key": "b.key"}, "settings.client.client_key: */b.key is not the key of *"),
        (
            {"client_cert": "b.pem", "client_key": "b.key", "client_key_password": "SEKRET-wrong"},
            "settings.client.client_key_password: does not open */b.key; correct the variable",
        ),
    ],
)
def test_what_cannot_be_used_is_one_message(audit, sut, client, said):
    make_certificate(audit.path, "a")
    make_certificate(audit.path, "b", "open-sesame" if "client_key_password" in client else "")
    audit.config(sut, settings={"client": client})
    result = audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: wan22.yaml:*: {said}"])
    assert "SEK" not in f"{result.stdout}{result.stderr}"
    assert sut.received == 0


def test_no_proxy_leads_to_the_simulated_endpoint(audit):
    audit.config(None, settings={"client": {"proxy": "http://p:1"}})
    result = audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: wan22.yaml:*: settings.client.proxy: no proxy leads to the embedded *"])


def test_a_client_certificate_is_written_down_as_it_was_named(audit, start_sut, certificate, monkeypatch):
    make_certificate(audit.path, "own", "open-SEKRET-sesame")
    monkeypatch.setenv("KEY_PASSWORD", "open-SEKRET-sesame")
    monkeypatch.setenv("KEYS", ".")
    client = {
        "ca_file": certificate[0],
        "client_cert": "own.pem",
        "client_key": "${KEYS}/own.key",
        "client_key_password": "${KEY_PASSWORD}",
    }
    audit.config(start_sut(tls=certificate), settings={"client": client})
    result = audit.run()
    assert result.ret == 0
    written = (audit.report() / "config.yaml").read_text()
    for line in ("client_cert: own.pem", "client_key: ${KEYS}/own.key", "client_key_password: ${KEY_PASSWORD}"):
        assert f"    {line}\n" in written
    assert "SEKRET" not in everything(audit, result)
    assert audit.run(f"--mlperf-recheck={audit.report()}", config=None).ret == 0


def test_an_endpoint_behind_a_proxy_cannot_be_reached_and_the_error_says_why(audit, sut, monkeypatch, lone_or_spread):
    """The server stands in for the proxy: nothing is sent to it."""
    monkeypatch.setenv("HTTP_PROXY", sut.url)
    audit.config("http://inference.internal.invalid:8000")
    result = audit.run(*lone_or_spread)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: endpoint *: cannot be reached (*); *HTTP_PROXY is set and not used, *"])
    assert sut.received == 0


def test_a_plan_names_it(audit, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://user:SEKRET@proxy.corp:3128")
    audit.config("https://inference.internal.invalid:8000")
    result = audit.run("--mlperf-plan")
    result.stdout.fnmatch_lines(["  warning:  HTTPS_PROXY is set and not used, *"])
    result.stdout.no_fnmatch_line("*SEKRET*")


@pytest.mark.parametrize("direct", [True, False], ids=["no_proxy", "loopback"])
def test_an_endpoint_that_needs_none_is_asked_directly(audit, sut, monkeypatch, direct):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    if direct:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    audit.config(sut)
    assert audit.run().ret == 0
    assert audit.verdict()["warnings"] == []
