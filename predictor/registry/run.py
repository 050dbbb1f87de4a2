"""A training as an MLflow run: what went in, how well it did, pictures of that, and the model itself."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version

from predictor.forecast.inputs import COLUMNS
from predictor.forecast.plots import draw_errors, draw_reliability
from predictor.forecast.training import Training
from predictor.registry.address import RegistryAddress
from predictor.registry.model_file import TRUSTED_TYPES

# What the model's file needs to be read and asked, beside Minutebook itself.
_PACKAGES = ("numpy", "scikit-learn", "scipy", "skops")
_MODEL = "model"


@contextmanager
def start_run(address: RegistryAddress, symbol: str, trained_at: datetime, tags: Mapping[str, str]) -> Iterator[str]:
    """Begin a run in the symbol's experiment and yield its id; it ends as FAILED when the block raises.

    It is the thread's current run, at the address that the client was opened with.
    """
    import mlflow  # noqa: PLC0415

    experiment = mlflow.set_experiment(address.experiment_name(symbol))
    run_name = f"{symbol} {trained_at:%Y-%m-%d %H:%M}"
    with mlflow.start_run(experiment_id=experiment.experiment_id, run_name=run_name, tags=dict(tags)) as run:
        yield run.info.run_id


def log_training(training: Training) -> str:
    """Log everything about the training to the current run; returns the id that MLflow gave the model."""
    import mlflow  # noqa: PLC0415

    evaluation = training.evaluation
    mlflow.log_params(dict(training.parameters))
    mlflow.log_metrics(evaluation.metrics())
    mlflow.log_figure(draw_reliability(evaluation), "plots/reliability.png")
    mlflow.log_figure(draw_errors(evaluation), "plots/errors.png")
    return _log_model(training)


def _log_model(training: Training) -> str:
    import mlflow.sklearn  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415
    from mlflow.models import infer_signature  # noqa: PLC0415

    # With the columns' names, which the signature takes over and serving checks.
    example = pd.DataFrame(training.example, columns=list(COLUMNS))
    # Importing parts of MLflow, and MLflow using pandas, warns of what only MLflow can change.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logged = mlflow.sklearn.log_model(
            training.challenger,
            name=_MODEL,
            serialization_format="skops",
            skops_trusted_types=list(TRUSTED_TYPES),
            signature=infer_signature(example, training.challenger.predict(example)),
            input_example=example,
            pip_requirements=[f"{package}=={version(package)}" for package in _PACKAGES],
        )
    return str(logged.model_id)
