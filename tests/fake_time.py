"""A monotonic clock that only a test moves."""


class FakeTime:
    """Shows `seconds`, which a test sets; each look takes `step_seconds`."""

    def __init__(self, step_seconds: float = 0.0) -> None:
        self.seconds = 1000.0
        self._step_seconds = step_seconds

    def __call__(self) -> float:
        """Return the time, as `time.monotonic` does."""
        self.seconds += self._step_seconds
        return self.seconds
