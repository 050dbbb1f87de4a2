"""The supervisor: what it says, what it starts again, and that it leaves nothing behind."""

import asyncio
import io
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from deploy.local.console import Console
from deploy.local.errors import InUseError, PortTakenError
from deploy.local.plan import Plan
from deploy.local.ports import find_free_port
from deploy.local.supervisor import supervise
from tests.integration.local_run import stand_in, stand_in_plan
from tests.processes import is_alive, python, until

WHERE = "The API is at http://127.0.0.1:{port}, its documentation at http://127.0.0.1:{port}/docs"


class Run:
    """A supervisor at work in this process."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.shown = io.StringIO()
        self.stop = asyncio.Event()
        names = ["postgres", *(service.name for layer in plan.layers for service in layer)]
        self.console = Console(names, self.shown)

    def says(self, text: str) -> bool:
        """Whether it has said so by now."""
        return text in self.shown.getvalue()


@asynccontextmanager
async def supervised(plan: Plan) -> AsyncIterator[Run]:
    """Run a plan as long as the block runs; what it raises is raised."""
    run = Run(plan)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(supervise(plan, run.console, run.stop))
        try:
            yield run
        finally:
            run.stop.set()
            await asyncio.wait((task,))
            print(run.shown.getvalue())


def pid(folder: Path, name: str) -> int:
    """The number that a stand-in wrote down, or 0."""
    path = folder / f"{name}.pid"
    text = path.read_text(encoding="ascii") if path.exists() else ""
    return int(text or 0)


def server_pid(folder: Path) -> int:
    """The database's process."""
    note = folder / "state" / "postgres" / "data" / "postmaster.pid"
    return int(note.read_text(encoding="ascii").split()[0])


def url_of(folder: Path, name: str) -> str:
    """The database's URL that a stand-in was given."""
    return (folder / f"{name}.url").read_text(encoding="ascii")


def have_started(folder: Path, *names: str) -> bool:
    """Whether all of these stand-ins, by default the whole plan's, are at work."""
    return all((folder / f"{name}.url").exists() for name in names or ("exchange", "api", "collector"))


async def test_says_where_to_look_with_the_newest_tick(tmp_path: Path) -> None:
    """One line, and only when the API answers and has something to show."""
    port = find_free_port()
    (tmp_path / "tick").touch()
    async with supervised(stand_in_plan(tmp_path, port)) as run:
        await until(lambda: run.says("newest tick"))
        line = next(line for line in run.shown.getvalue().splitlines() if "The API is at" in line)
        assert WHERE.format(port=port) in line
        assert "BTCUSDT 91234.56 at 2026-11-22T12:34:00Z (simulated)" in line
        assert line.startswith("minutebook | ")
        await until(lambda: "collector  | collector works" in run.shown.getvalue().splitlines())


async def test_says_where_to_look_without_a_tick_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the first tick is late, its coming is said by itself."""
    monkeypatch.setattr("deploy.local.status_reporter._FIRST_TICK_SECONDS", 0.2)
    port = find_free_port()
    async with supervised(stand_in_plan(tmp_path, port)) as run:
        await until(lambda: run.says(f"{WHERE.format(port=port)}. It has no tick yet."))
        (tmp_path / "tick").touch()
        await until(lambda: run.says("The first tick: BTCUSDT 91234.56"))


async def test_each_service_gets_the_database_as_its_own_role(tmp_path: Path) -> None:
    """Schema and roles are there, and nobody is given more than its own."""
    async with supervised(stand_in_plan(tmp_path, find_free_port())):
        await until(lambda: have_started(tmp_path))
        for name in ("collector", "api"):
            connection = await asyncpg.connect(url_of(tmp_path, name))
            assert await connection.fetchval("SELECT current_user") == name
            assert await connection.fetchval("SELECT count(*) FROM ticks") == 0
            await connection.close()
    assert url_of(tmp_path, "exchange") == ""


async def test_what_was_stored_is_there_in_the_next_run(tmp_path: Path) -> None:
    """The state is kept; passwords are new each time."""
    for count in (0, 1):
        (tmp_path / "collector.url").unlink(missing_ok=True)
        async with supervised(stand_in_plan(tmp_path, find_free_port())) as run:
            await until(lambda: have_started(tmp_path, "collector"))
            connection = await asyncpg.connect(url_of(tmp_path, "collector"))
            assert await connection.fetchval("SELECT count(*) FROM collected_symbols") == count
            await connection.execute(
                "INSERT INTO collected_symbols (symbol, position, since) VALUES ('BTCUSDT', 1, now())"
                " ON CONFLICT DO NOTHING"
            )
            await connection.close()
        assert run.says(f"Stopped; what was collected is kept in {tmp_path / 'state'}")


async def test_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    """It says which process has the folder, and leaves the first run as it is."""
    port = find_free_port()
    async with supervised(stand_in_plan(tmp_path, port)):
        await until(lambda: have_started(tmp_path))
        second = Run(stand_in_plan(tmp_path, port))
        with pytest.raises(InUseError, match=rf"in use by another run \(process {os.getpid()}\): stop that one first"):
            await supervise(second.plan, second.console, second.stop)
        assert is_alive(pid(tmp_path, "api"))
        assert is_alive(server_pid(tmp_path))


async def test_taken_port_is_named_with_the_setting_that_changes_it(tmp_path: Path) -> None:
    """No service is started for nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        run = Run(stand_in_plan(tmp_path, port))
        with pytest.raises(PortTakenError, match=f"Port {port} on 127.0.0.1 is taken.*API_PORT"):
            await supervise(run.plan, run.console, run.stop)
    assert not (tmp_path / "api.pid").exists()


async def test_killed_service_is_started_again(tmp_path: Path) -> None:
    """It is said how it ended, and when it comes back; the others go on."""
    async with supervised(stand_in_plan(tmp_path, find_free_port())) as run:
        await until(lambda: have_started(tmp_path))
        first, api = pid(tmp_path, "collector"), pid(tmp_path, "api")
        os.kill(first, signal.SIGKILL)
        await until(lambda: run.says("collector ended (SIGKILL); starting it again in 1 s."))
        await until(lambda: pid(tmp_path, "collector") != first)
        assert pid(tmp_path, "api") == api


async def test_killed_database_is_started_again_on_the_same_url(tmp_path: Path) -> None:
    """The services keep their URLs, and are not restarted for it."""
    async with supervised(stand_in_plan(tmp_path, find_free_port())) as run:
        await until(lambda: have_started(tmp_path, "collector"))
        collector, url = pid(tmp_path, "collector"), url_of(tmp_path, "collector")
        os.kill(server_pid(tmp_path), signal.SIGKILL)
        await until(lambda: run.says("postgres ended (SIGKILL); starting it again in 1 s."))
        await until(lambda: run.says("postgres answers again."))
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT current_user") == "collector"
        await connection.close()
        assert pid(tmp_path, "collector") == collector


async def test_stop_ends_the_services_before_what_they_live_from(tmp_path: Path) -> None:
    """Services, then the exchange, then the database; and each hears SIGTERM once."""
    async with supervised(stand_in_plan(tmp_path, find_free_port())):
        await until(lambda: have_started(tmp_path))
        processes = [pid(tmp_path, name) for name in ("exchange", "api", "collector")] + [server_pid(tmp_path)]
    heard = (tmp_path / "heard").read_text(encoding="ascii").splitlines()
    assert sorted(heard[:2]) == ["api SIGTERM", "collector SIGTERM"]
    assert heard[2:] == ["exchange SIGTERM"]
    assert not any(map(is_alive, processes))


async def test_service_that_does_not_stop_is_killed_with_its_children(tmp_path: Path) -> None:
    """The bound holds for the stubborn, and nothing they started stays."""
    stubborn = stand_in("stubborn", "stay", tmp_path)
    parent = stand_in("parent", "fork", tmp_path)
    plan = Plan(tmp_path / "state", ((stubborn, parent),), "127.0.0.1", find_free_port())
    async with supervised(plan) as run:
        await until(lambda: run.says("stubborn works") and run.says("parent works"))
        processes = [pid(tmp_path, name) for name in ("stubborn", "parent", "parent-child")]
        assert all(map(is_alive, processes))
    assert run.says("stubborn has not ended 1 s after SIGTERM; killing it.")
    await until(lambda: not any(map(is_alive, processes)))


async def test_what_relies_on_a_service_waits_until_that_answers(tmp_path: Path) -> None:
    """The next layer starts when the one before it answers."""
    port, api_port = find_free_port(), find_free_port()
    slow = stand_in("exchange", "serve", tmp_path, port, answers_at=f"http://127.0.0.1:{port}/api/v3/ping")
    after = stand_in("collector", "wait", tmp_path)
    async with supervised(Plan(tmp_path / "state", ((slow,), (after,)), "127.0.0.1", api_port)) as run:
        await until(lambda: run.says("collector works"))
        shown = run.shown.getvalue()
        assert shown.index("exchange works") < shown.index("collector works")


async def test_says_that_the_exchange_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clear sentence with what to do, the services run all the same, and its return is said; a 429 is its own."""
    monkeypatch.setattr("deploy.local.status_reporter._RETRY_SECONDS", 0.1)
    port = find_free_port()
    async with supervised(stand_in_plan(tmp_path, find_free_port(), (f"http://127.0.0.1:{port}",))) as run:
        await until(lambda: run.says("`make demo` needs no exchange."))
        assert run.says(f"The exchange cannot be reached (http://127.0.0.1:{port}: ")
        await until(lambda: have_started(tmp_path))
        server = await asyncio.start_server(_answer(b"HTTP/1.1 429 Slow Down"), "127.0.0.1", port)
        await until(lambda: run.says("The exchange can be reached now."))
        server.close()


async def test_restricted_location_counts_as_unreachable(tmp_path: Path) -> None:
    """What answers 451 is not the market."""
    server = await asyncio.start_server(_answer(b"HTTP/1.1 451 Elsewhere"), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with supervised(stand_in_plan(tmp_path, find_free_port(), (url,))) as run:
        await until(lambda: run.says(f"The exchange cannot be reached ({url}: it answers 451)"))
    server.close()


def _answer(status_line: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(status_line + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    return answer


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_to_the_whole_group_reaches_the_supervisor_alone(tmp_path: Path, number: int) -> None:
    """Ctrl-C on a terminal signals the group: services hear SIGTERM from the supervisor, and it exits 0."""
    async with python("-m", "tests.integration.local_run", str(tmp_path), str(find_free_port())) as process:
        await until(lambda: have_started(tmp_path))
        processes = [pid(tmp_path, name) for name in ("exchange", "api", "collector")] + [server_pid(tmp_path)]
        os.killpg(process.pid, number)
        async with asyncio.timeout(15):
            shown, complaints = await process.communicate()
    assert process.returncode == 0, complaints
    assert b"Stopped; what was collected is kept" in shown
    heard = (tmp_path / "heard").read_text(encoding="ascii").splitlines()
    assert sorted(heard) == ["api SIGTERM", "collector SIGTERM", "exchange SIGTERM"]
    assert not any(map(is_alive, processes))


async def test_nothing_outlives_a_killed_supervisor_and_the_next_run_works(tmp_path: Path) -> None:
    """kill -9 of the supervisor ends the services and the database; the folder is free again."""
    async with python("-m", "tests.integration.local_run", str(tmp_path), str(find_free_port())) as process:
        await until(lambda: have_started(tmp_path))
        processes = [pid(tmp_path, name) for name in ("exchange", "api", "collector")] + [server_pid(tmp_path)]
        process.kill()
        await until(lambda: not any(map(is_alive, processes)))
    (tmp_path / "tick").touch()
    async with supervised(stand_in_plan(tmp_path, find_free_port())) as run:
        await until(lambda: run.says("newest tick"))


async def test_run_ends_when_nobody_reads_it_any_more(tmp_path: Path) -> None:
    """As `make run | head` or a closed terminal would have it."""
    async with python("-m", "tests.integration.local_run", str(tmp_path), str(find_free_port())) as process:
        await until(lambda: have_started(tmp_path))
        processes = [pid(tmp_path, name) for name in ("exchange", "api", "collector")] + [server_pid(tmp_path)]
        transport = process.stdout._transport  # type: ignore[union-attr] # asyncio offers no other way to close it
        transport.close()
        os.kill(pid(tmp_path, "collector"), signal.SIGKILL)
        async with asyncio.timeout(15):
            await process.wait()
        assert not any(map(is_alive, processes))
