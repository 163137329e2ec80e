"""A phase's kept outputs as mlperf_log_accuracy.json, in LoadGen's own layout, with its white space.

Source: mlcommons/inference `loadgen/logging.cc` (AsyncLog::LogAccuracy) of the commit that `audits.models` names: an
entry a line, in the order of completion, the bytes of the output as hexadecimal digits in upper case; with token
latencies the first token beside it as `token_data`, and the number of tokens. Token ids are little-endian int32. A
query that failed has no entry, since LoadGen logs none for a sample that its SUT did not answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..records.files import write_pieces
from ..runs.query import QueryRecord


def write_accuracy_log(path: Path, records: Iterable[QueryRecord]) -> int:
    """Write the log of a phase's records, one at a time; return the number of its entries.

    Only completed queries whose output or token ids were kept are logged. Raises OSError, and RecordError where
    `records` are read from a log that is not whole; then no file is written.
    """
    n_entries = 0

    def pieces() -> Iterator[bytes]:
        nonlocal n_entries
        yield b"["
        for record in records:
            if (entry := accuracy_entry(record)) is not None:
                yield (",\n" if n_entries else "\n").encode() + entry.encode()
                n_entries += 1
        yield b"\n]\n"

    write_pieces(path, pieces())
    return n_entries


def accuracy_entry(record: QueryRecord) -> str | None:
    """Return a record as LoadGen logs a sample, None where nothing of its reply was kept.

    An output without token ids is logged as the bytes of its text, as LoadGen does without token latencies.
    """
    if not record.ok or (record.output_ids is None and record.output is None):
        return None
    text = (record.output or "").encode("utf-8", "replace").hex()
    fields = [f'"seq_id" : {record.query}', f'"qsl_idx" : {record.sample}']
    fields.append(f'"data" : "{(text if record.output_ids is None else record.output_ids).upper()}"')
    if record.output_ids is not None:
        if record.first_ids is not None:
            fields.append(f'"token_data" : "{record.first_ids.upper()}"')
        if record.tokens is not None:
            fields.append(f'"token_count" : {record.tokens}')
    return f"{{ {', '.join(fields)} }}"
