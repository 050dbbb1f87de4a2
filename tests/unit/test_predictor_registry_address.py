"""Where models are kept, and under which names."""

import pytest

from predictor.registry.address import RegistryAddress

OWN = "http://mlflow:5000"


@pytest.mark.parametrize(
    ("uri", "registry", "model", "experiment"),
    [
        (OWN, OWN, "minutebook-BTCUSDT", "minutebook-BTCUSDT"),
        ("databricks", "databricks-uc", "prices.btc.minutebook_btcusdt", "/Shared/minutebook-BTCUSDT"),
        ("databricks://work", "databricks-uc://work", "prices.btc.minutebook_btcusdt", "/Shared/minutebook-BTCUSDT"),
    ],
)
def test_hosted_registry_is_the_unity_catalog(uri: str, registry: str, model: str, experiment: str) -> None:
    """Databricks keeps models in its catalog under three levels, and experiments at a path; a server knows neither."""
    address = RegistryAddress(uri, schema="prices.btc")
    assert (address.registry_uri, address.model_name("BTCUSDT")) == (registry, model)
    assert address.experiment_name("BTCUSDT") == experiment


@pytest.mark.parametrize(
    ("uri", "model", "experiment"),
    [
        (OWN, "minutebook-coinbase-BTC-USD", "minutebook-coinbase-BTC-USD"),
        ("databricks", "workspace.default.minutebook_coinbase_btc_usd", "/Shared/minutebook-coinbase-BTC-USD"),
    ],
)
@pytest.mark.parametrize("symbol", ["coinbase:BTC-USD", "coinbase:BTC/USD"])
def test_symbol_of_another_source_has_a_name_that_a_registry_takes(
    uri: str, model: str, experiment: str, symbol: str
) -> None:
    """Without a colon or a slash, which stand for something else there."""
    assert RegistryAddress(uri).model_name(symbol) == model
    assert RegistryAddress(uri).experiment_name(symbol) == experiment


@pytest.mark.parametrize("uri", ["http://databricks.example:5000", "https://databricks", OWN])
def test_server_is_no_databricks_for_its_name(uri: str) -> None:
    """Only MLflow's own word for it is."""
    assert not RegistryAddress(uri).is_hosted


@pytest.mark.parametrize("uri", ["http://me:secret@mlflow:5000", "https://secret@mlflow/path"])
def test_login_is_not_shown(uri: str) -> None:
    """A password in the URL gets neither into the address that is shown nor into a message with the URL."""
    address = RegistryAddress(uri)
    assert "secret" not in address.shown
    assert address.shown.startswith(uri.partition("://")[0] + "://mlflow")
    assert address.redacted(f"GET {uri}/api failed") == f"GET {address.shown}/api failed"


def test_address_without_a_login_is_shown_whole() -> None:
    """There is nothing to leave out."""
    assert RegistryAddress(OWN).shown == OWN
