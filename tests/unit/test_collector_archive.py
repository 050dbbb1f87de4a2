"""Archives: which one pays, what is in one, and that a damaged one is never believed."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.copy_text import COPY_COLUMNS, CopyText, UnusualRowError
from collector.klines import Kline
from collector.sources.binance.archive_copy import make_copy_text
from collector.sources.binance.archive_file import ArchiveFile, read_archive
from collector.sources.binance.archives import Archives, OfferedFile
from collector.sources.clock import ExchangeClock
from collector.sources.request_gate import RequestGate
from shared.errors import ArchiveCorruptError
from shared.instant import DAY as ONE_DAY
from shared.instant import EPOCH, MINUTE, to_milliseconds
from shared.runs import Run
from tests.archives import zipped, zipped_text
from tests.klines import kline, row

DAY = ArchiveFile("BTCUSDT", "daily", date(2024, 3, 5))
MONTH = ArchiveFile("BTCUSDT", "monthly", date(2024, 12, 1))
HEADER: list[object] = ["open_time", *row(EPOCH)[1:]]
LABEL = 'test, "quoted"'
NOON = datetime(2026, 1, 20, 12, tzinfo=UTC)
PAGE_MINUTES = 1000
ALWAYS = Run(EPOCH, datetime(2100, 1, 1, tzinfo=UTC))


def minutes(file: ArchiveFile, count: int = 5) -> list[datetime]:
    """The first minutes of a file."""
    return [file.minutes.start + number * MINUTE for number in range(count)]


def read(content: bytes, file: ArchiveFile = DAY, asked: Run = ALWAYS) -> list[Kline]:
    """All rows that a careful reading keeps."""
    return [found for chunk in read_archive(content, file, asked).chunks for found in chunk]


def pack(content: bytes, file: ArchiveFile = DAY, asked: Run | None = None) -> CopyText:
    """What a quick reading makes of it."""
    return make_copy_text(content, file, asked or file.minutes, "BTCUSDT", LABEL)


def test_names_and_ranges_are_the_exchange_s() -> None:
    """A month ends where the next begins, over the turn of the year too."""
    assert DAY.path == "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-03-05.zip"
    assert MONTH.path == "/data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12.zip"
    assert MONTH.minutes.end == datetime(2025, 1, 1, tzinfo=UTC)
    assert DAY.minutes.end - DAY.minutes.start == ONE_DAY


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("factor", [1, 1000])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_both_readings_agree_on_every_form(header: bool, factor: int, ending: str) -> None:
    """Milliseconds or microseconds, with a header row or without, whatever ends a line."""
    rows = [row(minute, time=to_milliseconds(minute) * factor) for minute in minutes(DAY)]
    content = zipped(DAY.name, rows, header=header, ending=ending)
    assert read(content) == [kline(minute) for minute in minutes(DAY)]
    packed = pack(content)
    assert (packed.count, packed.span) == (5, Run(minutes(DAY)[0], minutes(DAY)[-1] + MINUTE))
    line = b"".join(packed.pieces).decode().splitlines()[1]
    assert line == (
        '2024-03-05 00:01:00+00,100.5,100.5,100.5,100.5,1.25,125.625,7,0.5,50.25,"BTCUSDT","test, ""quoted"""'
    )
    assert len(COPY_COLUMNS) == 12


@given(st.integers(-5, 25), st.integers(0, 30))
def test_only_the_minutes_asked_for_are_taken(first: int, length: int) -> None:
    """Of any part of the file; what a file lacks is nobody's fault."""
    content = zipped(DAY.name, (row(minute) for minute in minutes(DAY, 20)))
    start = DAY.minutes.start
    asked = Run(start + first * MINUTE, start + (first + length) * MINUTE)
    wanted = [minute for minute in minutes(DAY, 20) if asked.start <= minute < asked.end]
    assert [found.minute for found in read(content, DAY, asked)] == wanted
    packed = pack(content, DAY, asked)
    assert packed.count == len(wanted)
    assert not wanted or packed.span == Run(wanted[0], wanted[-1] + MINUTE)


@pytest.mark.parametrize(
    "rows",
    [
        [row(DAY.minutes.start), row(DAY.minutes.start)],
        [row(DAY.minutes.start + MINUTE), row(DAY.minutes.start)],
        [row(DAY.minutes.start + timedelta(seconds=14.8))],
        [row(DAY.minutes.start)[:11]],
        [row(DAY.minutes.start), []],
        [row(DAY.minutes.end)],
        [row(DAY.minutes.start - MINUTE)],
        [row(DAY.minutes.start), ["noon", *row(EPOCH)[1:]]],
        [HEADER, HEADER, row(DAY.minutes.start)],
        [row(DAY.minutes.start), HEADER, row(DAY.minutes.start + MINUTE)],
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
    found = read_archive(zipped(DAY.name, rows), DAY, DAY.minutes)
    assert [one.minute for chunk in found.chunks for one in chunk] == [minutes(DAY)[at] for at in (0, 1, 3, 4)]
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
        zipped("BTCUSDT-1m-2024-03-06", [row(DAY.minutes.start)]),
        zipped(f"../{DAY.name}", [row(DAY.minutes.start)]),
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
        gate = RequestGate("test", ExchangeClock(), asyncio.Event(), weight_per_minute=1200)
        yield Archives(session, url, "test", gate, PAGE_MINUTES)


def at(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def offer(archives: Archives, start: str, end: str, now: datetime = NOON) -> OfferedFile | None:
    """The file that pays for a hole."""
    file = archives.choose_part("BTCUSDT", Run(at(start), at(end)), now).file
    assert file is None or isinstance(file, OfferedFile)
    return file


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
        file = offer(archives, start, end)
        assert (file and file.name) == name


async def test_a_file_is_offered_once() -> None:
    """What it lacks REST may have."""
    async with offered() as archives:
        whole = "2025-12-01", "2026-01-01"
        file = offer(archives, *whole)
        assert file is not None
        file.finish()
        again = offer(archives, *whole)
        assert again is not None
        assert again.name == "BTCUSDT-1m-2025-12-31"
        again.distrust("its checksum does not match")
        assert offer(archives, *whole) is None


async def test_month_that_cannot_be_published_yet_is_not_asked_for() -> None:
    """In its first day after; its days are."""
    async with offered() as archives:
        early = offer(archives, "2025-12-01", "2026-01-01", at("2026-01-01T12:00"))
        assert early is not None
        assert early.file.span == "daily"
        assert offer(archives, "2025-12-01", "2026-01-01", at("2026-01-01T02:00")) is None


async def test_without_a_url_nothing_is_offered() -> None:
    """An empty setting turns the way off."""
    async with offered("") as archives:
        assert not archives.is_on
        assert offer(archives, "2025-01-01", "2026-01-01") is None
