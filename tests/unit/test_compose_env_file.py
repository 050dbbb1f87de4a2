"""The `.env` that `make up` writes: secrets are made once, and what a user wrote stays."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.compose.env_file import (
    SECRETS,
    complete_lines,
    find_lost_passwords,
    find_mistake,
    read_settings,
    write_settings,
)

FACTS = {"MINUTEBOOK_VERSION": "1.2.3", "COMPOSE_FILE": "docker-compose.yml"}


def values(lines: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in lines if not line.startswith("#"))}


def test_first_file_has_a_secret_of_its_own_for_each_purpose() -> None:
    """Long ones, of letters that mean nothing in a URL."""
    made = values(complete_lines([], FACTS))
    secrets = [made[name] for name in SECRETS]
    assert len(set(secrets)) == len(SECRETS)
    assert all(len(secret) >= 32 and secret.replace("-", "").replace("_", "").isalnum() for secret in secrets)
    assert made.items() >= FACTS.items()


@given(
    st.lists(
        st.sampled_from(["# a comment", "", "COLLECTOR_SYMBOLS=BTCUSDT,ETHUSDT", "MINUTEBOOK_VERSION=0.1", "API_X = 1"])
    ),
    st.sets(st.sampled_from(SECRETS)),
)
def test_what_is_there_stays(lines: list[str], known: set[str]) -> None:
    """Another run changes nothing but the facts, whatever the user has written."""
    mine = [*lines, *(f"{name}=of-mine-{name}" for name in sorted(known))]
    once = complete_lines(mine, FACTS)
    assert [line for line in once if line in mine] == [line for line in mine if not line.startswith("MINUTEBOOK_VER")]
    assert complete_lines(once, FACTS) == once
    newer = values(complete_lines(once, FACTS | {"MINUTEBOOK_VERSION": "2.0.0"}))
    assert newer == values(once) | {"MINUTEBOOK_VERSION": "2.0.0"}


def test_a_secret_without_a_value_is_made() -> None:
    """As in a file that was copied from an example."""
    lines = complete_lines(["POSTGRES_PASSWORD=", "# POSTGRES_PASSWORD=old"], FACTS)
    assert sum(line.startswith("POSTGRES_PASSWORD=") for line in lines) == 1
    assert len(values(lines)["POSTGRES_PASSWORD"]) >= 32


@pytest.mark.parametrize("mode", [None, 0o644])
def test_file_is_for_its_owner_only(tmp_path: Path, mode: int | None) -> None:
    """Even where it was for everyone before; and nothing else is left in the folder."""
    path = tmp_path / ".env"
    if mode is not None:
        path.write_text("LOG_LEVEL=debug\n", encoding="utf-8")
        path.chmod(mode)
    write_settings(path, FACTS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ("LOG_LEVEL=debug" in path.read_text(encoding="utf-8")) == (mode is not None)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_PORT", "abc"),
        ("MLFLOW_PORT", "65536"),
        ("MINIO_CONSOLE_PORT", "-1"),
        ("API_REPLICAS", "0"),
        ("API_REPLICAS", "three"),
        ("API_DATABASE_PASSWORD", "p@ss"),
        ("POSTGRES_PASSWORD", "a b"),
        ("MINIO_ROOT_PASSWORD", "short"),
    ],
)
def test_wrong_setting_is_named(name: str, value: str) -> None:
    """Compose would say that something is wrong, and not what."""
    said = find_mistake({name: value})
    assert said is not None
    assert said.startswith(name)


def test_right_settings_are_taken(tmp_path: Path) -> None:
    """Those that are not there, too, and those that `make up` made; quotes are not part of a value."""
    path = tmp_path / ".env"
    path.write_text("# GATEWAY_PORT=x\nGATEWAY_PORT='8080'\nMLFLOW_PORT=0\n API_REPLICAS = \"3\"\n", encoding="utf-8")
    write_settings(path, FACTS)
    assert read_settings(path).items() >= {"GATEWAY_PORT": "8080", "MLFLOW_PORT": "0", "API_REPLICAS": "3"}.items()
    assert find_mistake(read_settings(path)) is None
    assert find_mistake({}) is None
    assert read_settings(tmp_path / "absent") == {}


@pytest.mark.parametrize(
    ("values", "volumes", "is_lost"),
    [
        ({}, ["demo-postgres", "demo-models"], True),
        ({"POSTGRES_PASSWORD": ""}, ["postgres"], True),
        ({"POSTGRES_PASSWORD": "kept"}, ["postgres"], False),
        ({}, ["models"], False),
        ({}, [], False),
    ],
)
def test_passwords_are_not_made_anew_for_a_database_that_has_others(
    values: dict[str, str], volumes: list[str], is_lost: bool
) -> None:
    """Everything would wait for a login that never succeeds."""
    said = find_lost_passwords(values, volumes)
    assert (said is not None) == is_lost
    assert said is None or "put that .env back" in said
