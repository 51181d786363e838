"""Time that a test moves by hand."""


class HandClock:
    """A monotonic clock, in seconds, that stands still between two calls of `advance`."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Give the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the time on."""
        self.now += seconds
