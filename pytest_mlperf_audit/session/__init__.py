"""A run without pytest: planned, carried out, judged, and judged again from what it left."""
