"""Archives: which one pays, what is in one, and that a damaged one is never believed."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.archive import DAY_MS, ArchiveFile, read_archive
from collector.archives import Archives
from collector.clock import ExchangeClock
from collector.klines import Kline, Label
from collector.pack import COPY_COLUMNS, PackedArchive, UnusualRowError, pack_archive
from collector.rate_limit import RequestGate
from shared.errors import ArchiveCorruptError
from shared.instant import from_milliseconds, to_milliseconds
from shared.runs import Run
from tests.archives import zipped, zipped_text
from tests.klines import MINUTE_MS, kline, row

DAY = ArchiveFile("BTCUSDT", "daily", date(2024, 3, 5))
MONTH = ArchiveFile("BTCUSDT", "monthly", date(2024, 12, 1))
HEADER: list[object] = ["open_time", *row(0)[1:]]
LABEL = Label("BTCUSDT", 'test, "quoted"', 1)
NOON_MS = to_milliseconds(datetime(2026, 1, 20, 12, tzinfo=UTC))


def minutes(file: ArchiveFile, count: int = 5) -> list[int]:
    """The first minutes of a file."""
    return [file.start_ms + number * MINUTE_MS for number in range(count)]


def read(content: bytes, file: ArchiveFile = DAY, start_ms: int = 0, end_ms: int = 1 << 50) -> list[Kline]:
    """All rows that a careful reading keeps."""
    return [found for chunk in read_archive(content, file, start_ms, end_ms).klines for found in chunk]


def pack(
    content: bytes, file: ArchiveFile = DAY, start_ms: int | None = None, end_ms: int | None = None
) -> PackedArchive:
    """What a quick reading makes of it."""
    asked = Run(
        from_milliseconds(file.start_ms if start_ms is None else start_ms),
        from_milliseconds(file.end_ms if end_ms is None else end_ms),
    )
    return pack_archive(LABEL, file, content, asked)


def test_names_and_ranges_are_the_exchange_s() -> None:
    """A month ends where the next begins, over the turn of the year too."""
    assert DAY.path == "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-03-05.zip"
    assert MONTH.path == "/data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12.zip"
    assert MONTH.end_ms == to_milliseconds(datetime(2025, 1, 1, tzinfo=UTC))
    assert DAY.end_ms - DAY.start_ms == DAY_MS


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("factor", [1, 1000])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_both_readings_agree_on_every_form(header: bool, factor: int, ending: str) -> None:
    """Milliseconds or microseconds, with a header row or without, whatever ends a line."""
    rows = [row(minute * factor) for minute in minutes(DAY)]
    content = zipped(DAY.name, rows, header=header, ending=ending)
    assert read(content) == [kline(minute) for minute in minutes(DAY)]
    packed = pack(content)
    assert (packed.count, packed.first_ms, packed.last_ms) == (5, minutes(DAY)[0], minutes(DAY)[-1])
    line = b"".join(packed.pieces).decode().splitlines()[1]
    assert line == (
        '2024-03-05 00:01:00+00,100.5,100.5,100.5,100.5,1.25,125.625,7,0.5,50.25,BTCUSDT,"test, ""quoted"""'
    )
    assert len(COPY_COLUMNS) == 12


@given(st.integers(-5, 25), st.integers(0, 30))
def test_only_the_minutes_asked_for_are_taken(first: int, length: int) -> None:
    """Of any part of the file; what a file lacks is nobody's fault."""
    content = zipped(DAY.name, (row(minute) for minute in minutes(DAY, 20)))
    start_ms, end_ms = DAY.start_ms + first * MINUTE_MS, DAY.start_ms + (first + length) * MINUTE_MS
    wanted = [minute for minute in minutes(DAY, 20) if start_ms <= minute < end_ms]
    assert [found.minute_ms for found in read(content, DAY, start_ms, end_ms)] == wanted
    packed = pack(content, DAY, start_ms, end_ms)
    assert packed.count == len(wanted)
    assert not wanted or (packed.first_ms, packed.last_ms) == (wanted[0], wanted[-1])


@pytest.mark.parametrize(
    "rows",
    [
        [row(DAY.start_ms), row(DAY.start_ms)],
        [row(DAY.start_ms + MINUTE_MS), row(DAY.start_ms)],
        [row(DAY.start_ms + 14_800)],
        [row(DAY.start_ms)[:11]],
        [row(DAY.start_ms), []],
        [row(DAY.end_ms)],
        [row(DAY.start_ms - MINUTE_MS)],
        [row(DAY.start_ms), ["noon", *row(0)[1:]]],
        [HEADER, HEADER, row(DAY.start_ms)],
        [row(DAY.start_ms), HEADER, row(DAY.start_ms + MINUTE_MS)],
    ],
)
def test_quick_reading_leaves_what_is_unusual_to_the_careful_one(rows: list[list[object]]) -> None:
    """It never guesses."""
    with pytest.raises(UnusualRowError):
        pack(zipped(DAY.name, rows))


def test_careful_reading_keeps_all_but_the_bad_rows() -> None:
    """And says what they are."""
    good = [row(minute) for minute in minutes(DAY)]
    rows = [good[1], good[0], row(minutes(DAY)[2], high="NaN"), good[3], good[3], ["x"], good[4]]
    found = read_archive(zipped(DAY.name, rows), DAY, DAY.start_ms, DAY.end_ms)
    assert [one.minute_ms for chunk in found.klines for one in chunk] == [minutes(DAY)[at] for at in (0, 1, 3, 4)]
    assert sorted(refusal.reason for refusal in found.refused) == [
        "high is not finite", "missing fields", "repeated minute",
    ]  # fmt: skip


def bomb() -> bytes:
    """A small zip that says it holds too much."""
    content = bytearray(zipped_text(f"{DAY.name}.csv", b"0" * 1000))
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = (1 << 31).to_bytes(4, "little")
    return bytes(content)


def lying_bomb() -> bytes:
    """A zip that unpacks to more than it says."""
    content = bytearray(zipped_text(f"{DAY.name}.csv", b"0" * 5_000_000))
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = (100).to_bytes(4, "little")
    return bytes(content)


def encrypted() -> bytes:
    """A zip whose member says that it wants a password."""
    content = bytearray(zipped_text(f"{DAY.name}.csv", b"0"))
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    content[6] |= 1
    return bytes(content)


GOOD = zipped(DAY.name, (row(minute) for minute in minutes(DAY, 200)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"<html>Not found</html>",
        GOOD[: len(GOOD) // 2],
        GOOD[:-10],
        zipped("BTCUSDT-1m-2024-03-06", [row(DAY.start_ms)]),
        zipped(f"../{DAY.name}", [row(DAY.start_ms)]),
        zipped_text(f"{DAY.name}.csv", b"\xff\xfe" * 100),
        zipped_text(f"{DAY.name}.csv", b"9" * 5000 + b",1\n" + b'"' * 400_001),
        bomb(),
        lying_bomb(),
        encrypted(),
    ],
    ids=["empty", "stub", "html", "half", "cut", "other name", "path", "bytes", "digits", "bomb", "liar", "encrypted"],
)
def test_what_is_not_the_file_is_refused_with_a_sentence(content: bytes) -> None:
    """By both readings, before anything is unpacked beyond the bound."""
    with pytest.raises(ArchiveCorruptError, match=r"BTCUSDT-1m-2024-03-05\.(zip|csv) .*\.$"):
        read(content)
    with pytest.raises((ArchiveCorruptError, UnusualRowError)):
        pack(content)


def test_zip_of_two_members_is_refused() -> None:
    """The exchange's have one."""
    buffer = io.BytesIO(GOOD)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ArchiveCorruptError, match="alone"):
        read(buffer.getvalue())


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_damage_anywhere_is_a_sentence_or_harmless(method: int, changes: list[tuple[int, int]]) -> None:
    """Whatever bytes change, nothing but our own error comes out."""
    text = "".join(",".join(map(str, row(minute))) + "\n" for minute in minutes(DAY, 50)).encode()
    content = bytearray(zipped_text(f"{DAY.name}.csv", text, method))
    for place, value in changes:
        content[place % len(content)] = value
    try:
        found = read(bytes(content))
    except ArchiveCorruptError:
        found = []
    assert len(found) <= 50
    with suppress(ArchiveCorruptError, UnusualRowError):
        assert pack(bytes(content)).count <= 50


@asynccontextmanager
async def offered(url: str = "http://archive.invalid") -> AsyncIterator[Archives]:
    """Archives from which nothing is fetched."""
    async with aiohttp.ClientSession() as session:
        yield Archives(session, url, RequestGate(ExchangeClock(), asyncio.Event(), 1))


def at(text: str) -> int:
    """An instant in milliseconds."""
    return to_milliseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("start", "end", "name"),
    [
        ("2025-01-01", "2025-12-31T23:59", "BTCUSDT-1m-2025-12"),
        ("2025-12-20", "2026-01-01", "BTCUSDT-1m-2025-12"),
        ("2025-12-22T00:01", "2026-01-01", "BTCUSDT-1m-2025-12-31"),
        ("2025-12-23", "2025-12-24", None),
        ("2026-01-01", "2026-01-20", "BTCUSDT-1m-2026-01-19"),
        ("2026-01-01", "2026-01-19", "BTCUSDT-1m-2026-01-18"),
        ("2026-01-01", "2026-01-19T00:01", None),
        ("2026-01-14", "2026-01-19", None),
        ("2026-01-19T12:00", "2026-01-20T11:00", None),
    ],
)
async def test_a_file_is_offered_where_it_pays(start: str, end: str, name: str | None) -> None:
    """Months from ten missing days on, whole days in holes of a week, and nothing that cannot be published yet."""
    async with offered() as archives:
        file = archives.covering("BTCUSDT", at(start), at(end), NOON_MS)
        assert (file and file.name) == name


async def test_a_file_is_offered_once() -> None:
    """What it lacks REST may have."""
    async with offered() as archives:
        whole = at("2025-12-01"), at("2026-01-01"), NOON_MS
        file = archives.covering("BTCUSDT", *whole)
        assert file is not None
        archives.finish(file)
        again = archives.covering("BTCUSDT", *whole)
        assert again is not None
        assert again.name == "BTCUSDT-1m-2025-12-31"
        archives.distrust(again, "its checksum does not match")
        assert archives.covering("BTCUSDT", *whole) is None


async def test_month_that_cannot_be_published_yet_is_not_asked_for() -> None:
    """In its first day after; its days are."""
    async with offered() as archives:
        early = archives.covering("BTCUSDT", at("2025-12-01"), at("2026-01-01"), at("2026-01-01T12:00"))
        assert early is not None
        assert early.span == "daily"
        assert archives.covering("BTCUSDT", at("2025-12-01"), at("2026-01-01"), at("2026-01-01T02:00")) is None


async def test_without_a_url_nothing_is_offered() -> None:
    """An empty setting turns the way off."""
    async with offered("") as archives:
        assert not archives.is_on
        assert archives.covering("BTCUSDT", at("2025-01-01"), at("2026-01-01"), NOON_MS) is None
