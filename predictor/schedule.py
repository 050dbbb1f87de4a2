"""When to train: a cron expression, in UTC."""

from datetime import datetime

from cronsim import CronSim, CronSimError

from shared.instant import utc_now


class Schedule:
    """The instants that a cron expression names."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for what is no cron expression, or names no instant at all, such as 30 February."""
        self.text = " ".join(text.split())
        complaint = f"'{text}' is no schedule of five fields, such as 15 3 * * *"
        # cronsim would take a sixth, for seconds.
        if len(text.split()) != 5:
            raise ValueError(complaint)
        try:
            self.next_after(utc_now())
        except (CronSimError, StopIteration) as error:
            raise ValueError(complaint) from error

    def next_after(self, instant: datetime) -> datetime:
        """Return the first instant after this one, which is in UTC."""
        return next(CronSim(self.text, instant))

    def last_until(self, instant: datetime) -> datetime:
        """Return the newest instant that is not after this one, which is in UTC."""
        # cronsim looks back from what it is given without counting that, unless it has a fraction of a second.
        return next(CronSim(self.text, instant.replace(microsecond=instant.microsecond or 1), reverse=True))
