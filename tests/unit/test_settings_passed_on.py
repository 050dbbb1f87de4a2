"""Every setting reaches its service, in Compose and on Kubernetes: a new one is passed on, or said to be fixed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.env_example import SECTIONS
from shared.database.settings import MigrateSettings
from shared.settings import HealthSettings, LoggingSettings, Settings, is_secret, variable_name
from tests.processes import ROOT

BASE = ROOT / "deploy" / "kubernetes" / "base"
SERVICES = ("migrate", "collector", "predictor", "api")
FIXED_IN_COMPOSE = {
    "API_HOST": "the image says: every interface of the container",
    "API_PORT": "where the gateway and the image's health check ask",
    "HEALTH_FILE": "the image says, and its health check reads it",
    "PREDICTOR_CACHE": "the image says, and the volume is mounted there",
}
FIXED_ON_KUBERNETES = {
    ("migrate", "LOG_FORMAT"): "JSON where there is no terminal; the Job ends within seconds",
    ("migrate", "LOG_LEVEL"): "the Job ends within seconds",
}


def settings_of(service: str) -> list[type[Settings]]:
    """The classes that a service reads."""
    if service == "migrate":
        return [MigrateSettings, LoggingSettings]
    own = [each for each in SECTIONS.values() if each.__module__.partition(".")[0] == service]
    return [*own, LoggingSettings, *([] if service == "api" else [HealthSettings])]


def variables_of(service: str) -> set[str]:
    """The variables that a service reads, each by its own name."""
    return {variable_name(settings, name) for settings in settings_of(service) for name in settings.model_fields}


def secret_files_of(service: str) -> set[str]:
    """The variables that name the file of a secret."""
    return {
        f"{variable_name(settings, name)}_FILE"
        for settings in settings_of(service)
        for name, field in settings.model_fields.items()
        if is_secret(field)
    }


def is_ours(variable: str) -> bool:
    """Whether a variable begins as one of our settings does."""
    known = {variable_name(settings, name) for settings in SECTIONS.values() for name in settings.model_fields}
    return variable.partition("_")[0] in {name.partition("_")[0] for name in known}


def unknown(variables: set[str], service: str) -> set[str]:
    """Those with a prefix of ours that the service does not read."""
    return {name for name in variables if is_ours(name)} - variables_of(service) - secret_files_of(service)


def kubernetes_container(service: str) -> dict[str, Any]:
    """The service's container in the base."""
    for document in yaml.safe_load_all((BASE / f"{service}.yaml").read_text(encoding="utf-8")):
        if document["kind"] in {"Deployment", "StatefulSet", "Job"} and document["metadata"]["name"] == service:
            [container] = document["spec"]["template"]["spec"]["containers"]
            found: dict[str, Any] = container
            return found
    raise LookupError(service)


@pytest.mark.parametrize("service", SERVICES)
def test_compose_passes_every_setting_on(service: str) -> None:
    """Of `.env` or the environment, or the stack's own; and no other of our names, which would be a mistyped one."""
    stack = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    passed = set(stack["services"][service]["environment"])
    assert variables_of(service) - passed - FIXED_IN_COMPOSE.keys() == set()
    assert passed & FIXED_IN_COMPOSE.keys() == set()
    assert unknown(passed, service) == set()


@pytest.mark.parametrize("service", SERVICES)
def test_kubernetes_passes_every_setting_on(service: str) -> None:
    """Each is set for the pod, or can stand in the ConfigMap that all of it is read from."""
    container = kubernetes_container(service)
    own = {each["name"] for each in container.get("env", [])}
    if container.get("envFrom") != [{"configMapRef": {"name": service}}]:
        missing = {name for name in variables_of(service) if not {name, f"{name}_FILE"} & own}
        assert missing == {name for (each, name) in FIXED_ON_KUBERNETES if each == service}
    assert unknown(own, service) == set()


@pytest.mark.parametrize("file", sorted(BASE.parent.rglob("kustomization.yaml")), ids=lambda file: file.parent.name)
def test_config_maps_hold_settings_of_their_service(file: Path) -> None:
    """A mistyped name would be passed on and read by nobody."""
    for generator in yaml.safe_load(file.read_text(encoding="utf-8")).get("configMapGenerator", []):
        names = {literal.partition("=")[0] for literal in generator.get("literals", [])}
        if generator["name"] in SERVICES:
            assert unknown(names, generator["name"]) == set()
        else:
            assert not any(map(is_ours, names))
