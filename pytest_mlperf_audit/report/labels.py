"""What figures, settings, checks and facts of the machine are called in a report, with their units, and what they mean.

A key that is not listed, as of an audit of somebody else's, is shown as words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import msgspec

from ..audits.verdict import Figure
from ..text import plain
from .clean import NOTHING, number, percent, seconds


class Named(msgspec.Struct, frozen=True):
    """A value with its name: what a reader sees in a list of figures or settings; `meaning` may be ""."""

    name: str
    value: str
    meaning: str = ""


_Show = Callable[[Figure], str]


def _with(unit: str) -> _Show:
    return lambda value: number(value) if isinstance(value, str) or value is None else f"{number(value)} {unit}"


def _share(value: Figure) -> str:
    return percent(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else number(value)


def _seconds(value: Figure) -> str:
    return seconds(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else number(value)


def _milliseconds(value: Figure) -> str:
    return seconds(value / 1e3) if isinstance(value, (int, float)) and not isinstance(value, bool) else number(value)


def _most_ms(value: Figure) -> str:
    return "no limit" if value == 0 else _milliseconds(value)


def _listed(value: Figure) -> str:
    """Return a list as the YAML has it without brackets and quotes."""
    return re.sub(r"[\[\]']", "", value) if isinstance(value, str) else number(value)


_RATE, _QUERIES, _TOKENS = _with("queries/s"), _with("queries"), _with("tokens")

#: What each figure is called, how it is shown, and what it means where its name does not say so.
_FIGURES: Mapping[str, tuple[str, _Show, str]] = {
    "ref_qps": ("Throughput, different inputs", _RATE, ""),
    "audit_qps": ("Throughput, repeated input", _RATE, ""),
    "qps": ("Throughput", _RATE, ""),
    "ref_completed": ("Completed, different inputs", _QUERIES, ""),
    "audit_completed": ("Completed, repeated input", _QUERIES, ""),
    "ref_requested": ("Planned, different inputs", _QUERIES, ""),
    "audit_requested": ("Planned, repeated input", _QUERIES, ""),
    "n_completed": ("Completed", _QUERIES, ""),
    "window_s": ("Window", _seconds, "from the first query sent to the last completion"),
    "threshold": ("Tolerance or least score", number, "as the audit's settings have it"),
    "threshold_of": ("The least score comes from", number, ""),
    "limit_ratio": ("Limit of the ratio", number, "1 and the tolerance; the ratio must be below it"),
    "ratio": ("Ratio", number, "throughput of the repeated input over that of different inputs"),
    "ratio_low": ("Ratio, low end", number, "of its 95 % interval"),
    "ratio_high": ("Ratio, high end", number, "of its 95 % interval"),
    "ratio_long_run": ("Ratio in the long run", number, "without the first and the last queries of the phases"),
    "ratio_first_pair": ("Ratio of the first two phases", number, "which did not settle it"),
    "ratio_first_pair_by_latency": ("The same by latencies", number, ""),
    "ratio_fresh_prompts": ("Ratio of fresh inputs", number, "repeated in the row's place"),
    "confirmation": ("Further blocks came to", number, ""),
    "confirmation_pairs": ("Pairs of further blocks", number, ""),
    "evidence": ("Evidence", number, "what the interval says beside the rule"),
    "queries_to_decide": ("Queries that would decide", _QUERIES, "in each phase, the ratio staying as it is"),
    "sample_index": ("Repeated row", number, ""),
    "ref_cv": ("Spread of latencies, different inputs", _share, "standard deviation over mean (CV)"),
    "audit_cv": ("Spread of latencies, repeated input", _share, "standard deviation over mean (CV)"),
    "ref_early_stopping_p90_s": ("Early-stopping p90, different inputs", _seconds, ""),
    "output_caching_early_stopping_p90_s": ("Early-stopping p90, repeated input", _seconds, ""),
    "probe": ("Cache probe", number, ""),
    "probe_kinds": ("Caches found by the probe", number, ""),
    "probe_queries": ("Sent by the probe", _QUERIES, "its trial query aside"),
    "probe_failed": ("Failed in the probe", _QUERIES, ""),
    "probe_groups": ("Groups of the probe", number, "of repeats and their twins"),
    "probe_null_p": ("p of the probe's self-check", number, "of two kinds that cannot differ; a small one spoils it"),
    "probe_decode_share": ("Time after the first token", _share, "of a whole latency"),
    "probe_burst_size": ("Queries at once in a burst", number, ""),
    "outputs_sampled": ("Outputs sampled", number, ""),
    "outputs_compared": ("Outputs compared", number, ""),
    "outputs_matching": ("Outputs that match", number, ""),
    "outputs_differing": ("Outputs that differ", number, ""),
    "samples": ("Samples judged", number, ""),
    "output_tokens": ("Output tokens", _TOKENS, ""),
    "mean_output_tokens": ("Mean output length", _TOKENS, ""),
    "min_output_tokens": ("Least mean length allowed", _TOKENS, ""),
    "max_output_tokens": ("Greatest mean length allowed", _TOKENS, ""),
    "bounds_of": ("The bounds come from", number, ""),
    "token_dtype": ("Token ids are logged as", number, ""),
    "eos_ids": ("Token ids that end an output", number, "EOS"),
    "ids_from": ("Token ids come from", number, ""),
    "score": ("Score", number, "in the scorer's own unit"),
    "n_scored": ("Outputs scored", number, ""),
    "n_unanswered": ("Outputs without an answer", number, ""),
    "exact_match": ("Exact matches", _with("%"), ""),
    "scorer_exit_status": ("The scorer's exit status", number, "0: it ended well"),
    "output_tokens_per_s": ("Output tokens a second", _with("tokens/s"), ""),
    "tpot_ms": ("Time per output token, median", _milliseconds, "after the first token"),
    "reported_output_tokens": ("Output tokens, as the replies report", _TOKENS, ""),
}
_SETTINGS: Mapping[str, tuple[str, _Show, str]] = {
    "dataset": ("Data set", number, ""),
    "samples": ("Queries of the reference or main phase", number, ""),
    "audit_samples": ("Queries of each phase with one input", number, ""),
    "sample_index": ("Repeated row", _listed, ""),
    "reference": ("Compared with", number, "rows, or fresh twins of the repeated row"),
    "threshold": ("Tolerance or least score", number, ""),
    "min_completion": ("Share of queries that must complete", _share, ""),
    "confirmation_budget": ("Most further queries", _with("times the reference's"), ""),
    "match": ("Outputs are compared", number, ""),
    "sampling_target": ("Outputs sampled", number, ""),
    "delta_percent": ("Scores may differ by", _with("%"), ""),
    "min_matches": ("Least number of matches", number, ""),
    "eos_ids": ("Token ids that end an output", _listed, "EOS"),
    "tokenizer": ("Tokenizer", number, ""),
    "min_output_tokens": ("Least mean length", _TOKENS, ""),
    "max_output_tokens": ("Greatest mean length", _TOKENS, ""),
    "probe": ("Cache probe", number, ""),
    "design": ("Probe: design", number, ""),
    "groups": ("Probe: most groups", number, ""),
    "thorough": ("Probe: thorough", number, "all groups, each primed twice"),
    "samples of the probe": ("Probe: inputs", number, ""),
    "forbid": ("Probe: caches that fail", _listed, ""),
    "bursts": ("Probe: identical queries at once", number, ""),
    "max_burst": ("Probe: most queries at once", number, ""),
    "url": ("Probe: changed URLs", number, "to find caches keyed on the URL alone"),
    "probe tokens": ("Probe: longest output", _TOKENS, "of made-up inputs"),
    "max_queries": ("Probe: most queries", number, ""),
    "max_duration_ms": ("Probe: time limit", _most_ms, ""),
}
_ENVIRONMENT: Mapping[str, str] = {
    "python": "Python",
    "platform": "Platform of the client",
    "cpus": "CPUs of the client",
    "pytest": "pytest",
    "pytest_mlperf_audit": "pytest-mlperf-audit",
    "xdist_workers": "pytest-xdist workers",
    "aiohttp": "aiohttp",
    "httptools": "httptools",
    "event_loop": "Event loop",
}
_CHECKS: Mapping[str, str] = {
    "completion": "Queries completed",
    "count": "Queries sent",
    "requests_distinct": "Requests differ on the wire",
    "requests_identical": "Requests are equal on the wire",
    "throughput_ratio": "Throughput ratio",
    "cache_probe": "Cache probe",
    "matches": "Outputs that match",
    "outputs_match": "Outputs that differ",
    "score_within": "Throughput of the audit run over the reference run",
    "samples": "Samples logged",
    "first_token": "Outputs with another first token",
    "eos": "Outputs with more than one EOS token",
    "token_count": "Outputs with another number of tokens",
    "score": "Score",
    "output_length": "Mean output length",
    "duration": "Duration",
    "goodput": "Goodput",
    "early_stopping": "Queries for LoadGen's early stopping",
}
#: Figures that the tables of checks, of phases or of settings have.
_ELSEWHERE = frozenset(
    {
        *("ref_qps", "audit_qps", "qps", "ref_completed", "audit_completed", "n_completed", "ref_requested"),
        *("audit_requested", "window_s", "limit_ratio", "ratio", "sample_index", "ref_cv", "audit_cv", "probe"),
        *("ref_early_stopping_p90_s", "output_caching_early_stopping_p90_s", "probe_kinds", "probe_queries"),
        *("probe_failed", "probe_groups"),
    }
)
#: Figures that mean this only where a verdict has ratios: an audit of a third party may have a ratio of its own.
_OF_RATIOS = frozenset({"ratio", "limit_ratio", "evidence", "probe"})
#: Keys of the cache probe that mean another thing in other blocks, by the settings where they stand.
_OF_PROBE = {"samples": "samples of the probe", "max_output_tokens": "probe tokens"}


def figure_rows(
    figures: Mapping[str, Figure], settings: Mapping[str, Figure], *, has_ratios: bool = True
) -> list[Named]:
    """Return an audit's figures with their names; what has no value, or stands in another table, is left out.

    `has_ratios` tells an audit of caches, whose ratio stands in its checks, from one that has figures called so.
    """
    foreign = frozenset() if has_ratios else _OF_RATIOS
    return [
        Named(key, number(value)) if key in foreign else _row(key, value, _FIGURES)
        for key, value in figures.items()
        if value not in (None, "")
        and (key in foreign or _base(key, _FIGURES) not in _ELSEWHERE)
        and settings.get(key) != value
    ]


def setting_rows(settings: Mapping[str, Figure]) -> list[Named]:
    """Return an audit's settings with their names; what is left to its default of nothing is left out."""
    of_probe = "design" in settings
    rows = []
    for key, value in settings.items():
        block, _, last = key.rpartition(".")
        probes = block == "probe" or (of_probe and not block)
        name = _OF_PROBE.get(last, last) if probes else key
        if value is not None:
            rows.append(_row(name, value, _SETTINGS))
    return rows


def environment_rows(environment: Mapping[str, Figure], shown: Iterable[str] = ()) -> list[Named]:
    """Return what is known of the client's machine, but for what is `shown` elsewhere."""
    return [
        Named(_ENVIRONMENT.get(key, _as_words(key)), number(value))
        for key, value in environment.items()
        if key not in shown
    ]


def check_title(name: str) -> str:
    """Return what a check is about in words: 'Queries completed: reference'."""
    base, bracket, rest = name.partition("[")
    words = _CHECKS.get(base)
    if base == "no_cache" and bracket:
        return plain(f"No cache: {_as_words(rest.rstrip(']')).lower()}", 120)
    return plain(f"{words or _as_words(base)}{f': {rest.rstrip(chr(93))}' if bracket else ''}", 120)


def _row(key: str, value: Figure, known: Mapping[str, tuple[str, _Show, str]]) -> Named:
    if key in known:
        name, show, meaning = known[key]
        return Named(name, show(value) or NOTHING, meaning)
    base = _base(key, known)
    if base is None:
        return Named(_as_words(key), number(value))
    name, show, meaning = known[base]
    return Named(f"{name}: {_as_words(key[len(base) + 1 :], lower=True)}", show(value) or NOTHING, meaning)


def _base(key: str, known: Mapping[str, tuple[str, _Show, str]]) -> str | None:
    """Return the key that is listed; a figure of one of several rows or data sets ends in that: ratio_7."""
    if key in known:
        return key
    return next((base for base in sorted(known, key=len, reverse=True) if key.startswith(f"{base}_")), None)


def _as_words(key: str, *, lower: bool = False) -> str:
    words = plain(key, 80).replace("_", " ").replace(".", ": ").strip()
    return words if lower else f"{words[:1].upper()}{words[1:]}"
