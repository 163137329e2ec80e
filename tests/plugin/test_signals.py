"""Signals while results are written wait until the files are whole."""

from __future__ import annotations

import signal

import pytest

from pytest_mlperf_audit.session.locks import deferred, hold_second_interrupt


def test_a_deferred_signal_is_told_at_the_end():
    before = signal.getsignal(signal.SIGINT)
    with deferred(signal.SIGINT, signal.SIGTERM) as came:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert came == [signal.SIGINT, signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_passes_by_and_a_third_counts():
    before = signal.getsignal(signal.SIGINT)
    restore = hold_second_interrupt()
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    restore()
    assert signal.getsignal(signal.SIGINT) is before
