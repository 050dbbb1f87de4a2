"""The last champion on disk: whole or not at all."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from predictor.model_info import ModelInfo
from predictor.registry.cache import ModelCache
from shared.errors import ModelUnusableError

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def info(version: int = 1, symbol: str = "BTCUSDT") -> ModelInfo:
    """A model's description."""
    return ModelInfo(symbol, version, "minutebook-btcusdt", f"run-{version}", NOON, NOON, NOON, "00ff", 1, (1, 60))


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    """Content and description, of each symbol its own."""
    cache = ModelCache(tmp_path / "models")
    assert cache.load("BTCUSDT") is None
    cache.store(info(), b"one")
    cache.store(info(symbol="BTCUSD"), b"other")
    assert cache.load("BTCUSDT") == (info(), b"one")
    assert cache.load("BTCUSD") == (info(symbol="BTCUSD"), b"other")


def test_new_champion_takes_the_old_one_s_place(tmp_path: Path) -> None:
    """The folder does not grow, and other symbols' files stay."""
    cache = ModelCache(tmp_path)
    cache.store(info(symbol="ETHUSDT"), b"other")
    for version in (1, 2, 3):
        cache.store(info(version), b"model %d" % version)
    assert cache.load("BTCUSDT") == (info(3), b"model 3")
    assert cache.load("ETHUSDT") == (info(symbol="ETHUSDT"), b"other")
    assert len(list(tmp_path.iterdir())) == 4


def test_symbols_of_another_source_are_kept_apart(tmp_path: Path) -> None:
    """One name may begin with another, and none is a path."""
    symbols = ("coinbase:BTC", "coinbase:BTC-1", "coinbase:BTC/USD", "BTC")
    cache = ModelCache(tmp_path)
    for version in (1, 2):
        for symbol in symbols:
            cache.store(info(version, symbol), symbol.encode())
    for symbol in symbols:
        assert cache.load(symbol) == (info(2, symbol), symbol.encode())
    assert len(list(tmp_path.iterdir())) == 2 * len(symbols)


@pytest.mark.parametrize("cut", ["content", "note"])
def test_store_that_is_cut_short_leaves_the_old_champion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    """As kill -9 between any two steps would."""
    cache = ModelCache(tmp_path)
    cache.store(info(), b"one")
    steps = iter([cut == "note"])

    def replace(self: Path, target: Path) -> Path:
        if next(steps, False):
            return self.rename(target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        cache.store(info(2), b"two")
    assert cache.load("BTCUSDT") == (info(), b"one")


@pytest.mark.parametrize("damage", ["flipped", "short", "note", "fields", "foreign"])
def test_damage_is_noticed(tmp_path: Path, damage: str) -> None:
    """A damaged model would forecast nonsense."""
    cache = ModelCache(tmp_path)
    cache.store(info(), b"a model")
    file, note = next(tmp_path.glob("*.skops")), tmp_path / "BTCUSDT.json"
    match damage:
        case "flipped":
            file.write_bytes(b"a mod\x00l")
        case "short":
            file.write_bytes(b"a")
        case "note":
            note.write_text("{", encoding="utf-8")
        case "fields":
            kept = json.loads(note.read_text(encoding="utf-8"))
            del kept["model"]["run_id"]
            note.write_text(json.dumps(kept), encoding="utf-8")
        case _:
            note.rename(tmp_path / "ETHUSDT.json")
            with pytest.raises(ModelUnusableError):
                cache.load("ETHUSDT")
            return
    with pytest.raises(ModelUnusableError, match="remove"):
        cache.load("BTCUSDT")


def test_model_whose_file_is_gone_counts_as_none(tmp_path: Path) -> None:
    """It can be fetched again."""
    cache = ModelCache(tmp_path)
    cache.store(info(), b"a model")
    next(tmp_path.glob("*.skops")).unlink()
    assert cache.load("BTCUSDT") is None


def test_disk_that_refuses_is_said_with_the_setting(tmp_path: Path) -> None:
    """Forecasts go on from memory."""
    (tmp_path / "file").touch()
    with pytest.raises(ModelUnusableError, match="PREDICTOR_CACHE"):
        ModelCache(tmp_path / "file").store(info(), b"a model")
