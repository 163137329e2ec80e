"""`pytest --mlperf-endpoint=URL` without a YAML: the server is asked by GET, a YAML is written, and the probe runs."""

from __future__ import annotations

import socket
import threading

import pytest
import yaml

from tests.support.lane_process import LaneProcesses
from tests.support.scripted_server import ANSWER, Server

_MOST_LINES = 6


class Listing(Server):
    """A chat server with a list of models; notes what was asked by GET, and with which key."""

    def __init__(self, *models: str, pages: dict[str, tuple[object, ...]] | None = None) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.pages = {"/v1/models": (200, {"data": [{"id": name} for name in models or ("m",)]}), **(pages or {})}
        self.get = self._page
        self.post = lambda _path, body: (400, {"error": {"message": f"no answer from {body.get('model')!a}"}})

    def _page(self, path):
        self.asked.append(path)
        return self.pages.get(path, (404, {}))


@pytest.fixture
def listing():
    made = []

    def make(*models, **options):
        made.append(Listing(*models, **options))
        return made[-1]

    yield make
    for server in made:
        server.close()


def plan(audit, server, *args):
    result = audit.run(f"--mlperf-endpoint={server.url}", "--mlperf-plan", *args, config=None)
    assert result.ret == 0, result.errlines
    return str(result.stdout)


def refused(audit, url, *args):
    result = audit.run(f"--mlperf-endpoint={url}", *args, config=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [*result.outlines, *result.errlines]
    assert len(lines) <= _MOST_LINES, lines
    assert not (audit.path / "mlperf-reports").exists()
    return "\n".join(lines)


def written(audit):
    return next((audit.path / "mlperf-reports").glob("*.yaml"))


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["plain", "n2"])
def test_a_server_that_replays_fails_and_its_ids_lead_back(audit, args):
    with LaneProcesses() as servers:
        server = servers.start(kind="exact", lanes=4, service_ms=6)
        result = audit.run(f"--mlperf-endpoint={server.url}", *args, config=None)
        assert result.ret == 1
        name = server.url.removeprefix("http://").replace(":", "-")
        node_id = f"mlperf-reports/{name}.yaml::cache_probe::no_cache[response]"
        result.stdout.fnmatch_lines(
            [
                "mlperf-audit: no YAML: m by openai (by its list of models), the cache probe, built-in prompts",
                f"mlperf-audit: to keep this audit: cp mlperf-reports/{name}.[*]l . && pytest {name}.yaml",
                f"FAILED {node_id.replace('[', '[[]')}*",
            ]
        )
        again = audit.run(node_id, "--collect-only", "-q", config=None)
        assert again.outlines[0] == node_id
        recheck = audit.run(f"--mlperf-recheck=mlperf-reports/{name}", config=None)
        recheck.stdout.fnmatch_lines(["*CONFIRMED*"])
        server.stop()


@pytest.mark.parametrize("args", [(), ("-n", "2"), ("-p", "no:xdist"), ("-p", "no:terminal"), ("-m", "cache_probe")])
def test_the_server_is_asked_once(audit, listing, args):
    server = listing()
    result = audit.run(f"--mlperf-endpoint={server.url}", *args, config=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR  # by the first query
    assert server.asked[:2] == ["/v1/models", "/openapi.json"]
    assert server.asked.count("/openapi.json") == 1


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ((401, {"error": {"message": "Incorrect API key"}}), "without a key (Incorrect API key); *MLPERF_API_KEY"),
        ((307, b"", {"Location": "https://other.example/login?token=x"}), "names https://other.example/login instead"),
        ((503, {"error": {"message": "Loading model"}}), "(Loading model); start again when it is ready"),
        (
            (200, b"<html>", {"Content-Type": "text/html"}),
            "/v1/models answers 200 and an HTML page, *--mlperf-init",
        ),
        ((200, {"data": {"id": 1}}), "none of the servers that are known here*GET /v2 answers 404"),
        ((200, b"[" * 100_000), "none of the servers that are known here"),
        ((404, {}), "none of the servers that are known here"),
    ],
)
def test_what_is_no_answer_is_told_in_a_line(audit, listing, page, told):
    server = listing(pages={"/v1/models": page})
    pytest.LineMatcher([refused(audit, server.url)]).fnmatch_lines([f"*{told}*"])
    assert server.posts == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_wrong_port(audit, closed_port, scheme):
    told = refused(audit, f"{scheme}://127.0.0.1:{closed_port}")
    assert "cannot be reached" in told
    assert "start it, or correct --mlperf-endpoint" in told


def test_tls_where_there_is_none(audit, listing):
    assert "does not speak TLS; write http://" in refused(audit, listing().url.replace("http:", "https:"))


def test_no_http(audit):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9\r\n")
                connection.recv(4096)

        threading.Thread(target=greet, daemon=True).start()
        assert "--mlperf-endpoint" in refused(audit, f"http://127.0.0.1:{listener.getsockname()[1]}")


def test_a_key_is_sent_and_stands_in_no_file(audit, start_sut, monkeypatch):
    monkeypatch.setenv("MLPERF_API_KEY", "right-key-123456")
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-another-host")
    server = start_sut(token="right-key-123456")
    url = f"{server.url}/v1/videos/generations"
    result = audit.run(f"--mlperf-endpoint={url}", "-k", "response", config=None)
    assert result.ret != pytest.ExitCode.USAGE_ERROR
    assert server.received > 0
    for path in (audit.path / "mlperf-reports").rglob("*"):
        assert path.is_dir() or b"right-key-123456" not in path.read_bytes()
    assert "${MLPERF_API_KEY:-}" in written(audit).read_text()


def test_a_wrong_key_is_not_shown(audit, listing, monkeypatch):
    monkeypatch.setenv("MLPERF_API_KEY", "wrong-key-123456")
    server = listing(pages={"/v1/models": (401, {"error": "wrong-key-123456 is no key"})})
    told = refused(audit, server.url)
    assert "with our key" in told
    assert "wrong-key-123456" not in told


def test_a_wrong_model(audit, listing):
    told = refused(audit, listing("a", "b").url, "--mlperf-model=c")
    assert "has no model c; it serves: a, b; correct --mlperf-model" in told


@pytest.mark.parametrize(("args", "model"), [((), "a"), (("--mlperf-model=b",), "b"), (("-o", "mlperf_model=b"), "b")])
def test_several_models(audit, listing, args, model):
    server = listing("a", "b")
    audit.run(f"--mlperf-endpoint={server.url}", *args, config=None)
    assert {body["model"] for _, body in server.posts} == {model}


@pytest.mark.parametrize(
    "name", ["${HOME}", "$$A$B", "'\"\\ #x", "{[", "!!python/object:x", "é😀", "a: b - c", "-", "null", "0x1F"]
)
def test_a_model_s_name_is_text_whatever_it_is(audit, listing, name):
    server = listing(name)
    audit.run(f"--mlperf-endpoint={server.url}", config=None)
    assert server.posts[0][1]["model"] == name


@pytest.mark.parametrize("name", ["m\naudit: {test: test04}", "\u2028", "\u202egpt", "openai/*", "x" * 400, " "])
def test_what_can_be_no_name_is_left_out(audit, listing, name):
    assert "--mlperf-endpoint" in refused(audit, listing(name).url)


def test_ten_thousand_models(audit, listing):
    assert "(openai)" in plan(audit, listing(*(f"model-{at}" for at in range(10_000))))


@pytest.mark.parametrize(
    ("pages", "path", "api_type"),
    [
        ({"/openapi.json": (200, {"paths": {"/v1/chat/completions": {"post": {}}}})}, "", "openai"),
        ({"/openapi.json": (200, {"paths": {"/v1/videos/generations": {"post": {}}}})}, "", "videogen"),
        ({"/openapi.json": (200, {"paths": {"/v1/embeddings": {"post": {}}}})}, "", "openai_embeddings"),
        ({"/openapi.json": (200, {"paths": {"/v1/chat/completions": {"get": {}}, "/x": 3}})}, "", "openai"),
        ({"/v1/images/generations": (405, {})}, "", "openai_images"),
        ({"/v1/models": (200, {"data": [{"id": "e", "task": "feature-extraction"}]})}, "", "openai_embeddings"),
        ({}, "/v1", "openai"),
        ({}, "/v1/", "openai"),
        ({}, "/v1/models", "openai"),
        ({}, "/v1/chat/completions", "openai"),
        ({}, "/v1/embeddings", "openai_embeddings"),
        ({}, "/v1/rerank", "openai_rerank"),
        ({"/api/v3/models": (200, {"data": [{"id": "m"}]})}, "/api/v3/chat/completions", "openai"),
    ],
)
def test_the_api_is_chosen(audit, listing, pages, path, api_type):
    server = listing(pages=pages)
    audit.run(f"--mlperf-endpoint={server.url}{path}", config=None)
    content = yaml.safe_load(written(audit).read_text())
    assert content["endpoint_config"]["api_type"] == api_type
    assert server.posts, "the first query went to the API's path"
    if path.startswith("/api"):
        assert server.posts[0][0] == path


@pytest.mark.parametrize("args", [("--collect-only", "-q"), ("--mlperf-plan",)], ids=["collect", "plan"])
def test_what_sends_nothing_writes_nothing(audit, listing, args):
    server = listing()
    result = audit.run(f"--mlperf-endpoint={server.url}", *args, config=None)
    assert result.ret == 0
    name = server.url.removeprefix("http://").replace(":", "-")
    assert f"mlperf-reports/{name}.yaml:" in str(result.stdout)
    assert server.posts == []
    assert not (audit.path / "mlperf-reports").exists()


@pytest.mark.parametrize("args", [("--help",), ("--markers",), ("--fixtures",), ("--mlperf-schema",)])
def test_what_tells_of_pytest_asks_no_server(audit, listing, args):
    server = listing()
    assert audit.run(f"--mlperf-endpoint={server.url}", *args, config=None).ret == 0
    assert server.asked == []


def test_tests_of_one_s_own_run_too(audit, listing):
    (audit.path / "test_own.py").write_text("def test_own(): pass\n")
    server = listing()
    both = audit.run(f"--mlperf-endpoint={server.url}", "--collect-only", "-q", config=None)
    both.stdout.fnmatch_lines(["test_own.py::test_own", "*.yaml::cache_probe::*"])


def test_the_ini_twin(audit, listing):
    (audit.path / "test_own.py").write_text("def test_own(): pass\n")
    server = listing()
    audit.pytester.makeini(f"[pytest]\nmlperf_endpoint = {server.url}\n")
    audit.run("test_own.py", config=None).assert_outcomes(passed=1)
    assert server.asked == []
    audit.run("--collect-only", "-q", config=None).stdout.fnmatch_lines(["*.yaml::cache_probe::*"])


def test_an_earlier_yaml_that_differs_is_kept(audit, listing):
    server = listing()
    audit.run(f"--mlperf-endpoint={server.url}", config=None)
    audit.run(f"--mlperf-endpoint={server.url}", config=None)
    reports = audit.path / "mlperf-reports"
    assert len(list(reports.glob("*.yaml"))) == 1
    mine = "# mine\n" + written(audit).read_text()
    written(audit).write_text(mine)
    audit.run(f"--mlperf-endpoint={server.url}", config=None)
    assert [path.read_text() == mine for path in sorted(reports.glob("*.yaml"))].count(True) == 1
    assert len(list(reports.glob("*.yaml"))) == 2


def test_a_report_directory_names_the_yaml(audit, listing):
    audit.run(f"--mlperf-endpoint={listing().url}", "--mlperf-report-dir=out/here", config=None)
    assert (audit.path / "out" / "here.yaml").exists()


def test_a_query_string_is_sent_and_not_written(audit, listing):
    server = listing(pages={"/v1/models?key=abcdef123456": (200, {"data": [{"id": "m"}]})})
    audit.run(f"--mlperf-endpoint={server.url}?key=abcdef123456", config=None)
    assert server.posts[0][0].endswith("?key=abcdef123456")
    assert "abcdef123456" not in written(audit).read_text()


@pytest.mark.parametrize("option", ["--mlperf-model=x", "--mlperf-api=openai"])
def test_its_options_are_not_for_a_yaml(audit, sut, option):
    audit.config(sut)
    result = audit.run(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {option.partition('=')[0]} is for an endpoint without a YAML; *"])


def test_a_misspelt_api(audit, listing):
    assert "did you mean openai_embeddings?" in refused(audit, listing().url, "--mlperf-api=openai_embedings")


def test_a_server_without_a_list_of_models(audit, listing):
    server = listing(pages={"/v1/models": (404, {}), "/v1/chat/completions": (405, {})})
    assert "name the model by --mlperf-model=NAME" in refused(audit, server.url)
    server.post = lambda _path, _body: (200, ANSWER)
    assert "(openai)" in plan(audit, server, "--mlperf-model=m")


def test_a_server_of_tensors(audit, listing):
    pages = {"/v1/models": (404, {}), "/v2": (200, {"name": "triton", "extensions": ["model_repository"]})}
    assert "api_type: kserve_v2" in refused(audit, listing(pages=pages).url)


def test_a_refused_first_query_says_where_the_keys_are(audit, listing):
    server = listing()
    server.post = lambda _path, _body: (401, {"error": {"message": "Incorrect API key"}})
    result = audit.run(f"--mlperf-endpoint={server.url}", config=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len([*result.outlines, *result.errlines]) <= _MOST_LINES
    name = f"mlperf-reports/{server.url.removeprefix('http://').replace(':', '-')}.yaml"
    result.stderr.fnmatch_lines(
        [f"ERROR: *MLPERF_API_KEY*The keys are those of {name}, which was written for this run"]
    )
