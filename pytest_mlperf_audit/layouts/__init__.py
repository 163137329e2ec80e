"""The files that MLPerf's checkers read, written from a finished run: the endpoints layout and the classic one."""
