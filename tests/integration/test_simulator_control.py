"""The control routes: faults, log, clock and limits while it runs."""

from typing import Any

import pytest

from tests.simulated import NOON_MS, Exchange, exchange

CONTROL = "/_simulator"


async def post(binance: Exchange, path: str, body: Any) -> tuple[int, Any]:
    async with binance.client.post(binance.url + CONTROL + path, json=body) as answer:
        return answer.status, await answer.json()


async def delete(binance: Exchange, path: str) -> int:
    async with binance.client.delete(binance.url + CONTROL + path) as answer:
        return answer.status


async def test_faults_come_and_go_while_it_runs() -> None:
    """As objects or as text, one or many; each has a number by which it ends."""
    async with exchange() as binance:
        assert await post(binance, "/faults", {"kind": "503", "path": "/api/v3/time"}) == (201, {"ids": [1]})
        assert await post(binance, "/faults", ["451,path=/api/v3/ping", {"kind": "reset", "skip": 9}]) == (
            201,
            {"ids": [2, 3]},
        )
        assert (await binance.ask("/api/v3/time"))[0] == 503
        assert (await binance.ask("/api/v3/ping"))[0] == 451
        standing = await binance.get(f"{CONTROL}/faults")
        assert standing[0] == {"id": 1, "kind": "503", "path": "/api/v3/time", "met": 1}
        assert await delete(binance, "/faults/1") == 204
        assert await delete(binance, "/faults/1") == 404
        assert (await binance.ask("/api/v3/time"))[0] == 200
        assert await delete(binance, "/faults") == 204
        assert await binance.get(f"{CONTROL}/faults") == []


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/faults", {"kind": "meteor"}, "is not a fault"),
        ("/faults", ["429", "meteor"], "is not a fault"),
        ("/faults", [7], "The body must be a JSON object"),
        ("/clock", {}, "must have now or advance_seconds"),
        ("/clock", {"now": "soon"}, "is not a time"),
        ("/clock", {"advance_seconds": "many"}, "cannot be set"),
        ("/clock", [], "The body must be a JSON object"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_a_sentence(path: str, body: Any, reason: str) -> None:
    """400 with the reason in `error`; of a list with a mistake nothing is added."""
    async with exchange() as binance:
        status, answer = await post(binance, path, body)
        assert status == 400
        assert reason in answer["error"]
        assert binance.simulator.faults.standing() == []


async def test_a_body_that_is_no_json_is_refused() -> None:
    """With a sentence too."""
    async with exchange() as binance, binance.client.post(f"{binance.url}{CONTROL}/faults", data="{") as answer:
        assert (answer.status, await answer.json()) == (400, {"error": "The body must be JSON."})


async def test_the_log_tells_every_request() -> None:
    """When, from where, to which host, what and how it was answered; control routes are not in it."""
    async with exchange() as binance:
        await binance.klines(limit=1)
        await binance.ask("/api/v3/klines", symbol="NOPE", interval="1m")
        async with binance.client.get(f"{binance.url}/data/x") as answer:
            assert answer.status == 404
        log = await binance.get(f"{CONTROL}/log")
        assert [(entry["number"], entry["path"], entry["status"]) for entry in log] == [
            (1, "/api/v3/klines", 200),
            (2, "/api/v3/klines", 400),
            (3, "/data/x", 404),
        ]
        assert (log[0]["method"], log[0]["query"], log[0]["weight"]) == ("GET", "symbol=BTCUSDT&interval=1m&limit=1", 2)
        assert log[0]["host"] == binance.url.removeprefix("http://")
        assert log[0]["at"] <= log[1]["at"]
        assert log[0]["monotonic"] <= log[1]["monotonic"]
        assert [entry["number"] for entry in await binance.get(f"{CONTROL}/log", since=1, path="/api")] == [2]
        assert await delete(binance, "/log") == 204
        assert await binance.get(f"{CONTROL}/log") == []
        assert (await binance.ask(f"{CONTROL}/log", since="yesterday"))[0] == 400


async def test_the_clock_is_set_and_moved() -> None:
    """To an instant, or on by seconds."""
    async with exchange() as binance:
        assert await post(binance, "/clock", {"advance_seconds": 1.5}) == (200, {"now": "2026-01-05T12:00:01.500000Z"})
        assert await post(binance, "/clock", {"now": "2026-01-05T12:00Z"}) == (200, {"now": "2026-01-05T12:00:00Z"})
        assert await binance.get("/api/v3/time") == {"serverTime": NOON_MS}


async def test_limits_can_be_forgotten() -> None:
    """A ban too, so that one simulator serves many tests."""
    async with exchange(faults=["418,seconds=1000,count=1"]) as binance:
        assert [(await binance.ask("/api/v3/ping"))[0] for _ in range(2)] == [418, 418]
        assert await delete(binance, "/limits") == 204
        assert (await binance.ask("/api/v3/ping"))[0] == 200


async def test_the_status_says_what_is_simulated() -> None:
    """Time, symbols, connections and faults."""
    async with exchange(faults=["451,skip=5"]) as binance, binance.stream():
        status = await binance.get(CONTROL)
        assert (status["now"], status["symbols"], status["stream_connections"]) == (
            "2026-01-05T12:00:00Z",
            ["BTCUSDT"],
            1,
        )
        assert [fault["kind"] for fault in status["faults"]] == ["451"]
        assert "late_close" in status["kinds"]
