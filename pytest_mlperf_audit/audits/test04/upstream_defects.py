"""What is known to be wrong in upstream's `compliance/TEST04/verify_performance.py`."""

from __future__ import annotations

from typing import Final

from ..published.case import Defect

SCRIPT: Final = "TEST04/verify_performance.py"
NO_SCORE: Final = Defect(
    "no_score_is_zero",
    SCRIPT,
    "a log without a score counts as one that scored 0: the audit run's then passes, and without the reference"
    " run's the script says 'Test score invalid', as if it had compared two",
)
NO_VALIDITY: Final = Defect(
    "no_result_line_is_valid",
    SCRIPT,
    "a log without 'Result is : VALID' counts as valid; only the word INVALID is looked for",
)
NO_END: Final = Defect(
    "cut_log_unseen",
    SCRIPT,
    "a log that is cut short is compared like a whole one; LoadGen's closing line is not looked for",
)
NO_SCENARIO: Final = Defect(
    "scenario_without_rule",
    SCRIPT,
    "a log without a scenario, or of one that TEST04 has no score for, is compared all the same: as a "
    "mismatch, or as 0 with 0",
)
SAME_RUN: Final = Defect(
    "one_run_twice",
    SCRIPT,
    "the same log as reference and audit passes; nothing looks whether these are two runs",
)
NOT_REPEATED: Final = Defect(
    "repeats_unseen",
    SCRIPT,
    "nothing looks whether the audit run repeated one sample and the reference run did not",
)
ODD_NUMBER: Final = Defect(
    "odd_numbers",
    SCRIPT,
    "whatever Python's float() takes is a score: 0, inf, nan, negative numbers, 1_000",
)
SEVERAL: Final = Defect(
    "last_of_several",
    SCRIPT,
    "where a line comes several times with different values, the last score counts, and any INVALID",
)
LOOSE: Final = Defect(
    "loose_patterns",
    SCRIPT,
    "lines are told by how they begin: a score before the scenario's line or behind blanks or NUL bytes is not"
    " seen, and a line that merely begins alike is taken",
)
TARGET_LATENCY: Final = Defect(
    "target_latency_unseen",
    SCRIPT,
    "the pattern for 'target_latency (ns)' has unescaped parentheses and never matches, so runs of Server with"
    " different target latencies are compared",
)
ROUNDING: Final = Defect(
    "rounded_limit",
    SCRIPT,
    "the limit is rounded before the comparison, so a run exactly at the limit may pass or fail",
)
CRASH_TEXT: Final = Defect(
    "traceback_on_text",
    SCRIPT,
    "a log that is no UTF-8 ends the script with a traceback",
)
CRASH_NUMBER: Final = Defect(
    "traceback_on_number",
    SCRIPT,
    "a score such as 1,000 ends the script with a traceback",
)
CRASH_ZERO: Final = Defect(
    "traceback_on_zero",
    SCRIPT,
    "a latency of 0 ends the script with a traceback",
)
CRASH_LINE: Final = Defect(
    "traceback_on_line",
    SCRIPT,
    "a line without a blank behind its colon, or without a value, ends the script with a traceback",
)
