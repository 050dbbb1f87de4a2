"""`python3 -m deploy.compose.env_file [--demo]`: what Compose reads from `.env`, written before each `make up`.

Secrets are made once and kept, as is everything else that is in the file; only what tells this version and mode is
written anew. The standard library alone is used, since `make up` needs no packages on the host.
"""

import argparse
import os
import secrets
import subprocess
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
_COMPOSE_FILE = "docker-compose.yml"
_DEMO_FILE = "deploy/compose/demo.yml"


def completed(lines: Iterable[str], facts: Mapping[str, str]) -> list[str]:
    """Return the file's lines with each fact as it is now, and with the secrets that it lacked."""
    kept = [line for line in lines if _name(line) not in facts]
    there = {_name(line) for line in kept if line.partition("=")[2].strip()}
    # A secret without a value is none; Compose would take the first of two.
    kept = [line for line in kept if _name(line) not in SECRETS or _name(line) in there]
    # They stand in URLs, so they are of letters that mean nothing there.
    made = [f"{name}={secrets.token_urlsafe(_SECRET_BYTES)}" for name in SECRETS if name not in there]
    return [*kept, *made, *(f"{name}={value}" for name, value in facts.items())]


def write(path: Path, facts: Mapping[str, str]) -> None:
    """Complete the file, whole or not at all, for its owner's eyes only."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(completed(lines, facts)) + "\n")
    new.replace(path)


def _name(line: str) -> str:
    return line.partition("=")[0].strip() if not line.lstrip().startswith("#") else ""


def _revision() -> str:
    """The commit that the images are built from, for their labels."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - a command of ours
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def main() -> None:
    """Write the project's `.env`."""
    parser = argparse.ArgumentParser(description="Write what Compose needs into .env.")
    parser.add_argument("--demo", action="store_true", help="the simulated exchange instead of the real one")
    files = [_COMPOSE_FILE, _DEMO_FILE] if parser.parse_args().demo else [_COMPOSE_FILE]
    facts = {
        "MINUTEBOOK_VERSION": read_version(),
        "MINUTEBOOK_REVISION": _revision(),
        "COMPOSE_PATH_SEPARATOR": ":",
        "COMPOSE_FILE": ":".join(files),
    }
    write(ROOT / ".env", facts)


if __name__ == "__main__":
    main()
