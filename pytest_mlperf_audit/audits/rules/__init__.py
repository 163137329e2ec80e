"""MLPerf's rules as functions of plain values, for live audits and for logs on disk alike."""
