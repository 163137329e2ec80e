"""Built-in inputs: 64 questions and 72 scenes of this project's own, in the columns that a wire format reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Final

_FILES: Final = {"videogen": "scenes.jsonl", "openai_images": "scenes.jsonl"}
_DOCUMENTS: Final = 3


def built_in(api_type: str) -> str:
    """Return the rows for a wire format, as JSON lines."""
    lines = text_of(_FILES.get(api_type, "questions.jsonl")).splitlines()
    rows = [json.loads(line) for line in lines]
    columns = _COLUMNS.get(api_type, _as_they_are)
    return "".join(f"{json.dumps(columns(rows, at))}\n" for at in range(len(rows)))


def text_of(name: str) -> str:
    """Return a file of this folder."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


_Rows = list[dict[str, str]]


def _as_they_are(rows: _Rows, at: int) -> dict[str, Any]:
    return dict(rows[at])


def _prompt(rows: _Rows, at: int) -> dict[str, Any]:
    return {"prompt": rows[at]["prompt"]}


def _input(rows: _Rows, at: int) -> dict[str, Any]:
    return {"input": rows[at]["prompt"]}


def _search(rows: _Rows, at: int) -> dict[str, Any]:
    others = [rows[(at + step) % len(rows)]["prompt"] for step in range(1, _DOCUMENTS + 1)]
    return {"query": rows[at]["prompt"], "documents": others}


_COLUMNS: Final[Mapping[str, Callable[[_Rows, int], dict[str, Any]]]] = {
    "openai_embeddings": _input,
    "openai_rerank": _search,
    "openai_images": _prompt,
}
