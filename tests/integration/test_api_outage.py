"""Without Postgres: how fast that is said, and how fast everything works again."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.integration.api_server import at, make_ticks, serving, store
from tests.integration.tcp_proxy import Proxy, proxying, silent_port
from tests.postgres import Database, OwnPostgres

DATA_ROUTES = (
    "/price/latest",
    "/price/history?limit=10",
    "/price/history?format=csv",
    "/price/stats",
    "/price/gaps",
    "/price/predict/history",
    "/price/predict/score",
    "/health/ready",
)
HEALTH_SECONDS = 2.0
ROUTE_SECONDS = 5.0
RECOVERY_SECONDS = 5.0


@pytest.fixture
async def proxied(database: Database) -> AsyncIterator[tuple[Proxy, httpx.AsyncClient]]:
    """The API over a record, with a proxy between it and the database."""
    await store(database.owner_url, make_ticks(100))
    async with proxying(database.api_url) as (proxy, url), serving(url) as client:
        yield proxy, client


async def timed(client: httpx.AsyncClient, path: str) -> tuple[httpx.Response, float]:
    """An answer, and how long it took."""
    began = time.monotonic()
    response = await client.get(path)
    return response, time.monotonic() - began


async def assert_unavailable(client: httpx.AsyncClient) -> None:
    """Every route says so within its bound, asked together; what needs no database answers."""
    answers = await asyncio.gather(*(timed(client, path) for path in DATA_ROUTES), timed(client, "/health"))
    for response, seconds in answers[:-1]:
        assert response.status_code == 503
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["retry-after"]
        assert response.json()["type"] == "urn:minutebook:problem:database-unavailable"
        assert seconds < ROUTE_SECONDS
    health, seconds = answers[-1]
    assert (health.status_code, health.json()["status"]) == (503, "unavailable")
    assert health.json()["database"]["status"] == "unavailable"
    assert seconds < HEALTH_SECONDS
    for path in ("/health/live", "/", "/docs", "/openapi.json"):
        assert (await client.get(path)).status_code == 200


async def assert_recovers(client: httpx.AsyncClient) -> None:
    """Every route answers again within the bound, and goes on doing so."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    for path in (*DATA_ROUTES, "/health"):
        while (await client.get(path)).status_code != 200:
            assert time.monotonic() < deadline, f"{path} did not recover"
            await asyncio.sleep(0.05)
    for path in (*DATA_ROUTES, "/health"):
        assert (await client.get(path)).status_code == 200


async def test_a_server_that_refuses(proxied: tuple[Proxy, httpx.AsyncClient]) -> None:
    """As while Postgres restarts."""
    proxy, client = proxied
    assert (await client.get("/price/latest")).status_code == 200
    await proxy.refuse()
    await assert_unavailable(client)
    await proxy.open()
    await assert_recovers(client)


async def test_a_server_that_hangs(proxied: tuple[Proxy, httpx.AsyncClient]) -> None:
    """Connections stay open and nothing comes; several rounds do not use the pool up."""
    proxy, client = proxied
    await asyncio.gather(*(client.get("/price/latest") for _ in range(20)))
    proxy.hold()
    await assert_unavailable(client)
    await assert_unavailable(client)
    proxy.resume()
    await assert_recovers(client)


async def test_it_starts_without_a_server(database: Database) -> None:
    """And needs no restart when there is one."""
    await store(database.owner_url, make_ticks(100))
    async with proxying(database.api_url) as (proxy, url):
        await proxy.refuse()
        async with serving(url) as client:
            await assert_unavailable(client)
            await proxy.open()
            await assert_recovers(client)


async def test_a_first_host_that_hangs(database: Database) -> None:
    """Every route answers by the second one in time, and recovers with it."""
    await store(database.owner_url, make_ticks(100))
    async with proxying(database.api_url) as (proxy, url):
        with silent_port() as port:
            async with serving(url.replace("@127", f"@127.0.0.1:{port},127")) as client:
                answers = await asyncio.gather(*(timed(client, path) for path in (*DATA_ROUTES, "/health")))
                assert [response.status_code for response, _ in answers] == [200] * len(answers)
                assert max(seconds for _, seconds in answers) < ROUTE_SECONDS
                await proxy.refuse()
                await assert_unavailable(client)
                await proxy.open()
                await assert_recovers(client)


async def test_a_restart_in_between_is_not_noticed(proxied: tuple[Proxy, httpx.AsyncClient]) -> None:
    """Every kept connection is dead; each request gets its answer on a fresh one."""
    proxy, client = proxied
    await asyncio.gather(*(client.get("/price/latest") for _ in range(20)))
    proxy.cut()
    responses = await asyncio.gather(*(client.get("/price/latest") for _ in range(20)))
    assert {response.status_code for response in responses} == {200}


async def test_a_restart_in_mid_query_is_not_noticed(proxied: tuple[Proxy, httpx.AsyncClient]) -> None:
    """The query is asked again on a fresh connection."""
    proxy, client = proxied
    assert (await client.get("/price/latest")).status_code == 200
    proxy.hold()
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(client.get(f"/price/stats?start={at(0)}&end={at(100)}"))
        async with asyncio.timeout(2):
            await proxy.holds_something.wait()
        proxy.cut()
        proxy.resume()
    response = asked.result()
    assert (response.status_code, response.json()["count"]) == (200, 100)


async def test_a_crash_and_its_recovery(crashable_postgres: OwnPostgres) -> None:
    """A real server that dies and comes back."""
    await store(crashable_postgres.database.owner_url, make_ticks(100))
    async with serving(crashable_postgres.database.api_url) as client:
        await assert_recovers(client)
        await crashable_postgres.crash()
        await assert_unavailable(client)
        await crashable_postgres.start()
        await assert_recovers(client)


async def test_a_database_without_the_schema_names_migrate(empty_database: Database) -> None:
    """503 with what its operator must do; ready says so too."""
    async with serving(empty_database.api_url) as client:
        for path in DATA_ROUTES:
            response = await client.get(path)
            assert response.status_code == 503
            assert response.json()["type"] == "urn:minutebook:problem:database-outdated"
            assert "python -m shared.database migrate" in response.json()["detail"]
        health = await client.get("/health")
    # It answers, so that it is not 503.
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["database"]["status"] == "outdated"


async def test_a_url_that_cannot_be_read_is_unavailable(database: Database) -> None:
    """It is found when the first connection is opened; the log has the sentence."""
    async with serving("postgresql://api@127.0.0.1:port/minutebook") as client:
        response = await client.get("/price/latest")
    assert response.status_code == 503
    assert response.json()["type"] == "urn:minutebook:problem:database-unavailable"


async def test_a_wrong_password_is_unavailable_without_details(database: Database) -> None:
    """The reason is for the log: it names the role."""
    url = database.api_url.replace(database.passwords["api"], "wrong")
    async with serving(url) as client:
        response = await client.get("/price/latest")
    assert response.status_code == 503
    assert "api" not in response.json()["detail"].replace("database", "")
