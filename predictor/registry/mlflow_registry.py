"""The model registry in MLflow: every training is a run and a version, and `champion` says which version serves.

Nothing here is done on the event loop: each call is a few requests, each with its time-out and its retries.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from predictor.model_info import ModelInfo
from predictor.registry.address import DEFAULT_SCHEMA, RegistryAddress
from predictor.registry.client import AbsentError, open_client, raising_registry_errors
from predictor.registry.model_file import load_champion
from predictor.registry.tags import from_tags, to_tags
from shared.errors import ModelUnusableError
from shared.instant import utc_now
from shared.logging import get_logger

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from predictor.forecast.champion import Champion
    from predictor.forecast.training import Training

log = get_logger(__name__)

CHAMPION = "champion"
# MLflow's own name for a skops file in a model's folder.
MODEL_FILE = "model.skops"
_READY_SECONDS = 30


class MlflowRegistry:
    """The registry at one address; its methods raise RegistryError, and RegistryUnavailableError without an answer."""

    def __init__(self, tracking_uri: str, schema: str = DEFAULT_SCHEMA) -> None:
        self._address = RegistryAddress(tracking_uri, schema)

    def find_champion(self, symbol: str) -> ModelInfo | None:
        """Return which version serves, None where none does yet; raises ModelUnusableError for one that is not ours."""
        client = open_client(self._address)
        name = self._address.model_name(symbol)
        try:
            with raising_registry_errors(self._address):
                found = client.get_model_version_by_alias(name, CHAMPION)
        except AbsentError:
            return None
        info = from_tags(name, str(found.version), found.run_id or "", found.tags)
        if info.symbol != symbol:
            raise ModelUnusableError(f"Version {info.version} of {name} is of {info.symbol}, and not of {symbol}.")
        return info

    def fetch(self, info: ModelInfo) -> bytes:
        """Return a version's model as the file's bytes."""
        open_client(self._address)
        from mlflow.artifacts import download_artifacts  # noqa: PLC0415

        with raising_registry_errors(self._address), tempfile.TemporaryDirectory(prefix="minutebook-model-") as folder:
            path = download_artifacts(
                artifact_uri=f"models:/{info.name}/{info.version}/{MODEL_FILE}",
                dst_path=folder,
                tracking_uri=self._address.tracking_uri,
                registry_uri=self._address.registry_uri,
            )
            return Path(path).read_bytes()

    def load(self, info: ModelInfo) -> "Champion":
        """Return a version's champion; raises ModelUnusableError where it cannot be read."""
        return load_champion(self.fetch(info))

    def register(self, symbol: str, training: "Training") -> ModelInfo:
        """Log the training as a run, register its model, and make it the champion if the gate says so.

        The alias moves last, after the stored model was read back and gave the same numbers: whatever fails before
        that leaves the champion as it was.
        """
        client = open_client(self._address)
        # Brings pandas and matplotlib along, which only a training needs.
        from predictor.registry.run import log_training, start_run  # noqa: PLC0415

        name, trained_at = self._address.model_name(symbol), utc_now()
        tags = to_tags(symbol, training, trained_at)
        with raising_registry_errors(self._address):
            with start_run(self._address, symbol, trained_at, tags) as run_id:
                model_id = log_training(training)
                _ensure_model(client, self._address, name)
                created = client.create_model_version(
                    name, f"models:/{model_id}", run_id, tags, await_creation_for=_READY_SECONDS, model_id=model_id
                )
                info = from_tags(name, str(created.version), run_id, tags)
                self._read_back(info, training)
            if training.is_better:
                client.set_registered_model_alias(name, CHAMPION, str(info.version))
        log.info("model_registered", symbol=symbol, version=info.version, run_id=run_id, champion=training.is_better)
        return info

    def _read_back(self, info: ModelInfo, training: "Training") -> None:
        """Raise ModelUnusableError unless the stored model gives what the trained one does, to the last bit."""
        stored, trained = self.load(info).predict(training.example), training.challenger.predict(training.example)
        if not np.array_equal(stored, trained, equal_nan=True):
            raise ModelUnusableError(
                f"Version {info.version} of {info.name} gives other numbers than the model that was stored: "
                "it does not become the champion."
            )


def _ensure_model(client: "MlflowClient", address: RegistryAddress, name: str) -> None:
    try:
        with raising_registry_errors(address):
            client.get_registered_model(name)
    except AbsentError:
        client.create_registered_model(name, description="Written by Minutebook; `champion` is what forecasts now.")
