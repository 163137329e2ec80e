"""A YAML to begin with, its data set and a CI workflow, as text: for --mlperf-init and for --mlperf-endpoint alone."""
