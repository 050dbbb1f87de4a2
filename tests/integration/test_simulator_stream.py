"""The simulated exchange's stream."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from simulator.clock import RunningClock
from simulator.generator import Generator
from simulator.server import Simulator, running
from tests.simulated import MINUTE_MS, NOON, NOON_MS, PATIENCE_SECONDS, Exchange, exchange

NAME = "btcusdt@kline_1m"


async def frame_after(binance: Exchange, socket: aiohttp.ClientWebSocketResponse, **step: float) -> Any:
    """The frame that moving the clock brings."""
    binance.clock.advance(**step)
    return await socket.receive_json()


def row_of(frame: dict[str, Any]) -> list[Any]:
    k = frame["k"]
    return [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"], k["B"]]


async def test_a_frame_has_the_exchanges_shape() -> None:
    """Every field, in the exchange's order, as the minute stands."""
    async with exchange() as binance, binance.stream() as socket:
        frame = await frame_after(binance, socket, seconds=2)
        assert list(frame) == ["e", "E", "s", "k"]
        assert list(frame["k"]) == list("tTsifLochlvnxqVQB")
        assert (frame["e"], frame["E"], frame["s"]) == ("kline", NOON_MS + 2000, "BTCUSDT")
        kline = frame["k"]
        assert (kline["s"], kline["i"], kline["x"]) == ("BTCUSDT", "1m", False)
        assert kline["L"] - kline["f"] + 1 == kline["n"]
        assert [row_of(frame)] == await binance.klines(limit=1)


async def test_the_minute_ends_with_a_closing_push() -> None:
    """`x` is true, and the candle is the final one."""
    async with exchange() as binance, binance.stream() as socket:
        frame = await frame_after(binance, socket, minutes=1)
        assert frame["k"]["x"] is True
        assert frame["k"]["t"] == NOON_MS
        assert [row_of(frame)] == await binance.klines(startTime=NOON_MS, limit=1)


async def test_no_closing_push_is_skipped_when_the_clock_leaps() -> None:
    """One for each minute, in order, and the open candle last."""
    async with exchange() as binance, binance.stream() as socket:
        binance.clock.advance(minutes=3, seconds=1)
        frames = [await socket.receive_json() for _ in range(4)]
        assert [frame["k"]["t"] for frame in frames] == [NOON_MS + at * MINUTE_MS for at in range(4)]
        assert [frame["k"]["x"] for frame in frames] == [True, True, True, False]


async def test_a_combined_stream_wraps_with_the_streams_name() -> None:
    """{"stream", "data"}, for every stream named."""
    async with (
        exchange(source=Generator(("BTCUSDT", "ETHUSDT"))) as binance,
        binance.stream(f"/stream?streams={NAME}/ethusdt@kline_1m") as socket,
    ):
        binance.clock.advance(seconds=2)
        frames = [await socket.receive_json() for _ in range(2)]
        assert [list(frame) for frame in frames] == [["stream", "data"]] * 2
        assert {frame["stream"]: frame["data"]["s"] for frame in frames} == {
            NAME: "BTCUSDT",
            "ethusdt@kline_1m": "ETHUSDT",
        }


async def test_streams_are_subscribed_by_message() -> None:
    """SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS are answered with their id."""
    async with exchange() as binance, binance.stream("/ws") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": [NAME, "btcusdt@depth"], "id": 1})
        assert await socket.receive_json() == {"result": None, "id": 1}
        assert (await frame_after(binance, socket, seconds=2))["e"] == "kline"
        await socket.send_json({"method": "UNSUBSCRIBE", "params": [NAME], "id": 2})
        assert await socket.receive_json() == {"result": None, "id": 2}
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 3})
        assert await frame_after(binance, socket, seconds=2) == {"result": ["btcusdt@depth"], "id": 3}


@pytest.mark.parametrize(
    "message", ["{", "[]", '{"method": "DANCE", "id": 1}', '{"method": "SUBSCRIBE", "params": [1], "id": 1}']
)
async def test_a_message_that_cannot_be_read_is_answered_with_an_error(message: str) -> None:
    """And the connection stays."""
    async with exchange() as binance, binance.stream() as socket:
        await socket.send_str(message)
        assert "error" in await socket.receive_json()
        assert (await frame_after(binance, socket, seconds=2))["e"] == "kline"


async def test_a_late_closing_push_comes_late() -> None:
    """Frames of the next minute come first."""
    async with exchange(faults=["late_close,seconds=30,count=1"]) as binance, binance.stream() as socket:
        frame = await frame_after(binance, socket, seconds=62)
        assert (frame["k"]["t"], frame["k"]["x"]) == (NOON_MS + MINUTE_MS, False)
        frame = await frame_after(binance, socket, seconds=28)
        assert (frame["k"]["t"], frame["k"]["x"], frame["E"]) == (NOON_MS, True, NOON_MS + 90_000)


async def test_a_closing_push_that_never_comes() -> None:
    """Only the stream lacks it."""
    async with exchange(faults=["no_close,count=1"]) as binance, binance.stream() as socket:
        binance.clock.advance(minutes=2)
        frame = await socket.receive_json()
        assert (frame["k"]["t"], frame["k"]["x"]) == (NOON_MS + MINUTE_MS, True)


async def test_a_silent_stream_stays_connected() -> None:
    """Nothing comes while it lasts; then frames come again on the same connection."""
    async with exchange(faults=["silent_stream"]) as binance, binance.stream() as socket:
        binance.clock.advance(minutes=5)
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 9})
        assert (await socket.receive_json())["id"] == 9
        binance.simulator.faults.clear()
        assert (await frame_after(binance, socket, minutes=1))["k"]["t"] == NOON_MS + 5 * MINUTE_MS


async def test_frames_can_be_spoilt() -> None:
    """Another symbol, or no JSON at all; the next one is good."""
    faults = ["wrong_symbol,count=1", "malformed_frame,count=1"]
    async with exchange(faults=faults) as binance, binance.stream() as socket:
        frame = await frame_after(binance, socket, seconds=2)
        assert frame["s"] == frame["k"]["s"] == "OTHERUSDT"
        binance.clock.advance(seconds=2)
        with pytest.raises(json.JSONDecodeError):
            await socket.receive_json()
        assert (await frame_after(binance, socket, seconds=2))["s"] == "BTCUSDT"


async def test_a_stream_can_be_cut() -> None:
    """The connection ends; another can be made at once."""
    async with exchange(faults=["cut_stream,count=1"]) as binance:
        async with binance.stream() as socket:
            binance.clock.advance(seconds=2)
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        async with binance.stream() as socket:
            assert (await frame_after(binance, socket, seconds=2))["e"] == "kline"


async def test_a_shutdown_is_announced_on_request() -> None:
    """The event, then the end."""
    async with exchange(faults=["server_shutdown,count=1"]) as binance, binance.stream() as socket:
        assert await frame_after(binance, socket, seconds=2) == {"e": "serverShutdown", "E": NOON_MS + 2000}
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_a_real_shutdown_is_announced_too() -> None:
    """Stopping the simulator tells every client first."""
    simulator = Simulator(clock=RunningClock(NOON, speed=0.001))
    async with aiohttp.ClientSession() as client, asyncio.timeout(PATIENCE_SECONDS):
        async with running(simulator) as url:
            socket = await client.ws_connect(f"{url}/ws/{NAME}")
            reading = asyncio.create_task(socket.receive_json())
        assert (await reading)["e"] == "serverShutdown"
        await socket.close()


async def test_a_connection_ends_after_its_lifetime() -> None:
    """A day on the exchange."""
    async with (
        exchange(stream_lifetime_seconds=0.05) as binance,
        binance.client.ws_connect(f"{binance.url}/ws") as socket,
    ):
        assert (await socket.receive(PATIENCE_SECONDS)).type is aiohttp.WSMsgType.CLOSE


async def test_running_time_pushes_by_itself() -> None:
    """At sixty times the speed a minute closes every second, and none is left out."""
    simulator = Simulator(clock=RunningClock(NOON, speed=600))
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        running(simulator) as url,
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{url}/ws/{NAME}") as socket,
    ):
        closed: list[int] = []
        while len(closed) < 5:
            frame = await socket.receive_json()
            if frame["k"]["x"]:
                closed.append(frame["k"]["t"])
                assert frame["E"] == frame["k"]["t"] + MINUTE_MS
    assert closed == [closed[0] + at * MINUTE_MS for at in range(5)]


async def test_a_handshake_can_be_refused() -> None:
    """HTTP faults strike the stream's paths when they are named."""
    async with exchange(faults=["451,path=/ws*,count=1"]) as binance:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await binance.client.ws_connect(f"{binance.url}/ws/{NAME}")
        async with binance.stream() as socket:
            assert not socket.closed
        assert [entry.status for entry in binance.simulator.log.entries] == [451, 101]
