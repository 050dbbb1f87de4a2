"""`.env.example` says what the settings classes say."""

import inspect
from pathlib import Path

from deploy.env_example import SECTIONS, render
from shared.settings import Settings, variable_name
from tests.processes import ROOT


def all_settings(base: type[Settings] = Settings) -> set[type[Settings]]:
    """Every settings class of the project that was imported."""
    found = set(base.__subclasses__())
    return found.union(*(all_settings(each) for each in found))


def test_the_file_is_what_the_settings_classes_render() -> None:
    """`make env-example` was run after the last change of a setting."""
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == render()


def test_no_settings_class_of_a_service_is_left_out() -> None:
    """A new class must be given its section."""
    # Another test may have loaded a source of its own.
    files = {each: Path(inspect.getfile(each)) for each in all_settings()}
    services = {
        each
        for each, file in files.items()
        if file.is_relative_to(ROOT) and file.relative_to(ROOT).parts[0] in {"api", "collector", "predictor", "shared"}
    }
    assert services == set(SECTIONS.values())


def test_every_setting_explains_itself() -> None:
    """Each has a description and stands in the file by its variable's name."""
    text = render()
    for settings in SECTIONS.values():
        for name, field in settings.model_fields.items():
            assert field.description
            assert f"{variable_name(settings, name)}=" in text
