"""MLflow's client: imported when it is needed, bounded in all it does, and with errors of our own."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from predictor.registry.address import RegistryAddress
from shared.errors import RegistryError, RegistryUnavailableError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

# MLflow reads these whenever it asks. What the user has set is left, so that a slow line can be given more time.
_BOUNDS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    # Otherwise a server may say how long we wait.
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT": "30",
}
_QUIET = {
    # Otherwise the server sends its clients to the object store, which they need not be able to reach.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # Standard output and error are for our own log.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_PRINT_MODEL_URLS_ON_CREATION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    # The names of this process's environment variables do not belong into a stored model.
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
}
_DETAIL_LENGTH = 300
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
# An own server calls it an invalid parameter to ask for an alias that nothing has.
_NO_ALIAS = re.compile(r"alias \S+ not found")


class AbsentError(RegistryError):
    """MLflow answers that what was asked for is not there."""


def prepare_mlflow() -> None:
    """Set how MLflow behaves in this process; it reads some of that on import, so this comes before."""
    # urllib3 logs every retry, which is needless: a failure that lasts is reported by us.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    # MLflow warns that the image has no pip, which was left out on purpose.
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
    os.environ.update(_QUIET)
    for name, value in _BOUNDS.items():
        os.environ.setdefault(name, value)


def open_client(address: RegistryAddress) -> "MlflowClient":
    """Return a client; it connects with each call. Importing MLflow takes seconds the first time."""
    prepare_mlflow()
    import mlflow  # noqa: PLC0415
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    # Parts of MLflow ignore the client's address and use the process's, which is a file in this folder by default.
    mlflow.set_tracking_uri(address.tracking_uri)
    mlflow.set_registry_uri(address.registry_uri)
    return MlflowClient(address.tracking_uri, address.registry_uri)


@contextmanager
def raising_registry_errors(address: RegistryAddress) -> Iterator[None]:
    """Raise what MLflow raises in the block as RegistryUnavailableError, or RegistryError if the server refused.

    That something is not there is an AbsentError.
    """
    from mlflow.exceptions import MlflowException, RestException  # noqa: PLC0415

    try:
        yield
    except RestException as error:
        if error.error_code in _ABSENT or _NO_ALIAS.search(str(error)):
            raise AbsentError(f"MLflow at {address.shown} has no such thing: {_detail(address, error)}.") from error
        raise RegistryError(f"MLflow at {address.shown} refuses: {_detail(address, error)}.") from error
    # A disk that takes no file is an OSError, and so are the errors of Requests, which MLflow does not always wrap.
    except (MlflowException, OSError) as error:
        variables = " and Databricks' own variables" if address.is_hosted else ""
        raise RegistryUnavailableError(
            f"MLflow at {address.shown} does not serve ({_why_silent(error) or _detail(address, error)}): "
            f"start it, or correct PREDICTOR_MLFLOW_TRACKING_URI{variables}."
        ) from error


def _why_silent(error: BaseException | None) -> str | None:
    """What kept a request from being answered; None where it was answered, or never sent."""
    from requests.exceptions import ConnectionError as NoConnectionError  # noqa: PLC0415
    from requests.exceptions import Timeout  # noqa: PLC0415

    while error is not None:
        if isinstance(error, Timeout) or (isinstance(error, NoConnectionError) and "timed out" in str(error)):
            return "no answer in time"
        if isinstance(error, NoConnectionError):
            return "no connection"
        error = error.__cause__ or error.__context__
    return None


def _detail(address: RegistryAddress, error: Exception) -> str:
    text = address.redacted(str(error)).strip().partition("\n")[0].rstrip(".")
    return text if len(text) <= _DETAIL_LENGTH else f"{text[:_DETAIL_LENGTH]}…"
