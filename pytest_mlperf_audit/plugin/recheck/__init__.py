"""--mlperf-recheck: the checks of a finished run of ours once more, from its records. Nothing is sent or written."""
