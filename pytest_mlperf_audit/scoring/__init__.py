"""Outputs of a model to scores: what is the answer in an output, and is it right. Pure of configuration and records."""
