"""`/price/history?format=csv`: the same values as a table, streamed where it is long, cut off where it breaks."""

import csv
import io
import json
from datetime import timedelta

import asyncpg
import httpx
import pytest

from api import rows
from tests.integration.api_server import START, add_ticks, at, make_ticks, serving, store, with_source
from tests.postgres import Database, OwnPostgres

MISSING = [*range(300, 320), 700]
TICKS = make_ticks(1_500, missing=MISSING)


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_csv_equals_json(database: Database, order: str) -> None:
    """Column by column and digit by digit; null is nothing."""
    await store(database.owner_url, [*with_source(TICKS[:10], 'a "b",\nc'), *TICKS[10:]])
    query = {"start": at(0), "end": at(1_500), "order": order, "interval": "1m"}
    async with serving(database.api_url) as client:
        rows = json.loads(
            (await client.get("/price/history", params=query | {"limit": "10000"})).text, parse_float=str, parse_int=str
        )["data"]
        response = await client.get("/price/history", params=query | {"format": "csv"})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="BTCUSDT-1m.csv"'
    header, *lines = csv.reader(io.StringIO(response.text, newline=""))
    assert header == list(rows[0])
    assert len(lines) == len(TICKS)
    assert all(
        row == {name: value or None for name, value in zip(header, line, strict=True)}
        for row, line in zip(rows, lines, strict=True)
    )


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_streamed_csv_equals_one_in_one_piece(
    database: Database, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """Rows digit by digit, and their features to 1e-9, as from any page."""
    await store(database.owner_url, TICKS)
    query = {"start": at(0), "end": at(1_500), "order": order, "format": "csv"}
    async with serving(database.api_url) as client:
        whole = list(csv.reader((await client.get("/price/history", params=query)).text.splitlines()))
        monkeypatch.setattr(rows, "CHUNK_ROWS", 200)
        response = await client.get("/price/history", params=query)
    assert "content-length" not in response.headers
    streamed = list(csv.reader(response.text.splitlines()))
    assert [line[:9] for line in streamed] == [line[:9] for line in whole]
    assert _floats(streamed) == pytest.approx(_floats(whole), rel=1e-9, abs=1e-9, nan_ok=True)


async def test_csv_without_a_start_is_the_whole_record(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a limit asks for the newest rows."""
    monkeypatch.setattr(rows, "CHUNK_ROWS", 400)
    await store(database.owner_url, TICKS)
    async with serving(database.api_url) as client:
        whole = await client.get("/price/history", params={"format": "csv", "features": "none"})
        newest = await client.get("/price/history", params={"format": "csv", "features": "none", "limit": "3"})
    lines = whole.text.splitlines()
    assert len(lines) == 1 + len(TICKS)
    assert newest.text.splitlines() == [lines[0], *lines[-3:]]


async def test_a_limited_csv_goes_on_with_the_cursor_of_its_header(database: Database) -> None:
    """CSV has no place for `next_cursor`."""
    await store(database.owner_url, TICKS)
    query = {"format": "csv", "features": "none", "start": at(0), "limit": "1000"}
    async with serving(database.api_url) as client:
        first = await client.get("/price/history", params=query)
        second = await client.get("/price/history", params=query | {"cursor": first.headers["next-cursor"]})
    assert "next-cursor" not in second.headers
    rows = first.text.splitlines()[1:] + second.text.splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [at((tick.minute - START) // timedelta(minutes=1)) for tick in TICKS]


async def test_an_empty_csv_has_its_header(database: Database) -> None:
    """No row is no error."""
    await store(database.owner_url, TICKS)
    async with serving(database.api_url) as client:
        response = await client.get(
            "/price/history", params={"format": "csv", "features": "hour", "start": at(301), "end": at(310)}
        )
    assert response.text == "timestamp,price,open,high,low,volume,trades,source,created_at,hour\n"


async def test_a_stream_that_breaks_off_does_not_look_complete(
    crashable_postgres: OwnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection ends without the last chunk, and the client notices."""
    # Large enough that it cannot all wait in the sockets' buffers.
    monkeypatch.setattr(rows, "CHUNK_ROWS", 1_000)
    database = crashable_postgres.database
    await store(database.owner_url, make_ticks(2))
    connection = await asyncpg.connect(database.owner_url)
    for day in range(30):
        await add_ticks(connection, make_ticks(1_438, start=START + timedelta(days=day, minutes=2), seed=day))
    await connection.close()
    received: list[int] = []
    async with serving(database.api_url) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await _read_until_cut(client, crashable_postgres, received)
    assert sum(received) > 0


async def _read_until_cut(client: httpx.AsyncClient, postgres: OwnPostgres, received: list[int]) -> None:
    """Crash the server as soon as the first bytes are there, and read on."""
    query = {"format": "csv", "features": "all", "start": at(0)}
    async with client.stream("GET", "/price/history", params=query) as response:
        assert response.status_code == 200
        async for piece in response.aiter_bytes():
            if not received:
                await postgres.crash()
            received.append(len(piece))


def _floats(lines: list[list[str]]) -> list[float]:
    return [float(value or "nan") for line in lines[1:] for value in line[9:]]
