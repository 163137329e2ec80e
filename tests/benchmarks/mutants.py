"""Do the tests notice when the code is wrong? A sample of mutants of `audits/`, `stats/` and `load/`.

    python -m tests.benchmarks.mutants cover                    which tests run which lines, by coverage (minutes)
    python -m tests.benchmarks.mutants sample 150 SAMPLE.json   draw mutants, the same for the same code
    python -m tests.benchmarks.mutants run SAMPLE.json          make each in turn, run the tests that reach it, count

A mutant is known by its function, its statement and what is changed there, not by its file, so that a sample that was
drawn before files were moved can be run after it. One whose statement is gone is counted as gone, on neither side.
Mutants are made in a copy of the tree, so that a run that is stopped leaves none behind.
"""

from __future__ import annotations

import ast
import copy
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "pytest_mlperf_audit"
ROOMS = ("audits", "stats", "load")
TESTS = ("tests/unit", "tests/load", "tests/mlperf", "tests/endpoints")
COVERED = ROOT / ".coverage"
SEED = 20261129
MOST_TESTS = 15
_PATIENCE_S = 120

_COMPARE = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_BINARY = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult}


def mutations(statement: ast.stmt) -> Iterator[tuple[str, ast.stmt]]:
    """Yield each mutant of a statement, less what is nested in it as statements, with what was changed."""
    for index, node in enumerate(_expressions(statement)):
        changed = copy.deepcopy(statement)
        target = list(_expressions(changed))[index]
        if what := _change(node, target):
            yield f"{index}:{what}", changed


def _change(node: ast.AST, target: Any) -> str:
    """Change `target`, a copy of `node`, in place, and return what was done, "" for nothing."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARE:
        target.ops[0] = _COMPARE[type(node.ops[0])]()
        return f"{type(node.ops[0]).__name__} to {type(target.ops[0]).__name__}"
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY and not _text(node):
        target.op = _BINARY[type(node.op)]()
        return f"{type(node.op).__name__} to {type(target.op).__name__}"
    if isinstance(node, ast.BoolOp):
        target.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return "and/or"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        target.op, target.operand = ast.Not(), ast.UnaryOp(ast.Not(), target.operand)
        return "not dropped"
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        target.value = not node.value
        return "bool"
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        target.value = node.value + 1
        return "number"
    return ""


def _text(node: ast.BinOp) -> bool:
    return any(isinstance(side, (ast.JoinedStr, ast.List, ast.Tuple)) for side in (node.left, node.right))


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the expressions of a statement in order, without those of statements and definitions inside."""
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.expr):
            yield from ast.walk(child)


def statements(room_files: list[Path]) -> Iterator[tuple[Path, str, ast.stmt]]:
    """Yield every statement in a function: its file, its function's name, itself."""
    for path in room_files:
        for function in _functions(ast.parse(path.read_text()), ""):
            name, node = function
            for inner in ast.walk(node):
                if isinstance(inner, ast.stmt) and not isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield path, name, inner


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{prefix}{child.name}", child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


def _head(statement: ast.stmt) -> str:
    """Return a statement's text without the statements inside it."""
    return ast.unparse(statement).partition("\n")[0]


def sample(count: int) -> list[dict[str, str]]:
    """Draw mutants from the rooms."""
    files = sorted(path for room in ROOMS for path in (PACKAGE / room).rglob("*.py"))
    every = [
        {"room": path.relative_to(PACKAGE).parts[0], "function": name, "statement": _head(inner), "what": what}
        for path, name, inner in statements(files)
        for what, _ in mutations(inner)
    ]
    return random.Random(SEED).sample(every, count)


def run(drawn: list[dict[str, str]]) -> Iterator[tuple[dict[str, str], str]]:
    """Make each mutant and yield whether it was killed, survived, was reached by no test, or is gone."""
    every = list(statements(sorted(PACKAGE.rglob("*.py"))))
    with TemporaryDirectory() as directory:
        work = Path(directory) / "work"
        shutil.copytree(ROOT, work, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        for mutant in drawn:
            yield mutant, _outcome(work, mutant, every)


def _outcome(work: Path, mutant: dict[str, str], every: list[tuple[Path, str, ast.stmt]]) -> str:
    for path, name, inner in every:
        same = name.lstrip("_") == mutant["function"].lstrip("_") and _head(inner) == mutant["statement"]
        changed = dict(mutations(inner)).get(mutant["what"]) if same else None
        if changed is None:
            continue
        tests = _reaching(path, inner.lineno)
        return _tried(work, path, inner, changed, tests) if tests else "not reached"
    return "gone"


def _reaching(path: Path, line: int) -> list[str]:
    """Return the tests that run a line, by coverage's contexts, those without a server first."""
    with sqlite3.connect(COVERED) as db:
        rows = db.execute(
            "select c.context, l.numbits from line_bits l join context c on c.id = l.context_id "
            "join file f on f.id = l.file_id where f.path = ? and c.context != ''",
            (str(path),),
        ).fetchall()
    hit = {context for context, bits in rows if len(bits) > line // 8 and bits[line // 8] & 1 << line % 8}
    tests = {context for context in hit if context.startswith("tests/")}
    return sorted(tests, key=lambda test: (_lines_by_test()[test], test))[:MOST_TESTS]


@cache
def _lines_by_test() -> Counter[str]:
    """Return how many lines each test runs: one that runs few is about them."""
    with sqlite3.connect(COVERED) as db:
        rows = db.execute("select c.context, l.numbits from line_bits l join context c on c.id = l.context_id")
        counts: Counter[str] = Counter()
        for context, bits in rows:
            counts[context] += sum(byte.bit_count() for byte in bits)
    return counts


def _tried(work: Path, path: Path, original: ast.stmt, changed: ast.stmt, tests: list[str]) -> str:
    target = work / path.relative_to(ROOT)
    source = path.read_text()
    tree = ast.parse(source)
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if isinstance(value, list):
                setattr(parent, name, [changed if _is(item, original) else item for item in value])
    target.write_text(ast.unparse(ast.fix_missing_locations(tree)))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests]
    env = {**os.environ, "PYTHONPATH": str(work)}
    with subprocess.Popen(command, cwd=work, env=env, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            status = process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            status = 1  # a test that never ends has noticed, too
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    target.write_text(source)
    return "killed" if status else "survived"


def _is(item: object, statement: ast.stmt) -> bool:
    return isinstance(item, ast.stmt) and (item.lineno, item.col_offset) == (statement.lineno, statement.col_offset)


def cover() -> None:
    """Note which tests run which lines."""
    settings = ROOT / ".mutants.coveragerc"
    settings.write_text(f"[run]\nsource = {PACKAGE}\nbranch = false\nplugins =\n")
    subprocess.run(
        [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}", "-m", "pytest", "-q", "-n", "0",
         "-p", "tests.benchmarks.mutants", *TESTS],
        cwd=ROOT, check=False,
    )  # fmt: skip
    settings.unlink()


def pytest_runtest_setup(item: Any) -> None:
    """Name the test that runs to coverage."""
    import coverage

    if (now := coverage.Coverage.current()) is not None:
        now.switch_context(item.nodeid)


def main() -> None:
    """Do what the command line asks for."""
    match sys.argv[1:]:
        case ["cover"]:
            cover()
        case ["sample", count, path]:
            Path(path).write_text(json.dumps(sample(int(count)), indent=1))
        case ["run", path]:
            counts: Counter[tuple[str, str]] = Counter()
            for mutant, outcome in run(json.loads(Path(path).read_text())):
                counts[mutant["room"], outcome] += 1
                print(outcome, mutant["room"], mutant["function"], mutant["statement"][:60], mutant["what"], flush=True)
            for (room, outcome), n in sorted(counts.items()):
                print(f"{room:8} {outcome:12} {n}")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
