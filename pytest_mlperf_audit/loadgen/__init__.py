"""The files that MLPerf's LoadGen and its scripts leave, read and written. Readers never guess: absent is None."""
