"""--mlperf-results: a published submission tree as pytest tests, one for each audit directory. Nothing is sent."""
