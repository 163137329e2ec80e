"""MLPerf's own file formats, so that its tools reach the same verdict from our files."""
