"""`python3 -m deploy.compose.env_file [--demo]`: writes the `.env` that Compose reads; `make up` calls it each time.

It makes missing secrets, renews the lines that name this version and mode, and keeps every other line. It uses the
standard library only, since `make up` needs no packages on the host.
"""

import argparse
import os
import re
import secrets
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from shared.version import read_version

ROOT = Path(__file__).parents[2]
SECRETS = (
    "POSTGRES_PASSWORD",
    "COLLECTOR_DATABASE_PASSWORD",
    "PREDICTOR_DATABASE_PASSWORD",
    "API_DATABASE_PASSWORD",
    "MLFLOW_DATABASE_PASSWORD",
    "REPLICATION_PASSWORD",
    "MINIO_ROOT_PASSWORD",
)
_SECRET_BYTES = 24
_PORTS = ("GATEWAY_PORT", "MLFLOW_PORT", "MINIO_CONSOLE_PORT")
_PORT_MAX = 65_535
_STORE_PASSWORD_MIN = 8
_PROJECT = "minutebook"
_COMPOSE_FILE = "docker-compose.yml"
_DEMO_FILE = "deploy/compose/demo.yml"
# The user's own changes, in the file that Compose itself looks for by default.
_OVERRIDE_FILE = "compose.override.yml"
# Containers mount these and read them as other users, so everyone must be able to read them.
_MOUNTED_FILES = ("first-start.sh", "gateway.conf", "replica.sh")


def complete_lines(lines: Iterable[str], facts: Mapping[str, str]) -> list[str]:
    """Return the file's lines with the current facts, and with new secrets for those that are missing."""
    kept = [line for line in lines if _parse_name(line) not in facts]
    present = {_parse_name(line) for line in kept if line.partition("=")[2].strip()}
    # A secret without a value is missing: drop its line, so that a new one is made.
    kept = [line for line in kept if _parse_name(line) not in SECRETS or _parse_name(line) in present]
    # They become part of URLs, so they have only characters without a meaning there.
    made = [f"{name}={secrets.token_urlsafe(_SECRET_BYTES)}" for name in SECRETS if name not in present]
    return [*kept, *made, *(f"{name}={value}" for name, value in facts.items())]


def find_mistake(values: Mapping[str, str]) -> str | None:
    """Return what is wrong with a setting that Compose reads, as its own error would not name it; else None."""
    for name in _PORTS:
        port = values.get(name, "")
        if port and not (port.isdecimal() and int(port) <= _PORT_MAX):
            return f"{name} must be a port from 0 to {_PORT_MAX}, not '{port}'"
    replicas = values.get("API_REPLICAS", "")
    if replicas and not (replicas.isdecimal() and int(replicas) > 0):
        return f"API_REPLICAS must be a number from 1 on, not '{replicas}'"
    for name in SECRETS:
        if not re.fullmatch(r"[A-Za-z0-9._~-]*", values.get(name, "")):
            return f"{name} may have letters, digits and -._~ only, since it stands in a URL"
    if 0 < len(values.get("MINIO_ROOT_PASSWORD", "")) < _STORE_PASSWORD_MIN:
        return f"MINIO_ROOT_PASSWORD needs at least {_STORE_PASSWORD_MIN} characters"
    return None


def read_settings(path: Path) -> dict[str, str]:
    """Return the file's settings as Compose reads them: of two lines with one name the last counts."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: line.partition("=")[2].strip().strip("'\"") for line in lines if (name := _parse_name(line))}


def find_lost_passwords(values: Mapping[str, str], volumes: Iterable[str]) -> str | None:
    """Return what to do when a database exists but `.env` lacks its passwords; else None."""
    if values.get("POSTGRES_PASSWORD") or not {"postgres", "demo-postgres"} & set(volumes):
        return None
    return (
        "A database of an earlier `make up` exists, but its passwords are missing: put that .env back, "
        "or run `make clean` first"
    )


def write_settings(path: Path, facts: Mapping[str, str]) -> None:
    """Complete the file atomically; only its owner may read it."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(complete_lines(lines, facts)) + "\n")
    new.replace(path)


def _parse_name(line: str) -> str:
    """Return the variable that the line sets, empty for a comment; as Compose does, allow `export` before it."""
    return line.partition("=")[0].strip().removeprefix("export ").strip() if not line.lstrip().startswith("#") else ""


def _list_volumes(project: str) -> list[str]:
    """Return the volumes that exist, by their names in the Compose file; none when no engine answers."""
    label = "com.docker.compose.volume"
    command = ["docker", "volume", "ls", "--filter", f"label=com.docker.compose.project={project}"]
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command
            [*command, "--format", f'{{{{.Label "{label}"}}}}'], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return answer.stdout.split()


def _read_revision() -> str:
    """Return the commit that the images are built from, with `-dirty` when files have changed since."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - a fixed command
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def main() -> int:
    """Write the project's `.env`; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write what Compose needs into .env.")
    parser.add_argument("--demo", action="store_true", help="the simulated exchange instead of the real one")
    files = [_COMPOSE_FILE, _DEMO_FILE] if parser.parse_args().demo else [_COMPOSE_FILE]
    files += [_OVERRIDE_FILE] if (ROOT / _OVERRIDE_FILE).exists() else []
    facts = {
        "MINUTEBOOK_VERSION": read_version(),
        "MINUTEBOOK_REVISION": _read_revision(),
        "COMPOSE_PATH_SEPARATOR": ":",
        "COMPOSE_FILE": ":".join(files),
    }
    path = ROOT / ".env"
    facts |= {name: value for name in (*_PORTS, "API_REPLICAS") if (value := os.environ.get(name))}
    try:
        values = read_settings(path) | os.environ
        wrong = find_mistake(values)
        if wrong:
            sys.stderr.write(f"{wrong}: correct it in .env, or in the command.\n")
            return 2
        lost = find_lost_passwords(values, _list_volumes(values.get("COMPOSE_PROJECT_NAME") or _PROJECT))
        if lost:
            sys.stderr.write(f"{lost}.\n")
            return 2
        write_settings(path, facts)
        for name in _MOUNTED_FILES:
            file = Path(__file__).with_name(name)
            file.chmod(file.stat().st_mode | stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f".env cannot be written ({error}): correct or remove it.\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
