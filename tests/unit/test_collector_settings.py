"""The collector's settings: what is refused, with one sentence that names the variable."""

from pathlib import Path

import pytest

from collector.settings import CollectorSettings
from collector.sources.binance.settings import REST_URLS, BinanceSettings
from collector.sources.registry import load_source_settings
from shared.errors import SettingsError
from shared.settings import LoggingSettings

URL = "postgresql://collector:secret@127.0.0.1:5432/minutebook"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment in which only the database is named."""
    for name in ("SYMBOLS", "SOURCE", "REST_URLS", "STREAM_URL", "ARCHIVE_URL", "BACKFILL_SINCE", "DATABASE_URL_FILE"):
        monkeypatch.delenv(f"COLLECTOR_{name}", raising=False)
    monkeypatch.setenv("COLLECTOR_DATABASE_URL", URL)
    monkeypatch.chdir(tmp_path)


def load() -> None:
    """Read what a collector reads when it starts."""
    load_source_settings(CollectorSettings.load().symbols)


def test_defaults_are_the_contract_s() -> None:
    """Binance's public hosts, one symbol, thirty days."""
    settings, binance = CollectorSettings.load(), BinanceSettings.load()
    assert settings.symbols == ("BTCUSDT",)
    assert settings.backfill_since == "30d"
    assert binance.source == "binance"
    assert binance.rest_urls == REST_URLS


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DATABASE_URL", "mysql://here/minutebook", "must be a URL such as postgresql://"),
        ("DATABASE_URL", "", "must be a URL such as postgresql://"),
        ("SYMBOLS", "", "name at least one symbol"),
        ("SYMBOLS", " , ,", "name at least one symbol"),
        ("SYMBOLS", "BTC/USDT", "'BTC/USDT' is not a symbol"),
        ("SYMBOLS", "BTCUSDT,ÄÖÜ", "is not a symbol"),
        ("SYMBOLS", "BTCUSDT,nowhere:BTC-USD", "'nowhere:BTC-USD' is of a source that is not known; known are binance"),
        ("SOURCE", "", "at least 1 character"),
        ("SOURCE", "x" * 41, "at most 40 characters"),
        ("REST_URLS", "", "name at least one URL"),
        ("REST_URLS", "api.binance.com", "must begin with http:// or https://"),
        ("REST_URLS", "https://api.binance.com,ftp://x", "'ftp://x' must begin with"),
        ("REST_URLS", "https://", "name a host"),
        ("STREAM_URL", "https://stream", "must begin with ws:// or wss://"),
        ("ARCHIVE_URL", "ws://archive", "must begin with http:// or https://"),
        ("BACKFILL_SINCE", "", "is not a time such as"),
        ("BACKFILL_SINCE", "1795350840", "looks like seconds"),
        ("BACKFILL_SINCE", "long ago", "is not a time such as"),
        ("BACKFILL_SINCE", "99999999d", "reaches back before"),
        ("BACKFILL_SINCE", "999999999w", "longer than any record"),
    ],
)
def test_bad_value_is_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    """And no value of a secret."""
    monkeypatch.setenv(f"COLLECTOR_{name}", value)
    with pytest.raises(SettingsError, match=sentence) as caught:
        load()
    text = str(caught.value)
    assert text.startswith(f"COLLECTOR_{name} cannot be used: ")
    assert text.endswith("(see .env.example).")
    assert "\n" not in text


def test_missing_database_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no default."""
    monkeypatch.delenv("COLLECTOR_DATABASE_URL")
    with pytest.raises(SettingsError, match=r"^COLLECTOR_DATABASE_URL is not set"):
        CollectorSettings.load()


def test_every_mistake_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one after the other."""
    monkeypatch.setenv("COLLECTOR_SYMBOLS", "")
    monkeypatch.setenv("COLLECTOR_BACKFILL_SINCE", "x")
    with pytest.raises(SettingsError, match=r"COLLECTOR_SYMBOLS .*; COLLECTOR_BACKFILL_SINCE "):
        load()


def test_lists_are_split_stripped_and_symbols_made_one_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """As people write them."""
    monkeypatch.setenv("COLLECTOR_SYMBOLS", " btcusdt, ETHUSDT,,BTCUSDT ")
    monkeypatch.setenv("COLLECTOR_REST_URLS", "http://127.0.0.1:1/ , http://127.0.0.1:2")
    assert CollectorSettings.load().symbols == ("BTCUSDT", "ETHUSDT")
    assert BinanceSettings.load().rest_urls == ("http://127.0.0.1:1", "http://127.0.0.1:2")


def test_empty_url_turns_a_way_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream's and the archives'."""
    monkeypatch.setenv("COLLECTOR_STREAM_URL", "")
    monkeypatch.setenv("COLLECTOR_ARCHIVE_URL", "")
    settings = BinanceSettings.load()
    assert settings.stream_url == settings.archive_url == ""


def test_secret_is_read_from_the_file_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment itself wins over it."""
    (tmp_path / "url").write_text(URL.replace("minutebook", "other") + "\n", encoding="utf-8")
    monkeypatch.setenv("COLLECTOR_DATABASE_URL_FILE", str(tmp_path / "url"))
    assert CollectorSettings.load().database_url.get_secret_value() == URL
    monkeypatch.delenv("COLLECTOR_DATABASE_URL")
    assert CollectorSettings.load().database_url.get_secret_value().endswith("/other")
    assert "secret" not in repr(CollectorSettings.load())


@pytest.mark.parametrize("kind", ["absent", "folder", "bytes"])
def test_secret_s_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    """With the variable that names it."""
    path = tmp_path / "url"
    if kind == "folder":
        path.mkdir()
    elif kind == "bytes":
        path.write_bytes(b"\xff\xfe")
    monkeypatch.delenv("COLLECTOR_DATABASE_URL")
    monkeypatch.setenv("COLLECTOR_DATABASE_URL_FILE", str(path))
    with pytest.raises(SettingsError, match=f"^COLLECTOR_DATABASE_URL_FILE names {path}, which "):
        CollectorSettings.load()


def test_env_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is nearer wins; what is for other services is left alone."""
    text = "COLLECTOR_SOURCE=elsewhere\nCOLLECTOR_SYMBOLS=ETHUSDT\nAPI_PORT=1\n"
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    monkeypatch.setenv("COLLECTOR_SYMBOLS", "BTCUSDT")
    assert BinanceSettings.load().source == "elsewhere"
    assert CollectorSettings.load().symbols == ("BTCUSDT",)


def test_env_file_that_is_no_text_is_a_sentence(tmp_path: Path) -> None:
    """Not a traceback."""
    (tmp_path / ".env").write_bytes(b"COLLECTOR_SOURCE=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env is not UTF-8 text"):
        CollectorSettings.load()


def test_settings_are_frozen() -> None:
    """They are read once."""
    with pytest.raises(ValueError, match="frozen"):
        BinanceSettings.load().source = "other"


@pytest.mark.parametrize(("name", "value"), [("LOG_LEVEL", "loud"), ("LOG_FORMAT", "xml")])
def test_bad_logging_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Every service reads these."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name} cannot be used"):
        LoggingSettings.load()


def test_empty_log_format_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `.env.example` leaves it."""
    monkeypatch.setenv("LOG_FORMAT", "")
    assert LoggingSettings.load().format is None
