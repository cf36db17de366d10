"""Signals that ask a run to stop."""

import os
import signal
from collections.abc import Iterator

import pytest
from transformers import TrainerControl, TrainerState

from pretrain.interrupt import StopOnRequest, stop_on_signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list[object]]:
    """What is installed comes back, whatever a test does."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield before
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_wish_and_the_second_is_not_caught(number: int, handlers: list[object]):
    with stop_on_signal() as is_stop_wanted:
        assert not is_stop_wanted()
        os.kill(os.getpid(), number)
        assert is_stop_wanted()
        assert [signal.getsignal(each) for each in SIGNALS] == [signal.SIG_DFL] * 2
    assert [signal.getsignal(each) for each in SIGNALS] == handlers


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_on_signal() as is_stop_wanted:
        os.kill(os.getpid(), signal.SIGINT)
        assert not is_stop_wanted()
        os.kill(os.getpid(), signal.SIGTERM)
        assert is_stop_wanted()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize(("step", "stops"), [(3, True), (5, False)])
def test_a_run_at_its_end_ends_as_it_would(step: int, stops: bool):
    control, callback = TrainerControl(), StopOnRequest(lambda: True)
    callback.on_step_end(None, TrainerState(global_step=step, max_steps=5), control)
    assert callback.has_stopped is stops
    assert [control.should_save, control.should_log, control.should_training_stop] == [stops] * 3
