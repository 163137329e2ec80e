"""Make docs/report.png, the picture in README.md: a report of the example wan22_offline, whose endpoint caches.

    pip install -e ".[test]" && python docs/picture.py

Needs Chromium, whose command may be named in $CHROMIUM.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "report.png"
SIZE = (1280, 800)
COLOURS = 64
MOST_BYTES = 100_000


def main() -> None:
    """Run the example in a folder of its own, take the picture, and keep it small."""
    with tempfile.TemporaryDirectory() as scratch:
        example = Path(shutil.copytree(ROOT / "conftest_examples" / "wan22_offline", Path(scratch) / "wan22_offline"))
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--mlperf-config=wan22.yaml", "-m", "test04"],
            cwd=example,
            env={**os.environ, "SIMULATED_CACHE": "exact"},
            check=False,
            stdout=subprocess.DEVNULL,
        )
        shot = Path(scratch) / "shot.png"
        _photograph(example / "mlperf-reports" / "wan22" / "report.html", shot)
        with Image.open(shot) as image:
            image.convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)
    size = PICTURE.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{PICTURE}: {size:,} bytes, more than {MOST_BYTES:,}")
    print(f"{PICTURE.relative_to(ROOT)}: {size:,} bytes")


def _photograph(page: Path, shot: Path) -> None:
    """The first screen of a page."""
    width, height = SIZE
    subprocess.run(
        [
            os.environ.get("CHROMIUM", "chromium"),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--window-size={width},{height}",
            f"--screenshot={shot}",
            page.as_uri(),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
        timeout=60,
    )


if __name__ == "__main__":
    main()
