"""What is run and what came of it, as plain values: RunSpec in, QueryRecord and PhaseRecord out.

Pure: no file, no socket, no pytest. The load engine and the audits meet in these types and nowhere else.
"""
