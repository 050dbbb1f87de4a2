"""The operating-system user that a server runs as, and how a process becomes that user.

Postgres refuses to run as root. So where we are root, it is started as another user, while its programs and its data
stay where they are: in the project's folder, which may lie below one that nobody else can enter, such as /root. No
mode of a folder above is changed for it. util-linux's `setpriv` hands the new user, if need be, one capability of
root's over the file system; the weakest that is enough is taken.
"""

import functools
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local.errors import LocalError

# From weak to strong: nothing more than the user's own rights; pass through and read everything; or run, too, programs
# that only their owner may run (a clone made under `umask 077`).
_CAPABILITIES = ("", "dac_read_search", "dac_override")
_CANDIDATES = ("postgres", "nobody")
_PROBE_SECONDS = 10


@dataclass(frozen=True)
class Account:
    """A user, and the capability that its processes keep of root's; `is_other` when it is not the user we are."""

    name: str
    uid: int
    gid: int
    is_other: bool
    capability: str = ""

    def command(self, arguments: Sequence[str], death_signal: str) -> list[str]:
        """Return the command that runs `arguments` as this user, and signals it if the process we are dies.

        Where there is no `setpriv` (outside Linux) neither happens; `popen_options` changes the user there.
        """
        program = setpriv()
        if program is None:
            return list(arguments)
        command = [program, "--pdeathsig", death_signal]
        if self.is_other:
            command += ["--reuid", str(self.uid), "--regid", str(self.gid), "--clear-groups", "--no-new-privs"]
            if self.capability:
                # Postgres asks access(2) about its programs, which leaves capabilities out of account for a user other
                # than root, unless this securebit is set.
                kept = f"-all,+{self.capability}"
                command += ["--securebits", "+no_setuid_fixup", "--inh-caps", kept, "--ambient-caps", kept]
        return [*command, *arguments]

    def popen_options(self) -> dict[str, int | list[int]]:
        """Return what `subprocess` needs in order to change the user where `setpriv` does not."""
        if self.is_other and setpriv() is None:
            return {"user": self.uid, "group": self.gid, "extra_groups": []}
        return {}

    def can_use(self, program: Path, folder: Path) -> bool:
        """Whether this user can run `program` and enter `folder`: found out by doing it."""
        runs, enters = self._probe(str(program), "--version"), self._probe("test", "-x", str(folder))
        # A Postgres program that cannot be sure of its own path says so on stderr, and goes on until it needs it.
        return runs is not None and enters is not None and runs.stderr == b""

    def _probe(self, *arguments: str) -> "subprocess.CompletedProcess[bytes] | None":
        command = self.command(arguments, "KILL")
        try:
            result = subprocess.run(  # noqa: S603 - our own programs
                command,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_PROBE_SECONDS,
                check=False,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
                **self.popen_options(),  # type: ignore[call-overload] # mypy sees no keys in it
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return result if result.returncode == 0 else None


@functools.cache
def setpriv() -> str | None:
    """Return the path of util-linux's `setpriv`; None where there is none, or only a smaller one of that name."""
    path = shutil.which("setpriv", path=os.environ.get("PATH", os.defpath) + ":/usr/bin:/bin")
    if path is None or sys.platform != "linux":
        return None
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    return path if "util-linux" in shown.stdout else None


def own_account() -> Account:
    """The user we are."""
    uid = os.geteuid()
    return Account(name=_name_of(uid), uid=uid, gid=os.getegid(), is_other=False)


def server_account(data: Path) -> Account:
    """Return the user that Postgres is to run as: the one we are, but for root another one.

    Data that a user once made stay that user's. Raises LocalError where we are root and there is no other user.
    """
    if os.geteuid() != 0:
        return own_account()
    owner = data.stat().st_uid if data.exists() else 0
    for entry in (_entry(owner), *(_entry(name) for name in _CANDIDATES)):
        if entry is not None and entry.pw_uid != 0:
            return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, is_other=True)
    raise LocalError(
        "Postgres refuses to run as root, and this system has neither a user 'postgres' nor 'nobody' to run it as: "
        "start Minutebook as an ordinary user."
    )


def with_access(account: Account, program: Path, folder: Path) -> Account | None:
    """Return the account with the weakest capability that lets it run `program` and enter `folder`.

    None when none is enough; `account` itself, unprobed, when it is the user we are.
    """
    if not account.is_other:
        return account
    capabilities = _CAPABILITIES if setpriv() else ("",)
    granted = (replace(account, capability=capability) for capability in capabilities)
    return next((candidate for candidate in granted if candidate.can_use(program, folder)), None)


def _entry(user: int | str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)
    except KeyError:
        return None


def _name_of(uid: int) -> str:
    entry = _entry(uid)
    return entry.pw_name if entry else f"number {uid}"
