"""When to train: a cron expression, in UTC, or never by itself."""

from datetime import datetime

from cronsim import CronSim, CronSimError

from shared.instant import utc_now

# Something else trains, such as a CronJob.
OFF = "off"


class Schedule:
    """The instants that a cron expression names; none where it is `off`."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for what is no cron expression, or names no instant at all, such as 30 February."""
        self.text = " ".join(text.split())
        self.is_off = self.text == OFF
        if self.is_off:
            return
        complaint = f"'{text}' is neither a schedule of five fields, such as 15 3 * * *, nor {OFF}"
        # cronsim would take a sixth, for seconds.
        if len(text.split()) != 5:
            raise ValueError(complaint)
        try:
            self.next_after(utc_now())
        except (CronSimError, StopIteration) as error:
            raise ValueError(complaint) from error

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first instant after this one, which is in UTC; None where it is off."""
        return None if self.is_off else next(CronSim(self.text, instant))

    def last_until(self, instant: datetime) -> datetime | None:
        """Return the newest instant that is not after this one, which is in UTC; None where it is off."""
        if self.is_off:
            return None
        # cronsim looks back from what it is given without counting that, unless it has a fraction of a second.
        return next(CronSim(self.text, instant.replace(microsecond=instant.microsecond or 1), reverse=True))
