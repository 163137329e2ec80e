"""Signals while results are written wait until the files are whole."""

from __future__ import annotations

import signal

from pytest_mlperf_audit.session.locks import deferred


def test_a_deferred_signal_is_told_at_the_end():
    before = signal.getsignal(signal.SIGINT)
    with deferred(signal.SIGINT, signal.SIGTERM) as came:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert came == [signal.SIGINT, signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is before
