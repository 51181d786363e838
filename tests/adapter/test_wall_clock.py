"""Moments as times of day: the same text each time, and right again after the clock was set."""

from datetime import UTC, datetime

from agent_adapter.wall_clock import WallClock

from tests.adapter.hand_clock import HandClock

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)


def test_a_moment_has_one_time_of_day() -> None:
    """Though the two clocks are never read at the very same instant, and drift a little."""
    clock, wall = HandClock(50.0), HandClock(NOON.timestamp())
    times = WallClock(clock, wall)
    assert times(50.0) == NOON
    for _ in range(100):
        clock.advance(1)
        wall.advance(1.0004)
        assert times(50.0) == NOON


def test_a_clock_that_was_set_is_followed() -> None:
    """An hour on or back: what is said from now on is right now."""
    clock, wall = HandClock(50.0), HandClock(NOON.timestamp())
    times = WallClock(clock, wall)
    for hours in (1, -2):
        wall.advance(hours * 3600)
        assert times(clock()).timestamp() == wall()
