"""Error rates and costs of the whole cache probe, simulated through the shipped script and judge; for docs/method.md.

    python -m tests.benchmarks.simulate_probe [--runs 10000] [--cells WORDS] [--quick] [--processes 2]

Only prompts are not made up anew in each session, and the server is a formula on a virtual clock (tests/support). The
cells in which nothing must be found take `--runs` sessions each, the others a fifth as many.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from itertools import product
from multiprocessing import Pool
from operator import add
from time import perf_counter

from msgspec import structs

from pytest_mlperf_audit.audits.probe.judges.repeats import BETS, STRATA
from pytest_mlperf_audit.audits.probe.planned import Probe
from pytest_mlperf_audit.audits.probe.sent.design import DATASET, N_BURSTS
from pytest_mlperf_audit.audits.probe.sent.few import N_SINGLE
from tests.support.simulated_probe import INPUTS, THOROUGH, Tally, planned, simulate
from tests.support.virtual_sut import NO_CACHE, Cache, Copies, Service, Shape

CVS = (0.02, 0.10, 0.30, 0.60, 1.00)
SHAPES: tuple[Shape, ...] = ("lognormal", "pareto", "bimodal")
MINUTE = 60.0
_CHUNKS = 8

#: What may go on beside noise. Texts, or prompts, differ in cost by a CV of 20 %.
DRIFT, PROMPTS = "+10 %, cold, texts differ", "cold, prompts differ"
CONDITIONS: dict[str, dict[str, object]] = {
    "steady": {},
    DRIFT: {"trend": 1.1, "cold": True, "by_text": 0.2},
    "-30 %": {"trend": 0.7},
    PROMPTS: {"cold": True, "by_prompt": 0.2},
}
#: Queries that take nine service times more, hits as well: some, many, and many in a row; and these beside a drift.
STALLS: dict[str, dict[str, object]] = {
    "5 % stall": {"stalls": 0.05},
    "20 % stall": {"stalls": 0.2},
    "10 % stall, 6 in a row": {"stalls": 0.1, "stall_run": 6.0},
    "10 % stall, +10 %": {"stalls": 0.1, "trend": 1.1},
    "10 % stall, -30 %": {"stalls": 0.1, "trend": 0.7},
}
#: Replicas of unequal speed, which a prompt's hash picks.
REPLICAS = ((1.0, 1.5), (1.0, 1.5, 1.5), (1.0, 1.0, 1.5))

#: Where the probe looks for coalescing as well, on 4 lanes and with up to 8 at once.
BURSTS = ("steady", PROMPTS)

#: What a hit has of the reply that was kept.
COPIES: tuple[Copies, ...] = ("", "output", "id and output")

#: How much inputs that are no text differ in cost, and what a server of them may keep.
COSTS = (0.3, 0.6)
CACHES_OF_INPUTS = (
    *((f"response {1 / hit:g}x", Cache("response", hit=hit), "response") for hit in (0.01, 0.5)),
    *((f"near-duplicate {1 / hit:.3g}x", Cache("twins", hit=hit), "near_duplicate") for hit in (0.01, 0.1, 1 / 3, 0.5)),
    ("URL-keyed 10x", Cache("url_keyed", hit=0.1), "url_keyed"),
    ("coalescing", Cache("coalescing"), "coalescing"),
)

#: Caches of the designs that only repeat: how long a hit takes, and how often there is one.
REPEATS = (
    ("100x", 0.01, 1.0),
    ("1.5x", 1 / 1.5, 1.0),
    ("1.5x, half", 1 / 1.5, 0.5),
    ("10x, half", 0.1, 0.5),
    ("100x, 30 %", 0.01, 0.3),
)

SINGLE = planned(design="single", sources=(DATASET,), strata=STRATA, n_prompts=N_SINGLE, moved=False)
ANYTIME = planned(design="anytime", sources=(DATASET,), bets=BETS)


@dataclass(frozen=True)
class Cell:
    """Sessions of one kind. `right` are the kinds that a verdict should name, none for an honest server."""

    table: str
    row: str
    column: str
    probe: Probe
    service: Service
    cache: Cache = NO_CACHE
    right: tuple[str, ...] = ()


def honest() -> Iterator[Cell]:
    """Yield servers without any cache."""
    for (name, condition), shape, cv in product(CONDITIONS.items(), SHAPES, CVS):
        probe = planned(bursts=name in BURSTS)
        yield Cell("false alarms, default", f"{shape}, {cv:.0%}", name, probe, _service(shape, cv, condition))
    for cv in CVS:
        service = _service("sticky", cv, CONDITIONS[DRIFT])
        yield Cell("false alarms, default", f"sticky, {cv:.0%}", DRIFT, planned(), service)
    for name, shape, cv in product(("steady", PROMPTS), SHAPES, CVS[:4]):
        service = replace(_service(shape, cv, CONDITIONS[name]), decode=0.5, n_tokens=32)
        yield Cell("false alarms, streamed", f"{shape}, {cv:.0%}", name, planned(), service)
    for shape, cv in product(SHAPES, (0.1, 0.6)):
        probe, service = planned(bursts=True, **THOROUGH), _service(shape, cv, CONDITIONS[PROMPTS])
        yield Cell("false alarms, thorough", f"{shape}, {cv:.0%}", PROMPTS, probe, service)
    for table, probe in (("false alarms, single", SINGLE), ("false alarms, anytime", ANYTIME)):
        for name, shape, cv in product((DRIFT, PROMPTS), SHAPES, CVS):
            service = _service(shape, cv, CONDITIONS[name], MINUTE)
            yield Cell(table, f"{shape}, {cv:.0%}", name, probe, service)
        for (name, condition), cv in product(STALLS.items(), CVS[:4]):
            yield Cell(f"{table}, stalls", f"{cv:.0%}", name, probe, _service("lognormal", cv, condition, MINUTE))
        for replicas, cv in product(REPLICAS, CVS[:4]):
            service = Service(cv=cv, replicas=replicas, seconds=MINUTE)
            yield Cell(
                f"{table}, hashed replicas", f"{cv:.0%}", " : ".join(f"{one:g}" for one in replicas), probe, service
            )


def inputs() -> Iterator[Cell]:
    """Yield servers of inputs that are no text, and that differ in cost by a CV."""
    default = planned(bursts=True, **INPUTS)
    single = structs.replace(SINGLE, **INPUTS)
    anytime = structs.replace(ANYTIME, **INPUTS)
    for cost, shape, cv in product(COSTS, SHAPES[::2], CVS[1:4]):
        row, column, service = f"{shape}, {cv:.0%}", f"inputs differ by {cost:.0%}", Service(shape, cv, by_text=cost)
        for table, probe in (("default", default), ("single", single), ("anytime", anytime)):
            slow = service if probe is default else replace(service, seconds=MINUTE)
            yield Cell(f"false alarms, inputs, {table}", row, column, probe, slow)
    for cost, cv, (name, cache, right) in product(COSTS, CVS[1:3], CACHES_OF_INPUTS):
        row = f"inputs differ by {cost:.0%}, CV {cv:.0%}: {name}"
        yield Cell("other caches", row, "", default, Service(cv=cv, by_text=cost), cache, (right,))


def _service(shape: Shape, cv: float, condition: dict[str, object], seconds: float = 0.05) -> Service:
    return Service(shape, cv, seconds=seconds, **condition)  # type: ignore[arg-type]  # a dict of unlike values


def caching() -> Iterator[Cell]:
    """Yield servers with a cache."""
    full = Cache("response")
    for shape, cv in product(SHAPES, CVS):
        for table, probe, seconds in (
            ("full cache, default", planned(), 0.05),
            ("full cache, single", SINGLE, MINUTE),
            ("full cache, anytime", ANYTIME, MINUTE),
        ):
            yield Cell(table, shape, f"{cv:.0%}", probe, Service(shape, cv, seconds=seconds), full, ("response",))
    for (name, hit, chance), (stall, condition), cv in product(REPEATS, ({"none": {}} | STALLS).items(), CVS[:3]):
        for mode, probe in (("single", SINGLE), ("anytime", ANYTIME)):
            service, cache = _service("lognormal", cv, condition, MINUTE), Cache("response", hit=hit, chance=chance)
            yield Cell(f"caches, {mode}: {name}", f"{cv:.0%}", stall, probe, service, cache, ("response",))
    for name, probe, service, cache, right in (*_responses(), *_others()):
        yield Cell("other caches", name, "", probe, service, cache, (right,))


def _responses() -> Iterator[tuple[str, Probe, Service, Cache, str]]:
    modes = {"default": planned(), "thorough": planned(**THOROUGH)}
    for cv, (mode, probe), shape in product((0.1, 0.3), modes.items(), SHAPES):
        yield f"1.5x, {shape} {cv:.0%}, {mode}", probe, Service(shape, cv), Cache("response", hit=1 / 1.5), "response"
    yield "1.2x, lognormal 10%, default", planned(), Service(), Cache("response", hit=1 / 1.2), "response"
    for cv, (mode, probe) in product((0.1, 0.6), modes.items()):
        yield f"hit rate 30 %, CV {cv:.0%}, {mode}", probe, Service(cv=cv), Cache("response", chance=0.3), "response"
    for mode, probe in modes.items():
        yield f"1 in 3 replicas, {mode}", probe, Service(), Cache("response", replicas=3), "response"
        yield f"stored on second use, {mode}", probe, Service(), Cache("response", stores_on_use=2), "response"
    yield "data-set table", planned(), Service(), Cache("table"), "response"
    yield "response, streamed", planned(), Service(decode=0.5), Cache("response"), "response"
    for cv, hit in product((0.1, 0.3, 0.6), (0.07, 0.5, 0.67)):
        service, cache = Service(cv=cv, decode=0.5, n_tokens=32), Cache("response", paced=True, hit=hit)
        yield f"paced response, starts in {hit:.0%}, CV {cv:.0%}", planned(), service, cache, "reuse"


def _others() -> Iterator[tuple[str, Probe, Service, Cache, str]]:
    for cv, kind in product((0.1, 0.6), ("near_duplicate", "semantic", "url_keyed", "coalescing")):
        yield f"{kind}, CV {cv:.0%}", planned(bursts=kind == "coalescing"), Service(cv=cv), Cache(kind), kind
    for decode, gain, cv in ((0.5, 1.5, 0.1), (0.5, 3.0, 0.1), (0.5, 3.0, 0.3), (0.1, 3.0, 0.1), (None, 10.0, 0.1)):
        told = "not streamed" if decode is None else f"decode {decode:.0%}"
        service = Service(cv=cv, decode=decode)
        yield f"prefix {gain:g}x, CV {cv:.0%}, {told}", planned(), service, Cache("prefix", gain=gain), "prefix"
    for block, gain, cv in product((4, 8, 16, 32), (3.0, 10.0), (0.1, 0.6)):
        service, cache = Service(cv=cv, decode=0.5, n_tokens=32), Cache("prefix", gain=gain, block=block)
        yield f"prefix {gain:g}x in blocks of {block} words, CV {cv:.0%}", planned(), service, cache, "prefix"
    for decode, n_first, copies, cv in product((None, 0.5), (24, 64), COPIES, (0.1, 0.6)):
        told = f"{'not streamed' if decode is None else f'decode {decode:.0%}'}, {copies or 'nothing'} copied"
        service = Service(cv=cv, decode=decode, n_tokens=32)
        cache = Cache("beginning", n_first=n_first, copies=copies)
        yield f"first {n_first} characters, CV {cv:.0%}, {told}", planned(), service, cache, "near_duplicate"


def main() -> None:
    """Simulate all cells and print a table of each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="sessions of each honest cell; others a fifth")
    parser.add_argument("--cells", default="", help="only cells whose table, row and column have these words")
    parser.add_argument("--quick", action="store_true", help="500 sessions of each honest cell")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    runs = 500 if options.quick else options.runs
    cells = [cell for cell in (*honest(), *inputs(), *caching()) if _is_asked(cell, options.cells.split())]
    began = perf_counter()
    jobs = [(number, chunk, cell, _share(cell, runs)) for number, cell in enumerate(cells) for chunk in range(_CHUNKS)]
    with Pool(options.processes) as pool:
        parts = pool.starmap(_measure, jobs, chunksize=1)
    tallies = [reduce(add, parts[at : at + _CHUNKS]) for at in range(0, len(parts), _CHUNKS)]
    measured = list(zip(cells, tallies, strict=True))
    for table in dict.fromkeys(cell.table for cell in cells):
        print(f"\n### {table}\n")
        _print(table, [(cell, tally) for cell, tally in measured if cell.table == table])
    _print_costs(measured)
    print(f"\n{len(cells)} cells, {sum(tally.n for tally in tallies)} sessions, {perf_counter() - began:.0f} s")


def _is_asked(cell: Cell, words: Iterable[str]) -> bool:
    return all(word in f"{cell.table} {cell.row} {cell.column}" for word in words)


def _share(cell: Cell, runs: int) -> int:
    return max(1, (runs if not cell.right else runs // 5) // _CHUNKS)


def _measure(number: int, chunk: int, cell: Cell, runs: int) -> Tally:
    return simulate(cell.probe, cell.service, cell.cache, runs, [number, chunk])


def _print(table: str, measured: list[tuple[Cell, Tally]]) -> None:
    if table == "other caches":
        print("| cache | found % | right class, and no other % | others % | mean queries | looks 6 / 12 / 24 % |")
        print("|---|---|---|---|---|---|")
        for cell, tally in measured:
            print(_as_row(cell, tally))
        return
    columns = list(dict.fromkeys(cell.column for cell, _ in measured))
    print(f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for row in dict.fromkeys(cell.row for cell, _ in measured):
        of_row = {cell.column: _as_entry(cell, tally) for cell, tally in measured if cell.row == row}
        print(f"| {row} | {' | '.join(of_row.get(column, '') for column in columns)} |")
    if table.startswith("false"):
        print("\nEach entry: CACHE % / INCONCLUSIVE % / mean queries.", _worst(measured))
    elif table.startswith("caches"):
        print("\nEach entry: CACHE % / CLEAN % / INCONCLUSIVE % / mean queries.")
    else:
        print("\nEach entry: found by the first look % / named response and no more % / mean queries.")


def _as_entry(cell: Cell, tally: Tally) -> str:
    if not cell.right:
        return f"{tally.share('CACHE'):.2f} / {tally.share('INCONCLUSIVE'):.2f} / {tally.mean_queries():.0f}"
    first = tally.groups[cell.probe.looks[0]] if cell.probe.design == "groups" else tally.n
    if cell.table.startswith("caches"):
        shares = " / ".join(f"{tally.share(word):.2f}" for word in ("CACHE", "CLEAN", "INCONCLUSIVE"))
        return f"{shares} / {tally.mean_queries():.0f}"
    found = min(tally.share("CACHE"), 100 * first / tally.n)
    return f"{found:.2f} / {tally.named(*cell.right):.2f} / {tally.mean_queries():.1f}"


def _as_row(cell: Cell, tally: Tally) -> str:
    others = {kinds: n for kinds, n in tally.kinds.most_common(4) if kinds and kinds != cell.right}
    told = ", ".join(f"{'+'.join(kinds)} {100 * n / tally.n:.1f}" for kinds, n in others.items()) or "-"
    looks = " / ".join(f"{100 * tally.groups[look] / tally.n:.0f}" for look in cell.probe.looks)
    found, right = tally.share("CACHE"), tally.named(*cell.right)
    return f"| {cell.row} | {found:.2f} | {right:.2f} | {told} | {tally.mean_queries():.0f} | {looks} |"


def _worst(measured: list[tuple[Cell, Tally]]) -> str:
    cell, tally = max(measured, key=lambda one: one[1].share("CACHE"))
    covered, n = sum(tally.n_covered for _, tally in measured), sum(tally.n_intervals for _, tally in measured)
    return (
        f"Worst: {tally.share('CACHE'):.2f} % ({cell.row}; {cell.column}). Intervals cover {100 * covered / n:.1f} %."
    )


def _print_costs(measured: list[tuple[Cell, Tally]]) -> None:
    tables = ("false alarms, default", "full cache, default")
    rows = [(cell, tally) for cell, tally in measured if cell.service.cv <= 0.1 and cell.table in tables]
    if not rows:
        return
    print("\n### queries at CV <= 10 %\n\n| server | mean queries | of fixed 24 groups | of fixed 12 groups |")
    print("|---|---|---|---|")
    for cell, tally in rows:
        probe, mean = cell.probe, tally.mean_queries()
        fixed = [probe.n_warm_ups + groups * probe.group_size() + _in_bursts(probe) for groups in (24, 12)]
        shares = " | ".join(f"{n} ({mean / n:.0%})" for n in fixed)
        print(f"| {cell.table}: {cell.row}; {cell.column} | {mean:.0f} | {shares} |")


def _in_bursts(probe: Probe) -> int:
    """Return the queries of sizing and of all bursts, where 8 at once have to queue."""
    return 2 * (2 + 4 + 8) + 2 * N_BURSTS * 8 if probe.bursts else 0


if __name__ == "__main__":
    main()
