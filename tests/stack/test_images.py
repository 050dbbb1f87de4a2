"""The images: small, unprivileged, labelled, and with nothing in them that does not run."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import docker  # type: ignore[import-untyped] # it ships none
import pytest

from shared.version import read_version
from tests.images import TARGETS, build_images, copy_project, remove_images

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

BASE = "python:3.13-slim-trixie"
# What of the project's own code each one runs.
PACKAGES = {
    "api": {"api", "shared"},
    "collector": {"collector", "shared"},
    "migrate": {"shared"},
    "mlflow": {"deploy", "shared"},
    "predictor": {"predictor", "shared"},
    "simulator": {"shared", "simulator"},
}
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """Every target, built, as the engine describes it."""
    folder = tmp_path_factory.mktemp("minutebook")
    copy_project(folder)
    tag = f"test-{os.getpid()}-{secrets.token_hex(4)}"
    tags = {target: f"minutebook-test/{target}:{tag}" for target in TARGETS}
    try:
        build_images(folder, tags, "--build-arg", f"VERSION={read_version()}", "--build-arg", "REVISION=0123abc")
        yield {target: inspect(tag) for target, tag in tags.items()}
    finally:
        remove_images(f"minutebook-test/*:{tag}")


def inspect(image: str) -> dict[str, Any]:
    answer = subprocess.run(["docker", "image", "inspect", image], check=True, capture_output=True, timeout=60)
    described: dict[str, Any] = json.loads(answer.stdout)[0]
    return described


def printed(image: dict[str, Any], program: str) -> Any:
    """Return what a program in the image prints as JSON, without network and on a read-only root."""
    client = docker.from_env()
    try:
        said = client.containers.run(
            image["Id"], ["python", "-c", program], remove=True, read_only=True, network_mode="none", cap_drop=["ALL"]
        )
    finally:
        client.close()
    return json.loads(said)


@pytest.mark.parametrize(("target", "megabytes"), [("api", 110), ("collector", 60), ("migrate", 60)])
def test_layers_over_the_base_are_small(images: dict[str, dict[str, Any]], target: str, megabytes: int) -> None:
    """What a replica has to fetch that has the base already."""
    assert images[target]["Size"] - inspect(BASE)["Size"] < megabytes * MEGABYTE


@pytest.mark.parametrize("target", TARGETS)
def test_image_says_what_it_is_and_how_it_is(images: dict[str, dict[str, Any]], target: str) -> None:
    """Labels, a numeric user, a health check where there is something to ask, and no shell around the command."""
    config = images[target]["Config"]
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.version"] == read_version()
    assert config["Labels"]["org.opencontainers.image.revision"] == "0123abc"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert config["Cmd"][0] == "python"
    assert ("Healthcheck" in config) == (target != "migrate")


@pytest.mark.parametrize("target", TARGETS)
def test_image_holds_only_what_runs(images: dict[str, dict[str, Any]], target: str) -> None:
    """No pip, no compiler, no test, no other service's code; and bytecode, so that nothing is compiled at a start."""
    program = """
import importlib.util, json, pathlib, shutil
NAMES = {"test", "tests", "SelfTest"}
app = pathlib.Path("/app")
print(json.dumps({
    "tools": [name for name in ("pip", "pip3", "uv", "gcc", "cc", "make", "git", "pytest") if shutil.which(name)],
    "pip": importlib.util.find_spec("pip") is not None,
    "packages": sorted(each.name for each in app.iterdir() if each.is_dir()),
    "source": sum(1 for _ in app.rglob("*.py")),
    "bytecode": sum(1 for _ in app.rglob("*.pyc")),
    "tests": [str(each) for each in pathlib.Path("/venv").rglob("*") if each.name in NAMES and each.is_dir()],
}))
"""
    found = printed(images[target], program)
    assert found["tools"] == []
    assert not found["pip"]
    assert set(found["packages"]) == PACKAGES[target]
    assert found["source"] == found["bytecode"] > 0
    assert found["tests"] == []


@pytest.mark.parametrize("target", TARGETS)
def test_same_source_gives_the_same_bytes(images: dict[str, dict[str, Any]], target: str) -> None:
    """Bytecode, of packages too, does not carry the time at which it was made."""
    program = """
import json, pathlib
files = [file for top in ("/app", "/venv") for file in pathlib.Path(top).rglob("*.pyc")]
flags = {int.from_bytes(file.read_bytes()[4:8], "little") for file in files}
print(json.dumps(sorted(flags)))
"""
    # PEP 552: 1 is a hash of the source, which is not checked.
    assert printed(images[target], program) == [1]
