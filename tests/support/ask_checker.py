"""Ask MLCommons' submission checker about one submission tree: python ask_checker.py TREE VERSION, in tools/submission.

Prints one JSON object for each scenario: whether its performance and its compliance check pass, and what they said.
One rule is set aside, since no test can run for ten minutes: the floor of 600 s. Other seeds than the version's may be
the third argument, for a YAML can have those of one version only; `null` stands for the version's.
"""

from __future__ import annotations

import json
import logging
import sys

from submission_checker.checks import performance_check
from submission_checker.checks.compliance_check import ComplianceCheck
from submission_checker.configuration.configuration import Config
from submission_checker.loader import Loader


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def main(tree: str, version: str, seeds: dict[str, int] | None) -> None:
    performance_check.TEST_DURATION_MS = 0
    config = Config(version, None)
    config.seeds = seeds or config.seeds
    log, heard = logging.getLogger("checker"), Heard()
    log.addHandler(heard)
    for logs in Loader(tree, version, config).load():
        heard.lines.clear()
        data = logs.loader_data
        answer = {
            "scenario": data["scenario"],
            "endpoints": data["is_endpoints_submission"],
            "performance": performance_check.PerformanceCheck(log, data["perf_path"], config, logs)(),
            "compliance": ComplianceCheck(log, data["compliance_path"], config, logs)(),
            "metric": data.get("performance_metric"),
            "errors": heard.lines,
        }
        print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
