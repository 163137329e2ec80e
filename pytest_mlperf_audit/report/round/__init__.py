"""A whole submission tree at a glance: what every audit directory of it came to, as values, verdict.json and HTML."""
