"""Ask MLCommons' whole submission checker about a tree: python ask_checker.py TREE VERSION GIVEN, in tools/submission.

Runs its main() as `python -m submission_checker.main` does, and prints one JSON object: the exit status, the metric of
each scenario that it accepts, by its directory, those that it refuses, and every error in its words.
Two rules are set aside, since no test can run for ten minutes: the floor of 600 s, and the seeds of the version, for a
YAML can have those of one version only. GIVEN is a JSON object of `seeds` expected instead, null for the version's own,
and `sizes`: how many samples a model's runs need instead of thousands, by its name.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

from submission_checker import constants, main
from submission_checker.checks import performance_check

_SIZES = ("performance-sample-count", "accuracy-sample-count", "dataset-size")
_RESULT = re.compile(r"(Results|NoResults) (\S+?)performance/run_1/mlperf_log_detail\.txt ?(\S*)")


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.errors: list[str] = []
        self.accepted: dict[str, float] = {}
        self.refused: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if found := _RESULT.match(message):
            scenario = Path(found[2]).name
            if found[1] == "Results":
                self.accepted[scenario] = float(found[3])
            else:
                self.refused.append(scenario)
        elif record.levelno >= logging.ERROR:
            self.errors.append(message)


def ask(tree: str, version: str, given: dict[str, Any]) -> dict[str, Any]:
    performance_check.TEST_DURATION_MS = 0
    model_config = constants.MODEL_CONFIG[version]
    model_config["seeds"] = given["seeds"] or model_config["seeds"]
    for model, size in given.get("sizes", {}).items():
        performance_check.OFFLINE_MIN_SPQ_SINCE_V4[model] = size
        for key in _SIZES:
            model_config[key][model] = size
    heard = Heard()
    logging.getLogger().addHandler(heard)
    sys.argv = ["main", "--input", tree, "--version", version, "--csv", f"{tree}.csv"]
    status = main.main()
    return {
        "status": status,
        "accepted": heard.accepted,
        "refused": heard.refused,
        "errors": [line for line in heard.errors if line != "---"],
    }


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))))
