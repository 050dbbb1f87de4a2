"""The simulated exchange's archives."""

import hashlib
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.archive import HEADER, ArchiveOptions
from simulator.clock import ManualClock
from tests.simulated import Exchange, exchange

DAILY = "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-{}.zip"
MONTHLY = "/data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-{}.zip"


async def fetch(binance: Exchange, path: str) -> bytes:
    async with binance.client.get(binance.url + path) as answer:
        assert answer.status == 200
        return await answer.read()


async def status(binance: Exchange, path: str) -> int:
    async with binance.client.get(binance.url + path) as answer:
        return answer.status


def lines_of(content: bytes, name: str) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == [name]
        return archive.read(name).decode().splitlines()


@pytest.mark.parametrize(("day", "factor", "last"), [("2024-12-31", 1, 0), ("2025-01-01", 1000, 999)])
async def test_an_archive_has_the_rows_of_rest(day: str, factor: int, last: int) -> None:
    """The same texts; milliseconds until 2024, microseconds from 2025 on."""
    async with exchange() as binance:
        lines = lines_of(await fetch(binance, DAILY.format(day)), f"BTCUSDT-1m-{day}.csv")
        start_ms = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)
        rows = await binance.klines(startTime=start_ms, limit=1000)
        rows += await binance.klines(startTime=start_ms + 1000 * 60_000, limit=440)
        assert lines == [
            ",".join(map(str, [row[0] * factor, *row[1:6], row[6] * factor + last, *row[7:]])) for row in rows
        ]


async def test_a_checksum_is_beside_it() -> None:
    """sha256, two spaces, the file's name; the file is the same at every reading."""
    async with exchange() as binance:
        path = MONTHLY.format("2025-06")
        content = await fetch(binance, path)
        checksum = (await fetch(binance, path + ".CHECKSUM")).decode()
        assert checksum == f"{hashlib.sha256(content).hexdigest()}  BTCUSDT-1m-2025-06.zip\n"
        assert len(lines_of(content, "BTCUSDT-1m-2025-06.csv")) == 30 * 1440


async def test_a_header_row_if_asked() -> None:
    """Some of the exchange's files have one."""
    async with exchange(archives=ArchiveOptions(header=True)) as binance:
        lines = lines_of(await fetch(binance, DAILY.format("2025-06-01")), "BTCUSDT-1m-2025-06-01.csv")
        assert lines[0] + "\n" == HEADER
        assert len(lines) == 1441


async def test_archives_appear_when_they_are_published() -> None:
    """A day's the night after, a month's on the next month's first Monday."""
    async with exchange(ManualClock(datetime(2026, 1, 1, 1, tzinfo=UTC))) as binance:
        assert await status(binance, DAILY.format("2025-12-31")) == 404
        binance.clock.advance(hours=1)
        assert await status(binance, DAILY.format("2025-12-31")) == 200
        assert await status(binance, MONTHLY.format("2025-12")) == 404
        binance.clock.set(datetime(2026, 1, 5, 2, tzinfo=UTC))
        assert await status(binance, MONTHLY.format("2025-12")) == 200


@pytest.mark.parametrize(
    "path", [DAILY.format("2017-08-16"), DAILY.format("2025-06-01").replace("BTCUSDT", "ETHUSDT"), "/data/spot/nothing"]
)
async def test_what_is_not_there_is_answered_as_the_object_store_does(path: str) -> None:
    """404 with XML, for the checksum too."""
    async with exchange() as binance, binance.client.get(binance.url + path + ".CHECKSUM") as answer:
        assert answer.status == 404
        assert answer.content_type == "application/xml"
        assert "NoSuchKey" in await answer.text()


async def test_archives_can_be_corrupted() -> None:
    """A checksum of another file, or a file that ends in its middle; then all is well."""
    async with exchange(faults=["bad_checksum,count=1", "truncated_zip,count=1"]) as binance:
        path = DAILY.format("2025-06-01")
        wrong = await fetch(binance, path + ".CHECKSUM")
        short = await fetch(binance, path)
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(short))
        whole = await fetch(binance, path)
        assert whole.startswith(short)
        right = await fetch(binance, path + ".CHECKSUM")
        assert right.split()[0].decode() == hashlib.sha256(whole).hexdigest()
        assert wrong.split()[0] != right.split()[0]


async def test_holes_are_in_archives_too() -> None:
    """Also when the whole file was made before the hole was known."""
    async with exchange() as binance:
        path, name = DAILY.format("2025-06-01"), "BTCUSDT-1m-2025-06-01.csv"
        assert len(lines_of(await fetch(binance, path), name)) == 1440
        binance.simulator.faults.add("hole,start=2025-06-01T10:00Z,end=2025-06-01T11:00Z")
        assert len(lines_of(await fetch(binance, path), name)) == 1380


async def test_real_files_are_served_from_a_folder(tmp_path: Path) -> None:
    """Laid out as the exchange's; nothing outside it, nothing invented."""
    path = DAILY.format("2023-03-24")
    file = tmp_path / path.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"a zip file")
    async with exchange(archives=ArchiveOptions(folder=tmp_path)) as binance:
        assert await fetch(binance, path) == b"a zip file"
        assert (await fetch(binance, path + ".CHECKSUM")).decode().startswith(hashlib.sha256(b"a zip file").hexdigest())
        assert await status(binance, DAILY.format("2023-03-25")) == 404
        assert await status(binance, "/data/..%2f..%2fsecret.zip") == 404
