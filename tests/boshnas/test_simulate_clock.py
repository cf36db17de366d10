from boshnas.simulate.clock import VirtualClock


def test_sleeping_ends_at_the_next_alarm_however_far_it_is():
    clock = VirtualClock()
    clock.wake_at(1e6)
    clock.wake_at(40.0)
    clock.sleep(0.1)
    assert clock.monotonic() == 40.0
    clock.sleep(0.1)
    assert clock.monotonic() == 1e6


def test_without_an_alarm_it_goes_by_the_seconds_asked():
    clock = VirtualClock()
    clock.sleep(2.5)
    assert clock.monotonic() == 2.5


def test_an_alarm_that_time_has_passed_ends_the_next_sleep_at_once():
    clock = VirtualClock()
    clock.wake_at(10.0)
    clock.wake_at(50.0)
    clock.spend(20.0)
    clock.sleep(0.1)
    assert clock.monotonic() == 20.0
    clock.sleep(0.1)
    assert clock.monotonic() == 50.0


def test_a_longest_step_ends_a_sleep_before_the_alarm_and_the_alarm_stays():
    clock = VirtualClock(max_step_s=30.0)
    clock.wake_at(70.0)
    moments = []
    for _ in range(3):
        clock.sleep(0.1)
        moments.append(clock.monotonic())
    assert moments == [30.0, 60.0, 70.0]
