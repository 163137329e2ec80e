"""Outcome of a run to files people and programs read: verdict.json, report.html, a CI summary."""
