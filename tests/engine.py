"""The container engine, where one answers: found out once, and only when a test could use it."""

import contextlib
import gc
import os
import socket
import warnings
from dataclasses import dataclass

import docker  # type: ignore[import-untyped] # it ships none
from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped] # it ships none

_PING_SECONDS = 5
_PULL_SECONDS = 60
# Says which pytest process a container belongs to, so that the next one can remove what a killed one left.
HOST_LABEL = "minutebook.tests.host"
PROCESS_LABEL = "minutebook.tests.process"


@dataclass(frozen=True)
class Engine:
    """What is known of the engine: whether it answers, and why an image cannot be had."""

    answers: bool
    reason: str = ""

    def refusal(self, image: str) -> str | None:
        """Return why `image` cannot be used, after trying to pull it; None when it can."""
        if not self.answers:
            return self.reason
        with contextlib.closing(docker.from_env(timeout=_PULL_SECONDS)) as client:
            try:
                client.images.get(image)
            except ImageNotFound:
                try:
                    client.images.pull(image)
                except (DockerException, OSError) as error:
                    return f"the image {image} can be had neither here nor from its registry ({type(error).__name__})"
        return None


def find_engine() -> Engine:
    """Ask the engine whether it is there."""
    try:
        with contextlib.closing(docker.from_env(timeout=_PING_SECONDS)) as client:
            client.ping()
    except (DockerException, OSError):
        pass
    else:
        return Engine(answers=True)
    # A client that may not open the engine's socket leaves its end of it to the garbage collector, which would
    # complain in the midst of any test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return Engine(answers=False, reason="no container engine answers")


def labels() -> dict[str, str]:
    """Return what a container of this pytest process is labelled with."""
    return {HOST_LABEL: socket.gethostname(), PROCESS_LABEL: str(os.getpid())}


def remove_abandoned() -> None:
    """Remove containers of earlier pytest processes that were killed before they could."""
    with contextlib.closing(docker.from_env(timeout=_PING_SECONDS)) as client:
        ours = {"label": f"{HOST_LABEL}={socket.gethostname()}"}
        for container in client.containers.list(all=True, filters=ours, ignore_removed=True):
            if not is_running(int(container.labels[PROCESS_LABEL])):
                # Another pytest process may be removing it too.
                with contextlib.suppress(DockerException):
                    container.remove(force=True, v=True)


def is_running(process: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
