"""A model's file: the same numbers come out, and nothing else is let in."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import FunctionTransformer

from predictor.forecast.champion import FORMAT, Champion
from predictor.forecast.hourly_coverage import HourlyCoverage
from predictor.forecast.inputs import COLUMNS, Minutes
from predictor.forecast.model import DistributionModel
from predictor.registry.model_file import TRUSTED_TYPES, load_champion
from shared.errors import ModelUnusableError
from shared.instant import DAY_MS
from tests.models import walk


@pytest.fixture(scope="module")
def minutes() -> Minutes:
    """Enough of them for a model to have trees."""
    return Minutes.of(walk(57))


@pytest.fixture(scope="module")
def champion(minutes: Minutes) -> Champion:
    """One whose model has trees, with a track and a coverage by hour."""
    times = minutes.open_time
    fitted = DistributionModel((1, 5)).fit(minutes, int(times[0]), int(times[-1]))
    assert fitted.trees_
    rows = np.arange(len(times) - 500, len(times))
    hours = HourlyCoverage(np.linspace(-0.1, 0.1, 48).reshape(2, 24), int(times[-1]) // DAY_MS * DAY_MS)
    return Champion(fitted, fitted.forecasts(minutes, rows), hours)


@pytest.fixture(scope="module")
def content(champion: Champion) -> bytes:
    """Its file."""
    stored: bytes = skops.io.dumps(champion)
    return stored


def test_loaded_model_gives_the_same_numbers(champion: Champion, content: bytes, minutes: Minutes) -> None:
    """To the last bit, with its track and the shortfalls of each hour."""
    loaded = load_champion(content)
    inputs = minutes.inputs(np.arange(10_000, 12_000), COLUMNS)
    assert np.array_equal(loaded.predict(inputs), champion.predict(inputs), equal_nan=True)
    assert np.array_equal(loaded.track.variances, champion.track.variances, equal_nan=True)
    assert np.array_equal(loaded.track.drifts, champion.track.drifts)
    assert np.array_equal(loaded.model.point_.coefficients, champion.model.point_.coefficients)
    assert np.array_equal(loaded.track.open_time, champion.track.open_time)
    assert loaded.hours is not None
    assert champion.hours is not None
    assert np.array_equal(loaded.hours.shortfalls, champion.hours.shortfalls)
    assert loaded.hours.counted_to_ms == champion.hours.counted_to_ms
    assert (loaded.horizons, loaded.model.columns_) == (champion.horizons, champion.model.columns_)


def test_types_named_are_just_those_needed(content: bytes) -> None:
    """A type more would be a way in, a type less a model that cannot be read."""
    assert set(skops.io.get_untrusted_types(data=content)) == set(TRUSTED_TYPES)


def test_nothing_in_the_file_is_a_pickle(content: bytes) -> None:
    """A scheme in JSON, and arrays that NumPy reads without its own pickles."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        assert {name.rpartition(".")[2] for name in names} == {"json", "npy"}
        for name in names:
            if name.endswith(".npy"):
                np.load(io.BytesIO(archive.read(name)), allow_pickle=False)


@pytest.mark.parametrize("damage", ["empty", "cut short", "not a file of skops", "a byte changed"])
def test_damaged_file_is_refused(content: bytes, damage: str) -> None:
    """With one sentence that says what to do."""
    middle = len(content) // 2
    damaged = {
        "empty": b"",
        "cut short": content[:middle],
        "not a file of skops": b"<html>" + content[6:1000],
        "a byte changed": content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :],
    }[damage]
    with pytest.raises(ModelUnusableError, match=r"cannot be read .*: train another one\.$"):
        load_champion(damaged)


def test_file_of_another_type_is_refused() -> None:
    """Even of one that is harmless."""
    with pytest.raises(ModelUnusableError, match="is a LinearRegression and makes no forecasts"):
        load_champion(skops.io.dumps(LinearRegression()))


@pytest.mark.parametrize("stored", [1, FORMAT + 1])
def test_champion_of_another_format_is_refused(champion: Champion, stored: int) -> None:
    """It would lack what is read of it."""
    with pytest.raises(ModelUnusableError, match="another version of Minutebook: train another one"):
        load_champion(skops.io.dumps(replace(champion, format=stored)))


def test_file_of_a_version_with_other_classes_is_refused(champion: Champion, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those are that were written before this version; it says so, rather than which class it lacks."""
    monkeypatch.setattr(DistributionModel, "__module__", "predictor.model")
    with pytest.raises(ModelUnusableError, match="another version of Minutebook: train another one"):
        load_champion(skops.io.dumps(champion.model))


def test_file_that_would_call_code_is_refused() -> None:
    """What is not named is not made, let alone called."""
    with pytest.raises(ModelUnusableError, match="UntrustedTypesFoundException"):
        load_champion(skops.io.dumps(FunctionTransformer(print)))
