from __future__ import annotations

import socket
import threading

import pytest

from pytest_mlperf_audit.errors import EndpointError
from pytest_mlperf_audit.load import http
from pytest_mlperf_audit.load.first_query import check_endpoint
from pytest_mlperf_audit.load.target import Target


def test_an_endpoint_that_answers_is_fine_and_gets_no_query(engine, start_sut, connections):
    sut = start_sut()
    check_endpoint(engine.adapter, Target(urls=(sut.url,)))
    assert sut.received == 0
    assert len(connections(sut)["gets"]) == 1


def test_a_refused_key_names_the_setting(engine, start_sut):
    sut = start_sut(token="right")
    with pytest.raises(EndpointError, match=r"answers 401 to our credentials; set endpoint_config.api_key") as caught:
        check_endpoint(engine.adapter, Target(urls=(sut.url,), headers={"Authorization": "Bearer wrong-key"}))
    assert "wrong-key" not in str(caught.value)


def test_the_right_key_is_taken(engine, start_sut):
    sut = start_sut(token="right")
    check_endpoint(engine.adapter, Target(urls=(sut.url,), headers={"Authorization": "Bearer right"}))


def test_nobody_there(engine):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EndpointError, match=rf"{url}: cannot be reached \(.*\); start it, or correct"):
            check_endpoint(engine.adapter, Target(urls=(url,)))


def test_one_of_several_addresses_missing(engine, start_sut):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        urls = (start_sut().url, f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(EndpointError, match="cannot be reached"):
            check_endpoint(engine.adapter, Target(urls=urls))


def test_an_unknown_host(engine):
    with pytest.raises(EndpointError, match=r"no-such-host.invalid: cannot be reached \("):
        check_endpoint(engine.adapter, Target(urls=("http://no-such-host.invalid",)))


def test_plain_http_to_a_tls_server(engine, start_sut, certificate):
    sut = start_sut(tls=certificate)
    with pytest.raises(EndpointError, match=r"cannot be reached|does not answer in HTTP"):
        check_endpoint(engine.adapter, Target(urls=(sut.url.replace("https", "http"),)))


@pytest.fixture
def scripted():
    """A server that reads a request and answers with fixed bytes, or never."""
    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def serve(answer):
        def run():
            connection, _ = listener.accept()
            held.append(connection)
            connection.recv(65536)
            if answer is not None:
                connection.sendall(answer)
                connection.close()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    listener.close()
    for connection in held:
        connection.close()


def test_something_that_is_not_http(engine, scripted):
    with pytest.raises(EndpointError, match=r"does not answer in HTTP \(.*\); correct endpoint_config.endpoints"):
        check_endpoint(engine.adapter, Target(urls=(scripted(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),)))


def test_tls_to_a_plain_server(engine, scripted):
    url = scripted(b"HTTP/1.1 400 Bad Request\r\n\r\n").replace("http", "https")
    with pytest.raises(EndpointError, match="does not speak TLS; write http://"):
        check_endpoint(engine.adapter, Target(urls=(url,)))


def test_something_that_never_answers(engine, scripted, monkeypatch):
    monkeypatch.setattr(http, "_PATIENCE_S", 0.3)
    with pytest.raises(EndpointError, match="no whole reply within the time limit"):
        check_endpoint(engine.adapter, Target(urls=(scripted(None),)))


@pytest.mark.parametrize("status", [b"200 OK", b"404 Not Found", b"405 Nope", b"500 Boom", b"302 Found"])
def test_any_answer_but_a_refusal_will_do(engine, scripted, status):
    url = scripted(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    check_endpoint(engine.adapter, Target(urls=(url,)))


@pytest.mark.parametrize("status", [b"401 No", b"403 No"])
def test_a_refusal_will_not(engine, scripted, status):
    url = scripted(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    with pytest.raises(EndpointError, match=f"answers {status[:3].decode()}"):
        check_endpoint(engine.adapter, Target(urls=(url,)))
