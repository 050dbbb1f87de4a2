"""Chooses the operating-system user that Postgres runs as, and starts processes as that user.

Postgres refuses to run as root. When we are root, it runs as another user, while its programs and its data stay in the
project's folder, which may lie below a folder that only root can enter, such as /root. We change no mode of a folder
above. Where the new user cannot reach the folder, util-linux's `setpriv` gives it one of root's capabilities over the
file system, the weakest that is enough.
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

# From weak to strong: no capability; enter and read every folder; run also programs that only their owner may run, as
# in a clone that was made under `umask 077`.
_CAPABILITIES = ("", "dac_read_search", "dac_override")
_CANDIDATES = ("postgres", "nobody")
_PROBE_SECONDS = 10


@dataclass(frozen=True)
class Account:
    """A user, and the root capability that its processes keep; `is_other` when it is not the current user."""

    name: str
    uid: int
    gid: int
    is_other: bool
    capability: str = ""

    def make_command(self, arguments: Sequence[str], death_signal: str) -> list[str]:
        """Return the command that runs `arguments` as this user, and sends it `death_signal` when our process dies.

        Without `setpriv` (outside Linux) the command does neither; `make_popen_options` changes the user there.
        """
        program = find_setpriv()
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

    def make_popen_options(self) -> dict[str, int | list[int]]:
        """Return the options with which `subprocess` changes the user where there is no `setpriv`."""
        if self.is_other and find_setpriv() is None:
            return {"user": self.uid, "group": self.gid, "extra_groups": []}
        return {}

    def can_use(self, program: Path, folder: Path) -> bool:
        """Try as this user to run `program` and to enter `folder`; returns whether both succeed."""
        runs, enters = self._probe(str(program), "--version"), self._probe("test", "-x", str(folder))
        # A Postgres program that cannot find its own path only warns on stderr, and fails later.
        return runs is not None and enters is not None and runs.stderr == b""

    def _probe(self, *arguments: str) -> "subprocess.CompletedProcess[bytes] | None":
        command = self.make_command(arguments, "KILL")
        try:
            result = subprocess.run(  # noqa: S603 - our own programs
                command,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_PROBE_SECONDS,
                check=False,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
                **self.make_popen_options(),  # type: ignore[call-overload] # mypy sees no keys in it
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return result if result.returncode == 0 else None


@functools.cache
def find_setpriv() -> str | None:
    """Return the path of util-linux's `setpriv`; None where it is missing or another program has its name."""
    path = shutil.which("setpriv", path=os.environ.get("PATH", os.defpath) + ":/usr/bin:/bin")
    if path is None or sys.platform != "linux":
        return None
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    return path if "util-linux" in shown.stdout else None


def find_own_account() -> Account:
    """Return the user that this process runs as."""
    uid = os.geteuid()
    return Account(name=_find_name(uid), uid=uid, gid=os.getegid(), is_other=False)


def choose_server_account(data: Path) -> Account:
    """Return the user to run Postgres as: the current user, or for root another one, the data's owner if there are any.

    Raises LocalError when we are root and there is no other user.
    """
    if os.geteuid() != 0:
        return find_own_account()
    owner = data.stat().st_uid if data.exists() else 0
    for entry in (_find_entry(owner), *(_find_entry(name) for name in _CANDIDATES)):
        if entry is not None and entry.pw_uid != 0:
            return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, is_other=True)
    raise LocalError(
        "Postgres refuses to run as root, and this system has neither a user 'postgres' nor 'nobody' to run it as: "
        "start Minutebook as an ordinary user."
    )


def find_account_with_access(account: Account, program: Path, folder: Path) -> Account | None:
    """Return the account with the weakest capability that lets it run `program` and enter `folder`.

    Returns `account` untried when it is the current user, and None when no capability is enough.
    """
    if not account.is_other:
        return account
    capabilities = _CAPABILITIES if find_setpriv() else ("",)
    granted = (replace(account, capability=capability) for capability in capabilities)
    return next((candidate for candidate in granted if candidate.can_use(program, folder)), None)


def _find_entry(user: int | str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)
    except KeyError:
        return None


def _find_name(uid: int) -> str:
    entry = _find_entry(uid)
    return entry.pw_name if entry else f"number {uid}"
