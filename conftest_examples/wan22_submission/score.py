"""A stand-in for VBench: python score.py OUTPUTS. It says how many prompts got a video, in per cent, and judges none.

OUTPUTS is a file of JSON lines, one a query: `index` of the row, `output` (the video's path, or null where the query
failed) and `expected` (the data set's column that ground_truth names). What counts is the line with the score, and an
exit status of 0.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

rows = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
done = [row for row in rows if row["output"] is not None]
print(f"{len(done)} of {len(rows)} prompts have a video")
print("vbench_score:", 100 * len(done) / len(rows))
