"""The last champion of each symbol on this machine's own disk, for when the registry is away."""

import hashlib
import json
import os
import re
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from predictor.model_info import ModelInfo
from shared.errors import ModelUnusableError
from shared.instant import to_text

_SUFFIX = ".skops"


class ModelCache:
    """A folder with a model's file and a note beside it, one of each a symbol."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def store(self, info: ModelInfo, content: bytes) -> None:
        """Keep this model rather than the one before; raises ModelUnusableError where the disk refuses.

        The note names the file and its digest and changes in one step, so that whatever is cut short leaves a whole
        model behind.
        """
        digest = hashlib.sha256(content).hexdigest()
        file = self._folder / f"{_file_name(info.symbol)}-{info.version}-{digest[:12]}{_SUFFIX}"
        note = {"file": file.name, "sha256": digest, "model": asdict(info)}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _replace(file, content)
            _replace(self._note(info.symbol), json.dumps(note, default=_as_text, indent=2).encode())
            for other in self._models_of(info.symbol):
                if other != file:
                    other.unlink(missing_ok=True)
        except OSError as error:
            raise ModelUnusableError(
                f"The model cannot be kept in {self._folder} ({error.strerror}): correct PREDICTOR_CACHE."
            ) from error

    def load(self, symbol: str) -> tuple[ModelInfo, bytes] | None:
        """Return what was kept, None where nothing was; raises ModelUnusableError where it is damaged."""
        note = self._note(symbol)
        try:
            kept = json.loads(note.read_bytes())
            content = (self._folder / kept["file"]).read_bytes()
            info = _read_info(kept["model"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelUnusableError(f"{note} cannot be read ({error}): remove it.") from error
        if hashlib.sha256(content).hexdigest() != kept["sha256"] or info.symbol != symbol:
            raise ModelUnusableError(f"The model that {note} names is damaged: remove both.")
        return info, content

    def _note(self, symbol: str) -> Path:
        return self._folder / f"{_file_name(symbol)}.json"

    def _models_of(self, symbol: str) -> list[Path]:
        # No more than the name's own parts: one symbol's name may begin with another's.
        name = re.compile(rf"{re.escape(_file_name(symbol))}-\d+-[0-9a-f]{{12}}{re.escape(_SUFFIX)}")
        return [path for path in self._folder.iterdir() if name.fullmatch(path.name)]


def _file_name(symbol: str) -> str:
    return quote(symbol, safe="")


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _as_text(value: Any) -> str:
    assert isinstance(value, datetime)  # noqa: S101 - the only type of ours that JSON lacks
    return to_text(value)


def _read_info(fields: dict[str, Any]) -> ModelInfo:
    instants = {name: datetime.fromisoformat(fields[name]) for name in ("trained_at", "trained_from", "trained_to")}
    return ModelInfo(**(fields | instants | {"horizons": tuple(fields["horizons"])}))
