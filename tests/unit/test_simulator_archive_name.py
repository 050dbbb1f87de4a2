"""Archives' names are read, and say when they appear."""

from datetime import UTC, datetime

import pytest

from shared.instant import from_milliseconds
from simulator.archive_name import parse_archive_path

DAILY = "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-"
MONTHLY = "/data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-"


@pytest.mark.parametrize(
    ("path", "start", "end", "published"),
    [
        (f"{DAILY}2023-03-24.zip", (2023, 3, 24), (2023, 3, 25), (2023, 3, 25, 2)),
        (f"{DAILY}2023-12-31.zip", (2023, 12, 31), (2024, 1, 1), (2024, 1, 1, 2)),
        (f"{MONTHLY}2023-03.zip", (2023, 3, 1), (2023, 4, 1), (2023, 4, 3, 2)),
        (f"{MONTHLY}2024-02.zip", (2024, 2, 1), (2024, 3, 1), (2024, 3, 4, 2)),
        (f"{MONTHLY}2023-12.zip", (2023, 12, 1), (2024, 1, 1), (2024, 1, 1, 2)),
    ],
)
def test_a_name_says_its_minutes_and_when_it_appears(
    path: str, start: tuple[int, int, int], end: tuple[int, int, int], published: tuple[int, int, int, int]
) -> None:
    """A day's the night after; a month's on the next month's first Monday."""
    parsed = parse_archive_path(path)
    assert parsed is not None
    name, checksum = parsed
    assert not checksum
    assert path.endswith(f"/{name.stem}.zip")
    assert from_milliseconds(name.start_ms) == datetime(*start, tzinfo=UTC)
    assert from_milliseconds(name.end_ms) == datetime(*end, tzinfo=UTC)
    assert from_milliseconds(name.published_ms) == datetime(*published, tzinfo=UTC)


def test_a_checksum_is_of_the_same_archive() -> None:
    """The name beside it."""
    assert parse_archive_path(f"{DAILY}2023-03-24.zip.CHECKSUM") == (
        (parse_archive_path(f"{DAILY}2023-03-24.zip") or (None, False))[0],
        True,
    )


@pytest.mark.parametrize(
    "path",
    [
        f"{DAILY}2023-03.zip",
        f"{MONTHLY}2023-03-24.zip",
        f"{MONTHLY}2023-13.zip",
        f"{DAILY}2023-02-30.zip",
        f"{DAILY}9999-12-31.zip",
        f"{DAILY}2023-03-24.csv",
        "/data/spot/daily/klines/BTCUSDT/1m/ETHUSDT-1m-2023-03-24.zip",
        "/data/spot/daily/klines/BTCUSDT/5m/BTCUSDT-5m-2023-03-24.zip",
        "/data/",
    ],
)
def test_other_paths_are_no_archives(path: str) -> None:
    """Nothing is guessed."""
    assert parse_archive_path(path) is None
