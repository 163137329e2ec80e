"""One wire format per file (encode a row, decode a reply; pure), and the simulated endpoint as a process of its own."""
