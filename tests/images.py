"""The project's images in the tests: all built from the same files, so that the engine builds each layer once.

That holds for processes that build at one time too: the engine joins steps that are the same. The stack, the cluster
and the tests of the images each have tags of their own and remove those alone.
"""

import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.processes import ROOT

TARGETS = ("api", "collector", "migrate", "mlflow", "predictor", "simulator")
_BUILD_SECONDS = 500


def copy_project(folder: Path) -> None:
    """Copy what git knows of the project, with the modes of a clone that was made under the umask 077.

    A layer is built again when a file's mode differs, so every image is built from such a copy.
    """
    names = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
            (folder / name).chmod((folder / name).stat().st_mode & 0o700)


def build_images(folder: Path, tags: Mapping[str, str], *arguments: str) -> None:
    """Build the targets of a copy side by side, each under its tag; raises AssertionError with what Docker says."""
    with ThreadPoolExecutor(len(tags)) as threads:
        for answer in threads.map(
            lambda target: subprocess.run(
                ["docker", "build", "--quiet", "--target", target, *arguments, "--tag", tags[target], str(folder)],
                capture_output=True,
                text=True,
                timeout=_BUILD_SECONDS,
                check=False,
            ),
            tags,
        ):
            assert answer.returncode == 0, f"{answer.args}: {answer.stderr}"


def remove_images(reference: str) -> None:
    """Remove the tags that match, such as `minutebook/*:test`; there may be none, where a build failed."""
    listing = ["docker", "image", "ls", f"--filter=reference={reference}", "--format={{.Repository}}:{{.Tag}}"]
    tags = subprocess.run(listing, capture_output=True, check=True, text=True, timeout=60).stdout.split()
    if tags:
        subprocess.run(["docker", "image", "rm", *tags], capture_output=True, check=True, timeout=60)
