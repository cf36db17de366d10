import os
import signal
import threading

import pytest

from boshnas.interruption import Interruption, taken_signals


@pytest.fixture(autouse=True)
def _own_handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and under nohup this
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_first_is_a_wish_and_the_second_ends():
    with taken_signals() as interruption:
        interruption.num_running = 2
        signal.raise_signal(signal.SIGINT)
        assert interruption.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_with_nothing_running_the_first_ends():
    with taken_signals() as interruption:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert not interruption.asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_a_closed_terminal_end(number: signal.Signals):
    with taken_signals() as interruption:
        interruption.num_running = 2
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert not interruption.asked


def test_the_handlers_of_before_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt), taken_signals():
        raise KeyboardInterrupt
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_is_ignored_stays_ignored(number: signal.Signals):
    signal.signal(number, signal.SIG_IGN)
    with taken_signals() as interruption:
        signal.raise_signal(number)
        assert not interruption.asked
    assert signal.getsignal(number) is signal.SIG_IGN


def test_in_another_thread_nothing_is_taken():
    seen: list[Interruption] = []
    handler = signal.getsignal(signal.SIGINT)

    def work() -> None:
        with taken_signals() as interruption:
            seen.append(interruption)
            assert signal.getsignal(signal.SIGINT) is handler

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(seen) == 1


def test_a_forked_child_ends_as_ever():
    with taken_signals() as interruption:
        interruption.num_running = 1
        child = os.fork()
        if child == 0:
            signal.raise_signal(signal.SIGTERM)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM
        assert not interruption.asked
