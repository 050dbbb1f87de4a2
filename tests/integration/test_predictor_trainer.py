"""When the first training may begin, once the record is filled, and what is on record of one that failed."""

from datetime import timedelta

from predictor.queries.record import select_is_filled
from predictor.queries.trainings import TrainingOutcome, insert_training, lock_training, select_is_explained
from shared.database.connection import Connection
from shared.database.database import connect
from shared.instant import DAY, MINUTE, utc_now
from tests.collecting import connected
from tests.integration.predictor_record import NOON, SYMBOL, prices, set_exchange_time, store_minutes
from tests.postgres import Database

DECLARE = "INSERT INTO collected_symbols (symbol, position, since) VALUES ($1, 0, $2)"
ABSENT = (
    "INSERT INTO absences (symbol, start_minute, end_minute, first_asked_at, asked_at, times_asked, ask_again_at)"
    " VALUES ($1, $2, $3, $3, $3, 1, $3)"
)


async def test_record_is_filled_once_nearly_all_of_it_is_there_that_can_be_had(database: Database) -> None:
    """What the exchange lacks is not waited for, nor a few stray minutes, nor the newest."""
    async with connected(database.owner_url) as owner:

        async def is_filled() -> bool:
            return await select_is_filled(Connection(owner), SYMBOL)

        assert not await is_filled()
        await set_exchange_time(owner, NOON)
        await owner.execute(DECLARE, SYMBOL, NOON - DAY)
        assert not await is_filled()
        await store_minutes(owner, NOON - timedelta(hours=12), prices(720 - 10))
        assert not await is_filled()
        await store_minutes(owner, NOON - DAY, prices(600))
        assert not await is_filled()
        await owner.execute(ABSENT, SYMBOL, NOON - DAY + 600 * MINUTE, NOON - DAY + 710 * MINUTE)
        assert await is_filled()


async def test_failure_is_explained_by_its_own_record_or_another_s_training(database: Database) -> None:
    """Any other is left to the service to record, such as that of a setting: it has the same exit code."""
    async with connect(database.predictor_url, "test") as connection:
        await insert_training(connection, SYMBOL, utc_now() - DAY, TrainingOutcome("failed", "The registry is away."))
        since = utc_now() + timedelta(seconds=1)
        assert not await select_is_explained(connection, SYMBOL, since)
        await insert_training(connection, "ETHUSDT", since, TrainingOutcome("failed", "The registry is away."))
        assert not await select_is_explained(connection, SYMBOL, since)
        async with connect(database.predictor_url, "another predictor") as other:
            assert await lock_training(other, SYMBOL)
            assert not await lock_training(connection, SYMBOL)
            assert await select_is_explained(connection, SYMBOL, since)
            assert not await select_is_explained(connection, "BNBUSDT", since)
        await insert_training(connection, SYMBOL, since, TrainingOutcome("failed", "The record is short."))
        assert await select_is_explained(connection, SYMBOL, since)
