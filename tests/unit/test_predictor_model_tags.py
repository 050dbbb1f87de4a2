"""What the registry keeps about a model, there and back."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.forecast.training import Training, train
from predictor.registry.tags import from_tags, to_tags
from shared.errors import ModelUnusableError
from tests.models import walk

INSTANTS = st.datetimes(datetime(2010, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds it


@pytest.fixture(scope="module")
def training() -> Training:
    """A small one."""
    return train(walk(7), (1, 60), None)


@given(trained_at=INSTANTS, trained_to=INSTANTS, feature_version=st.integers(1, 10**6))
def test_tags_give_back_what_went_in(
    training: Training, trained_at: datetime, trained_to: datetime, feature_version: int
) -> None:
    """To the microsecond."""
    training = replace(training, trained_to=trained_to, feature_version=feature_version)
    info = from_tags("minutebook-BTCUSDT", "7", "run", to_tags("BTCUSDT", training, trained_at))
    assert (info.symbol, info.name, info.version, info.run_id) == ("BTCUSDT", "minutebook-BTCUSDT", 7, "run")
    assert (info.trained_at, info.trained_from, info.trained_to) == (trained_at, training.trained_from, trained_to)
    assert (info.data_digest, info.feature_version) == (training.data_digest, feature_version)
    assert info.horizons == (1, 60)


def test_others_tags_are_no_hindrance(training: Training) -> None:
    """MLflow and people add tags of their own."""
    tags = to_tags("BTCUSDT", training, datetime(2026, 1, 5, tzinfo=UTC))
    assert from_tags("name", "1", "run", tags | {"owner": "me", "symbol": "ETHUSDT"}).symbol == "BTCUSDT"


def test_tags_names_are_ones_that_databricks_takes(training: Training) -> None:
    """Its catalog refuses dots, commas, hyphens, equals signs, slashes and colons."""
    assert all(
        re.fullmatch(r"minutebook_[a-z_]+", name)
        for name in to_tags("BTCUSDT", training, datetime(2026, 1, 5, tzinfo=UTC))
    )


@pytest.mark.parametrize(
    "change",
    [
        {"minutebook_symbol": None},
        {"minutebook_trained_at": "yesterday"},
        {"minutebook_trained_to": "2026-01-05T00:00:00"},
        {"minutebook_feature_version": "new"},
        {"minutebook_horizons": ""},
        {"minutebook_horizons": "1,five"},
    ],
)
def test_foreign_version_is_told_as_such(training: Training, change: dict[str, str | None]) -> None:
    """An alias that a person gave to anything ends with a sentence that names the alias."""
    tags = to_tags("BTCUSDT", training, datetime(2026, 1, 5, tzinfo=UTC)) | change
    with pytest.raises(ModelUnusableError, match=r"Version 3 of minutebook-BTCUSDT lacks .* `champion`"):
        from_tags("minutebook-BTCUSDT", "3", "run", {name: value for name, value in tags.items() if value is not None})
