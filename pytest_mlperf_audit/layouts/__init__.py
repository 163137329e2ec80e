"""The files that MLPerf's checkers read, written from a finished run: the endpoints layout and the classic one."""

from typing import Final, Literal, get_args

#: MLPerf's submission files: those of its endpoints tool, those of LoadGen and its verification scripts, or both.
Layout = Literal["endpoints", "classic", "both"]
LAYOUTS: Final[tuple[Layout, ...]] = get_args(Layout)
