"""The embedded Postgres: what it keeps, whom it lets in, and what it says when it cannot start."""

import asyncio
import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from deploy.local import orphaned_server
from deploy.local.cluster import make_server_environment, prepare_cluster
from deploy.local.errors import InUseError, LocalError, PortTakenError
from deploy.local.postgres import EmbeddedPostgres, running
from deploy.local.tuning import NOT_DURABLE
from tests.processes import is_alive, python, until

LOCAL_SERVER = ("-m", "tests.integration.local_server")


async def fetch(url: str, query: str) -> object:
    """Return the one value of a query."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_what_was_written_is_there_at_the_next_start(tmp_path: Path) -> None:
    """Data and password outlive a stop, and the second start makes nothing anew."""
    async with running(tmp_path, settings=NOT_DURABLE) as server:
        await fetch(server.url(), "CREATE TABLE kept AS SELECT 7 AS number")
    async with running(tmp_path, settings=NOT_DURABLE) as server:
        assert await fetch(server.url(), "SELECT number FROM kept") == 7


async def test_listens_on_loopback_only_and_wants_the_password(tmp_path: Path) -> None:
    """No socket file, no other address, no trust; the password can be read by its owner only."""
    async with running(tmp_path, settings=NOT_DURABLE) as server:
        assert await fetch(server.url(), "SHOW listen_addresses") == "127.0.0.1"
        assert await fetch(server.url(), "SHOW unix_socket_directories") == ""
        assert await fetch(server.url(), "SHOW jit") == "off"
        assert await fetch(server.url(), "SHOW server_encoding") == "UTF8"
        collation = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database()"
        assert await fetch(server.url(), collation) == "bC.UTF-8"
        password = await fetch(server.url(), "SELECT rolpassword FROM pg_authid WHERE rolname = 'minutebook'")
        assert str(password).startswith("SCRAM-SHA-256$")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await fetch(server.url(password="wrong"), "SELECT 1")
    assert (tmp_path / "owner_password").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


async def test_second_start_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    """The sentence names the process that has it; the first server is not disturbed."""
    async with running(tmp_path, settings=NOT_DURABLE) as server:
        with pytest.raises(InUseError, match=rf"{tmp_path} is in use by another run \(process {os.getpid()}\)"):
            await EmbeddedPostgres(tmp_path).start()
        assert await fetch(server.url(), "SELECT 1") == 1
    async with running(tmp_path, settings=NOT_DURABLE) as server:
        assert await fetch(server.url(), "SELECT 1") == 1


async def test_taken_port_is_named(tmp_path: Path) -> None:
    """A port that was asked for is not silently another one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(PortTakenError, match=str(port)):
            await EmbeddedPostgres(tmp_path, port=port, settings=NOT_DURABLE).start()


async def test_crash_is_recovered_from_on_the_same_port(tmp_path: Path) -> None:
    """After kill -9 the same object starts it again, with everything acknowledged."""
    settings = {**NOT_DURABLE, "synchronous_commit": "on"}
    async with running(tmp_path, settings=settings) as server:
        url = server.url()
        await fetch(url, "CREATE TABLE kept AS SELECT 7 AS number")
        server.kill()
        assert await server.wait() == -signal.SIGKILL
        await server.start()
        assert server.url() == url
        assert await fetch(url, "SELECT number FROM kept") == 7


async def test_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Even when that is killed; and the next start finds everything."""
    async with python(*LOCAL_SERVER, str(tmp_path)) as holder:
        assert holder.stdout is not None
        started = json.loads(await holder.stdout.readline())
        holder.kill()
        await until(lambda: not is_alive(started["pid"]))
    async with running(tmp_path, settings=NOT_DURABLE) as server:
        assert await fetch(server.url(), "SELECT 1") == 1


@pytest.mark.parametrize("is_frozen", [False, True])
async def test_orphaned_server_is_stopped_by_the_next_start(
    tmp_path: Path, is_frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose starter has died is stopped, or else killed, and its data are served again."""
    async with running(tmp_path, settings=NOT_DURABLE):
        pass
    cluster = prepare_cluster(tmp_path)
    command = [str(cluster.programs / "postgres"), "-D", str(cluster.data), "-c", "unix_socket_directories="]
    # As left over where no parent's death is signalled: without the signal and without the folder's lock.
    left = await asyncio.create_subprocess_exec(
        *cluster.account.make_command([*command, "-c", f"port={_free_port()}"], "CONT"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=make_server_environment(),
    )
    note = cluster.data / "postmaster.pid"
    await until(lambda: note.exists() and "ready" in note.read_text(encoding="utf-8"))
    if is_frozen:
        monkeypatch.setattr(orphaned_server, "PATIENCE_SECONDS", 0.3)
        left.send_signal(signal.SIGSTOP)
    server = EmbeddedPostgres(tmp_path, settings=NOT_DURABLE)
    await server.start()
    try:
        assert await fetch(server.url(), "SELECT 1") == 1
        assert await left.wait() == (-signal.SIGKILL if is_frozen else 0)
    finally:
        await server.stop()


async def test_note_with_the_number_of_another_process_is_no_obstacle(tmp_path: Path) -> None:
    """After a crash of the machine, the number in postmaster.pid may be anybody's; that process is left alone."""
    async with running(tmp_path, settings=NOT_DURABLE) as server:
        note = tmp_path / "data" / "postmaster.pid"
        lines = note.read_text(encoding="utf-8").splitlines()
        server.kill()
        await server.wait()
        async with python("-c", "import time; time.sleep(60)") as stranger:
            note.write_text("\n".join([str(stranger.pid), *lines[1:], ""]), encoding="utf-8")
            await server.start()
            assert await fetch(server.url(), "SELECT 1") == 1
            assert is_alive(stranger.pid)


async def test_interrupted_creation_is_begun_anew(tmp_path: Path) -> None:
    """What a killed initdb left is never taken for data."""
    half_made = tmp_path / "data.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n", encoding="ascii")
    async with running(tmp_path, settings=NOT_DURABLE) as server:
        assert await fetch(server.url(), "SELECT 1") == 1
    assert not half_made.exists()


def _another_version(folder: Path) -> None:
    (folder / "data" / "PG_VERSION").write_text("17\n", encoding="ascii")


def _not_data(folder: Path) -> None:
    shutil.rmtree(folder / "data")
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "holiday.jpg").touch()


def _damaged(folder: Path) -> None:
    with (folder / "data" / "global" / "pg_control").open("r+b") as control:
        control.write(b"\0" * 512)


def _without_password(folder: Path) -> None:
    (folder / "owner_password").unlink()


def _with_another_password(folder: Path) -> None:
    (folder / "owner_password").write_text("guess", encoding="ascii")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_another_version, "written by PostgreSQL 17, and this is PostgreSQL 18: .*move the folder away"),
        (_not_data, "holds no complete Postgres data: move it away"),
        (_damaged, "does not start on .*incompatible.*server.log.*move .* away"),
        (_without_password, "owner_password is missing.*put it back"),
        (_with_another_password, "owner_password is not the password of the database"),
    ],
)
async def test_data_that_cannot_be_served_are_explained(
    tmp_path: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    """One sentence with what to do; nothing is deleted, and nothing keeps running or holding the folder."""
    async with running(tmp_path, settings=NOT_DURABLE):
        pass
    spoil(tmp_path)
    before = sorted(path.name for path in (tmp_path / "data").iterdir())
    server = EmbeddedPostgres(tmp_path, settings=NOT_DURABLE)
    for _ in range(2):
        with pytest.raises(LocalError, match=sentence):
            await server.start()
    assert server.pid is None
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == before


async def test_folder_that_is_a_file_is_explained(tmp_path: Path) -> None:
    """An error of the system becomes a sentence."""
    (tmp_path / "taken").touch()
    with pytest.raises(LocalError, match="Nothing can be kept in"):
        await EmbeddedPostgres(tmp_path / "taken").start()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
