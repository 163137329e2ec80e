"""A server of images that nobody here wrote, alone and behind nginx's cache: honest it passes, cached it fails.

    python -m tests.support.real_servers FOLDER muse
    REAL_SERVERS=FOLDER pytest -m nightly tests/nightly/test_image_servers.py -n 0

It serves a Stable Diffusion of random weights, 64 x 64 pixels. A request of it is far below the 64 KB up to which nginx
keys on the whole body.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.real_cache import in_front_of
from tests.support.real_servers import MUSE, NotHereError, installed, serving, write_model

pytestmark = pytest.mark.nightly

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
PROBE = {"test": "cache_probe", **dict.fromkeys(("samples", "sample_index", "threshold", "probe"))}
TEST04 = {"test": "test04", "samples": 32, "sample_index": 3, "threshold": 0.1, "probe": {}}
SUBJECTS = ("a red tram", "two dogs", "a loaf of bread", "an old bicycle")
PLACES = ("on a wet street", "by a lace curtain", "below a snowy hill", "on a blue table")
TIMES = ("at dusk", "at noon")


@pytest.fixture(scope="module")
def muse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that has drawn once."""
    if not (named := os.environ.get("REAL_SERVERS")):
        pytest.skip("set REAL_SERVERS to a folder filled by python -m tests.support.real_servers FOLDER")
    folder = tmp_path_factory.mktemp("muse")
    try:
        bin_dir = installed(MUSE, Path(named).absolute())
        with serving(MUSE, bin_dir, str(write_model(MUSE, bin_dir, folder)), folder) as url:
            yield url
    except NotHereError as error:
        pytest.skip(str(error))


def ask(audit: Any, url: str, block: dict[str, Any], **image: Any) -> pytest.RunResult:
    """Audit the server; with one step and no guidance an image takes 50 ms of a quiet core."""
    rows = [f"{subject} {place} {time}" for subject in SUBJECTS for place in PLACES for time in TIMES]
    captions = "".join(f"{at}\t{row}\n" for at, row in enumerate(rows))
    (audit.path / "captions.tsv").write_text(f"id\tcaption\n{captions}")
    audit.config(
        url,
        type="online",
        model_params={
            "name": "tiny-sd",
            "seed": 42,
            "image": {"size": "64x64", "steps": 1, "guidance": 1, "names": "muse", **image},
        },
        datasets=[{"path": "captions.tsv", "parser": {"prompt": "caption"}}],
        audit=block,
        settings={
            "load_pattern": {"type": "concurrency", "target_concurrency": 2},
            "warmup": {"enabled": True, "n_requests": 8, "salt": True, "drain": True},
        },
        endpoint_config={"api_type": "openai_images"},
    )
    result: pytest.RunResult = audit.run("-m", block["test"])
    return result


@pytest.mark.parametrize("block", [PROBE, TEST04], ids=["probe", "test04"])
def test_an_honest_server_passes(muse, audit, block):
    result = ask(audit, muse, block)
    assert result.ret == 0, result.outlines[-40:]
    assert audit.verdict()["audits"][0]["figures"]["probe"] == "CLEAN"


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
@pytest.mark.parametrize("block", [PROBE, TEST04], ids=["probe", "test04"])
def test_a_cache_before_it_is_found(muse, audit, block):
    with in_front_of(urlsplit(muse).port or 0, "nginx", "on") as url:
        result = ask(audit, url, block)
    figures = audit.verdict()["audits"][0]["figures"]
    assert (result.ret, figures["probe"], figures["probe_kinds"]) == (1, "CACHE", "response"), result.outlines[-40:]


def test_wrong_names_are_told_before_anything_is_measured(muse, audit):
    result = ask(audit, muse, PROBE, steps=4, names="vllm-omni")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: endpoint *: model_params.image.steps, sent as 'num_inference_steps', has no effect*call it steps*"]
    )


def test_settings_that_it_knows_are_not_spoken_of(muse, audit):
    ask(audit, muse, {**TEST04, "samples": 4, "probe": False}, steps=2, guidance=3, negative_prompt="a grey square")
    assert audit.verdict()["warnings"] == []


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ({"size": "63x63"}, "answers 422 to the first query (*63x63*"),
        ({"n": 11}, "answers 422 to the first query (*less than or equal to 10*"),
        ({"response_format": "raw"}, "answers 422 to the first query (*"),
    ],
    ids=["size", "n", "response_format"],
)
def test_what_it_refuses_is_told_in_its_words(muse, audit, image, words):
    result = ask(audit, muse, PROBE, **image)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: endpoint *: {words}*"])


@pytest.mark.parametrize("image", [{"n": 2}, {"response_format": "url"}], ids=["two", "data_url"])
def test_every_reply_has_the_images_that_were_asked_for(muse, audit, image):
    ask(audit, muse, {**TEST04, "samples": 4, "probe": False}, **image)
    queries = (audit.report() / "audit" / "reference" / "queries.jsonl").read_text().splitlines()
    assert len(queries) == 4
    assert not any('"outcome"' in query for query in queries), queries
