"""Measures the start of the API's container, up to its first answer, beside a bare server in the base image.

It needs a container engine. Both are timed in turn, from outside, over the container's own address.
"""

import argparse
import contextlib
import http.client
import statistics
import subprocess
import time
from collections.abc import Iterator

import docker  # type: ignore[import-untyped] # it ships none

BASE = "python:3.13-slim-trixie"
API = "minutebook-benchmark/api"
PORT = 8000
GIVE_UP_SECONDS = 60
# The bare server answers with the listing of its folder.
PEER = ["python3", "-m", "http.server", str(PORT), "--directory", "/tmp"]


@contextlib.contextmanager
def started(client: docker.DockerClient, image: str, command: list[str] | None) -> Iterator[tuple[object, float]]:
    """Run a container while the block runs; yields it and the time at which it was started."""
    nowhere = {"API_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    container = client.containers.create(image, command, environment=nowhere, read_only=True, tmpfs={"/tmp": ""})
    try:
        began = time.monotonic()
        container.start()
        yield container, began
    finally:
        container.remove(force=True)


def seconds_to_answer(client: docker.DockerClient, image: str, command: list[str] | None, path: str) -> float:
    """Return the seconds from `docker start` to the first answer with status 200."""
    with started(client, image, command) as (container, began):
        container.reload()  # type: ignore[attr-defined]
        networks = container.attrs["NetworkSettings"]["Networks"]  # type: ignore[attr-defined]
        address = next(iter(networks.values()))["IPAddress"]
        while time.monotonic() - began < GIVE_UP_SECONDS:
            connection = http.client.HTTPConnection(address, PORT, timeout=1)
            with contextlib.suppress(OSError), contextlib.closing(connection):
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return time.monotonic() - began
            time.sleep(0.005)
    raise TimeoutError(f"{image} did not answer within {GIVE_UP_SECONDS} s.")


def main(turns: int) -> None:
    """Time both in turn, and print the medians and their ratio."""
    try:
        docker.from_env(timeout=5).close()
    except docker.errors.DockerException:
        print("skipped: no container engine answers")
        return
    subprocess.run(
        ["docker", "build", "--quiet", "--target", "api", "--tag", API, "."], check=True, capture_output=True
    )
    with contextlib.closing(docker.from_env()) as client:
        ours, theirs = [], []
        for _ in range(turns):
            ours.append(seconds_to_answer(client, API, None, "/health/live"))
            theirs.append(seconds_to_answer(client, BASE, PEER, "/"))
        size = (client.images.get(API).attrs["Size"] - client.images.get(BASE).attrs["Size"]) / 1e6
    own, bare = statistics.median(ours), statistics.median(theirs)
    print(
        f"API container to its first answer: median {own:.2f} s, worst of {turns} {max(ours):.2f} s; "
        f"a bare server in the base image {bare:.2f} s: ratio {own / bare:.1f}; layers above the base {size:.0f} MB"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    main(parser.parse_args().turns)
