"""Who may write: a lease on the database's clock, and a number, the epoch, that every write has to prove.

A leader renews its lease; when it is silent for longer than the lease lasts, a stand-by ends the old leader's
connections, raises the epoch and leads. A leader that was only paused finds its connections cut and its epoch past.
"""

import asyncio
import time

from shared.database.connection import Connection
from shared.database.database import connect
from shared.errors import DatabaseUnavailableError, LeadershipLostError
from shared.lifecycle import wait
from shared.logging import get_logger

log = get_logger(__name__)

LEASE_SECONDS = 8.0
RENEW_SECONDS = 2.0
RENEWAL_SECONDS_MAX = 5.0
STANDBY_SECONDS = 1.0
APPLICATION_PREFIX = "minutebook-collector "


async def acquire_lease(connection: Connection, instance: str) -> int | None:
    """Take the lease if nobody holds it; returns the epoch to write with, or None. To be called in a transaction."""
    row = await connection.fetchrow(
        """
        SELECT holder, epoch, holder = $2 AS is_own,
               renewed_at + make_interval(secs => $1) < clock_timestamp() AS expired
        FROM leadership
        WHERE service = 'collector'
        """,
        LEASE_SECONDS,
        instance,
    )
    if row is None:
        epoch: int | None = await connection.fetchval(
            """
            INSERT INTO leadership (service, holder, epoch, renewed_at)
            VALUES ('collector', $1, 1, clock_timestamp())
            ON CONFLICT (service) DO NOTHING
            RETURNING epoch
            """,
            instance,
        )
        return epoch
    # Our own lease, kept over a lost connection, need not run out first.
    if not row["is_own"]:
        if not row["expired"]:
            return None
        await _end_connections(connection, row["holder"])
    raised: int | None = await connection.fetchval(
        """
        UPDATE leadership
        SET holder = $1, epoch = epoch + 1, renewed_at = clock_timestamp()
        WHERE service = 'collector'
          AND epoch = $2
          AND (holder = $1 OR renewed_at + make_interval(secs => $3) < clock_timestamp())
        RETURNING epoch
        """,
        instance,
        row["epoch"],
        LEASE_SECONDS,
    )
    if raised is not None:
        log.info("leadership_taken", instance=instance, from_instance=row["holder"], epoch=raised)
    return raised


async def is_led(connection: Connection) -> bool:
    """Whether some collector holds the lease."""
    led: bool | None = await connection.fetchval(
        """
        SELECT renewed_at + make_interval(secs => $1) >= clock_timestamp()
        FROM leadership
        WHERE service = 'collector'
        """,
        LEASE_SECONDS,
    )
    return bool(led)


async def _end_connections(connection: Connection, holder: str) -> None:
    """Cut off a holder: paused, it may sit in an open transaction and hold the very row that we must change."""
    await connection.execute(
        """
        SELECT pg_terminate_backend(pid)
        FROM pg_stat_activity
        WHERE usename = current_user
          AND application_name = $1
        """,
        APPLICATION_PREFIX + holder,
    )


async def keep_lease(connection: Connection, epoch: int, stop: asyncio.Event) -> None:
    """Renew the lease until `stop`; raises LeadershipLostError when it is lost or could not be renewed in time."""
    renewed_at = time.monotonic()
    while not await wait(stop, RENEW_SECONDS):
        began_at = time.monotonic()
        if began_at - renewed_at > LEASE_SECONDS:
            raise LeadershipLostError("The lease ran out before it could be renewed.")
        try:
            if not await _renew(connection, epoch):
                raise LeadershipLostError("Another collector has taken over.")
        except DatabaseUnavailableError as error:
            if isinstance(error.__cause__, TimeoutError):
                raise LeadershipLostError("Postgres was too slow to renew the lease.") from error
            raise
        renewed_at = began_at


async def _renew(connection: Connection, epoch: int) -> bool:
    renewed = await connection.fetchval(
        """
        UPDATE leadership
        SET renewed_at = clock_timestamp()
        WHERE service = 'collector'
          AND epoch = $1
        RETURNING true
        """,
        epoch,
        timeout_seconds=RENEWAL_SECONDS_MAX,
    )
    return bool(renewed)


async def release_lease(url: str, epoch: int) -> None:
    """Give the lease up, so that a stand-by need not wait for it to run out."""
    async with connect(url, APPLICATION_PREFIX + "leaving") as connection:
        await connection.execute(
            """
            UPDATE leadership
            SET renewed_at = '-infinity'
            WHERE service = 'collector'
              AND epoch = $1
            """,
            epoch,
        )
