"""The accuracy run of a YAML: which data sets are sent and scored, and what a submission lacks."""

from __future__ import annotations

from collections.abc import Iterator

from ..audits.main_run import AccuracyBlock
from ..audits.scored import scoring_of
from ..config.benchmark import Benchmark
from ..config.dataset import DatasetConfig
from ..runs.spec import Scoring


def accuracy_runs(benchmark: Benchmark) -> list[tuple[DatasetConfig, Scoring]]:
    """Return the accuracy data sets that are sent, with how they are scored."""
    return [
        (dataset, scoring)
        for dataset in benchmark.scored_datasets
        if benchmark.accuracy is not False and not isinstance(scoring := scoring_of(dataset), str)
    ]


def accuracy_block(benchmark: Benchmark) -> AccuracyBlock:
    """Return the settings of the accuracy run, with what it needs and lacks."""
    lacking = dict(_unscorable(benchmark)) if benchmark.accuracy else {}
    if benchmark.accuracy and not benchmark.scored_datasets:
        lacking["accuracy"] = "the YAML names no data set of type accuracy; add one with accuracy_config"
    return AccuracyBlock(lacking=lacking)


def _unscorable(benchmark: Benchmark) -> Iterator[tuple[str, str]]:
    """Yield the names of data sets that are to be scored and cannot be, and a sentence on each."""
    for dataset in benchmark.datasets:
        method = dataset.accuracy_config.eval_method if dataset.accuracy_config else dataset.eval_method
        if dataset.agentic_inference and method:
            what = f"the performance data set {dataset.name!r} is not scored (eval_method {method})"
            yield dataset.name, f"{what}: outputs are scored in the accuracy run alone"
    for dataset in benchmark.scored_datasets:
        if isinstance(why := scoring_of(dataset), str):
            yield dataset.name, f"the accuracy data set {dataset.name!r} cannot be scored: {why}"


def unscored(benchmark: Benchmark) -> list[str]:
    """Return what is not scored of the accuracy data sets, a sentence for each."""
    if benchmark.accuracy is False:
        return []
    then = "the run will have no verdict on accuracy" if benchmark.accuracy else "it is left out"
    lacking = dict(_unscorable(benchmark)) | accuracy_block(benchmark).lacking
    return [f"{why}; {then}" for why in lacking.values()]
