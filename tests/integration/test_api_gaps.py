"""`/price/gaps`: what is missing, why, and how complete each day is."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from api.gaps import page
from tests.integration.api_server import START, at, make_ticks, serving, store
from tests.postgres import Database

COUNT = 3 * 1440 + 100
MISSING = [*range(700, 780), *range(1_430, 1_450), 4_000]
TICKS = make_ticks(COUNT, missing=MISSING)
ABSENCES = [(START + timedelta(minutes=700), START + timedelta(minutes=780))]
NOW = START + timedelta(minutes=COUNT + 3)
EXPECTED = [
    {"start": at(700), "end": at(780), "minutes": 80, "cause": "source_absent"},
    {"start": at(1_430), "end": at(1_450), "minutes": 20, "cause": "not_collected"},
    {"start": at(4_000), "end": at(4_001), "minutes": 1, "cause": "not_collected"},
    {"start": at(COUNT), "end": at(COUNT + 3), "minutes": 3, "cause": "not_collected"},
]


async def get(client: httpx.AsyncClient, **parameters: object) -> Any:
    """The answer's JSON."""
    response = await client.get("/price/gaps", params={name: str(value) for name, value in parameters.items()})
    assert response.status_code == 200, response.text
    return response.json()


async def test_the_whole_record_is_looked_through(database: Database) -> None:
    """From where collection begins to the newest closed minute, collected or not."""
    await store(database.owner_url, TICKS, absences=ABSENCES, now=NOW)
    async with serving(database.api_url) as client:
        answer = await get(client)
    assert (answer["start"], answer["end"], answer["next_cursor"]) == (at(0), at(COUNT + 3), None)
    assert answer["gaps"] == EXPECTED
    assert (answer["expected"], answer["count"], answer["missing"]) == (COUNT + 3, COUNT - 101, 104)
    assert answer["completeness"] == pytest.approx((COUNT - 101) / (COUNT + 3))
    assert answer["days"] == [
        {"day": at(0), "count": 1350, "expected": 1440, "completeness": 1350 / 1440},
        {"day": at(1440), "count": 1430, "expected": 1440, "completeness": 1430 / 1440},
        {"day": at(2880), "count": 1439, "expected": 1440, "completeness": 1439 / 1440},
        {"day": at(4320), "count": 100, "expected": 103, "completeness": 100 / 103},
    ]


async def test_a_range_cuts_gaps_at_its_ends(database: Database) -> None:
    """And expects no more of a day than it holds of it."""
    await store(database.owner_url, TICKS, absences=ABSENCES, now=NOW)
    async with serving(database.api_url) as client:
        answer = await get(client, start=at(710), end=at(1_435))
        future = await get(client, start=at(COUNT), end=at(COUNT + 5_000))
    assert answer["gaps"] == [
        {"start": at(710), "end": at(780), "minutes": 70, "cause": "source_absent"},
        {"start": at(1_430), "end": at(1_435), "minutes": 5, "cause": "not_collected"},
    ]
    assert answer["days"] == [{"day": at(0), "count": 650, "expected": 725, "completeness": 650 / 725}]
    assert (future["expected"], future["count"], len(future["days"])) == (3, 0, 1)


@pytest.mark.parametrize("limit", [1, 3])
async def test_pages_are_whole_days(database: Database, limit: int) -> None:
    """All pages together are the whole; a gap across two is on both, cut at midnight."""
    await store(database.owner_url, TICKS, absences=ABSENCES, now=NOW)
    async with serving(database.api_url) as client:
        whole = await get(client)
        pages = [await get(client, limit=limit)]
        while pages[-1]["next_cursor"]:
            pages.append(await get(client, limit=limit, cursor=pages[-1]["next_cursor"]))
    assert [day for page in pages for day in page["days"]] == whole["days"]
    assert sum(gap["minutes"] for page in pages for gap in page["gaps"]) == whole["missing"]
    assert all(before["end"] == page["start"] for before, page in pairwise(pages))
    assert all(len(page["days"]) == limit for page in pages[:-1])


async def test_a_page_ends_early_where_gaps_are_many(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no answer is without bound."""
    monkeypatch.setattr(page, "MAX_GAPS", 10)
    await store(database.owner_url, make_ticks(COUNT, missing=range(1, COUNT, 2)))
    async with serving(database.api_url) as client:
        first = await get(client)
        assert (first["end"], len(first["gaps"])) == (at(1440), 720)
        assert (await get(client, cursor=first["next_cursor"]))["start"] == at(1440)
