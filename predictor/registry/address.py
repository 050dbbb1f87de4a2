"""Where models are kept and under which names: at an MLflow server, or at the hosted one of Databricks."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_HOSTED = "databricks"
# The catalog and schema that a new Databricks workspace has.
DEFAULT_SCHEMA = "workspace.default"


@dataclass(frozen=True)
class RegistryAddress:
    """An MLflow server, by its URL or as `databricks` or `databricks://PROFILE`.

    `schema` is the Unity Catalog's `catalog.schema` for models that Databricks keeps; an own server has none.
    """

    tracking_uri: str
    schema: str = DEFAULT_SCHEMA

    @property
    def is_hosted(self) -> bool:
        """Whether it is Databricks."""
        return self.tracking_uri == _HOSTED or self.tracking_uri.startswith(f"{_HOSTED}://")

    @property
    def registry_uri(self) -> str:
        """What MLflow's client asks about registered models: Databricks keeps those in its Unity Catalog."""
        return self.tracking_uri.replace(_HOSTED, f"{_HOSTED}-uc", 1) if self.is_hosted else self.tracking_uri

    @property
    def shown(self) -> str:
        """The address as it may stand in a log: without a password."""
        return self.redacted(self.tracking_uri)

    def model_name(self, symbol: str) -> str:
        """The registered model's name; the Unity Catalog's have three levels, and no letter is large.

        What a registry takes in no name, such as the colon behind another source's name, is replaced.
        """
        if self.is_hosted:
            return f"{self.schema}.minutebook_{re.sub('[^a-z0-9]', '_', symbol.lower())}"
        return f"minutebook-{_plain(symbol)}"

    def experiment_name(self, symbol: str) -> str:
        """The name of the experiment that holds the runs; on Databricks it is a path in the workspace."""
        return f"/Shared/minutebook-{_plain(symbol)}" if self.is_hosted else f"minutebook-{_plain(symbol)}"

    def redacted(self, text: str) -> str:
        """The text without the login that the address may carry."""
        login, at, _ = urlsplit(self.tracking_uri).netloc.rpartition("@")
        return text.replace(login + at, "") if login else text


def _plain(symbol: str) -> str:
    return re.sub("[:/]", "-", symbol)
