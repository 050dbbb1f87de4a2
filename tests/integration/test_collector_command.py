"""The collector's command line: bad usage and unreachable servers are one sentence and exit 2, never a traceback."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Database
from tests.processes import python

NOWHERE = "postgresql://collector:secret@127.0.0.1:1/minutebook"


async def run(folder: Path, *arguments: str, **environment: str) -> tuple[int | None, str, str]:
    """Exit code, output and complaints of a command."""
    settings = {"COLLECTOR_DATABASE_URL": NOWHERE, "COLLECTOR_REST_URLS": "http://127.0.0.1:1", "LOG_LEVEL": "error"}
    async with python("-m", *arguments, folder=folder, environment=settings | environment) as process:
        output, complaints = await process.communicate()
    return process.returncode, output.decode(), complaints.decode()


@pytest.mark.parametrize(
    "arguments",
    [
        ("collector",),
        ("collector", "collect"),
        ("collector", "run", "--fast"),
        ("collector", "backfill"),
        ("collector", "backfill", "--since", "yesterday"),
        ("collector", "backfill", "--since", "1795350840"),
        ("collector", "backfill", "--since", "1d", "--until", "soon"),
        ("collector", "gaps", "--since", "99999999d"),
        ("collector", "verify", "--until", "2026-02-30"),
        ("shared.database",),
        ("shared.database", "drop"),
    ],
    ids=" ".join,
)
async def test_bad_usage_is_one_sentence_and_exit_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Before anything is opened."""
    code, _, complaint = await run(tmp_path, *arguments)
    assert code == 2
    assert complaint.count("\n") == 1
    assert complaint.strip().endswith((".", "'."))


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"COLLECTOR_DATABASE_URL": ""}, "COLLECTOR_DATABASE_URL cannot be used"),
        ({"COLLECTOR_SYMBOLS": "?"}, "COLLECTOR_SYMBOLS cannot be used"),
        ({"COLLECTOR_SYMBOLS": "nowhere:BTC-USD"}, "is of a source that is not known; known are binance"),
        ({"COLLECTOR_BACKFILL_SINCE": "2199-01-01"}, "COLLECTOR_BACKFILL_SINCE cannot be used"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL cannot be used"),
        ({}, "Postgres does not answer"),
        ({"COLLECTOR_DATABASE_URL": "postgresql://collector@127.0.0.1:port/x"}, "database URL"),
        ({"COLLECTOR_DATABASE_URL": "postgresql://collector@127.0.0.1:1/x?sslmode=never"}, "database URL"),
        ({"COLLECTOR_DATABASE_URL": "postgresql://[::1/x"}, "database URL"),
    ],
)
async def test_bad_setting_or_unreachable_server_is_one_sentence_and_exit_2(
    tmp_path: Path, environment: dict[str, str], sentence: str
) -> None:
    """It names what to change."""
    code, _, complaint = await run(tmp_path, "collector", "gaps", **environment)
    assert code == 2
    assert complaint.startswith("collector: ")
    assert sentence in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [("collector", "--help"), ("collector", "backfill", "--help"), ("shared.database", "--help")]
)
async def test_help_is_printed_without_any_setting(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """And needs no server."""
    code, output, complaint = await run(tmp_path, *arguments, COLLECTOR_DATABASE_URL="")
    assert (code, complaint) == (0, "")
    assert output.startswith(f"usage: python -m {arguments[0]}")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


async def test_database_that_never_answers_is_given_up(tmp_path: Path, silent_port: int) -> None:
    """Within the connection's bound."""
    url = f"postgresql://collector:secret@127.0.0.1:{silent_port}/minutebook"
    code, _, complaint = await run(tmp_path, "collector", "gaps", COLLECTOR_DATABASE_URL=url)
    assert code == 2
    assert complaint == (
        "collector: Postgres does not answer (timed out); check that it runs and that the database URL is right.\n"
    )


@pytest.mark.parametrize("command", [("gaps",), ("verify", "--since", "1d"), ("run",), ("backfill", "--since", "1d")])
async def test_missing_schema_says_to_migrate(
    tmp_path: Path, empty_database: Database, command: tuple[str, ...]
) -> None:
    """Whichever command finds it out."""
    url = empty_database.owner_url
    code, _, complaint = await run(tmp_path, "collector", *command, COLLECTOR_DATABASE_URL=url)
    assert code == 2
    assert "run `python -m shared.database migrate`" in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize("command", [("gaps",), ("run",)])
async def test_wrong_password_is_said_at_once(tmp_path: Path, database: Database, command: tuple[str, ...]) -> None:
    """And is not tried again and again."""
    url = database.collector_url.replace(database.passwords["collector"], "wrong")
    code, _, complaint = await run(tmp_path, "collector", *command, COLLECTOR_DATABASE_URL=url)
    assert code == 2
    assert "Postgres refuses the connection" in complaint
    assert "check the database URL" in complaint
    assert complaint.count("\n") == 1


async def test_run_gives_up_a_database_that_was_never_there(tmp_path: Path) -> None:
    """After a while, for it may be starting too."""
    code, _, complaint = await run(tmp_path, "collector", "run")
    assert code == 2
    assert "Postgres does not answer" in complaint


async def test_backfill_without_an_exchange_is_one_sentence(tmp_path: Path, database: Database) -> None:
    """A service waits for its exchange; who typed a command is told."""
    url = database.collector_url
    code, _, complaint = await run(tmp_path, "collector", "backfill", "--since", "1d", COLLECTOR_DATABASE_URL=url)
    assert code == 2
    assert "No host of the exchange answers" in complaint
    assert "COLLECTOR_REST_URLS" in complaint
    assert complaint.count("\n") == 1


async def test_migration_by_another_than_the_owner_is_refused(tmp_path: Path, empty_database: Database) -> None:
    """It names the variable."""
    code, _, complaint = await run(
        tmp_path, "shared.database", "migrate", MIGRATE_DATABASE_URL=empty_database.collector_url
    )
    assert code == 2
    assert "Only the database's owner can migrate it" in complaint
    assert "MIGRATE_DATABASE_URL" in complaint
