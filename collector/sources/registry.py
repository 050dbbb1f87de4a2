"""Finds sources by the names of their folders and opens those that symbols need."""

import asyncio
import importlib
import pkgutil
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol, cast

import collector.sources
from collector.sources.source import Source
from shared.settings import Settings
from shared.symbols import source_of

Sources = Mapping[str, Source]
"""The sources that are open, by name."""


class SourcePackage(Protocol):
    """What the folder of a source exposes."""

    SourceSettings: type[Settings]

    def open_source(self, settings: Settings, stop: asyncio.Event) -> AbstractAsyncContextManager[Source]:
        """Open the source and what it needs; nothing is sent yet."""


def list_sources() -> list[str]:
    """Return the names of all sources."""
    return sorted(found.name for found in pkgutil.iter_modules(collector.sources.__path__) if found.ispkg)


def load_source(name: str) -> SourcePackage:
    """Import the folder of a source."""
    return cast(SourcePackage, importlib.import_module(f"{collector.sources.__name__}.{name}"))


def check_sources(symbols: tuple[str, ...]) -> tuple[str, ...]:
    """Return the symbols; raises ValueError, with a sentence, for one whose source there is not."""
    known = list_sources()
    for symbol in symbols:
        if source_of(symbol) not in known:
            raise ValueError(f"'{symbol}' is of a source that is not known; known are {', '.join(known)}")
    return symbols


def group_by_source(symbols: Sequence[str]) -> dict[str, list[str]]:
    """Return the symbols of each source, in their order."""
    groups: dict[str, list[str]] = {}
    for symbol in symbols:
        groups.setdefault(source_of(symbol), []).append(symbol)
    return groups


def load_source_settings(symbols: Iterable[str]) -> dict[str, Settings]:
    """Read the settings of the sources that symbols need; raises SettingsError that names a variable to change."""
    return {name: load_source(name).SourceSettings.load() for name in dict.fromkeys(map(source_of, symbols))}


@asynccontextmanager
async def open_sources(settings: Mapping[str, Settings], stop: asyncio.Event) -> AsyncIterator[Sources]:
    """Open the sources that `settings` are given for, by name; nothing is sent yet."""
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(load_source(name).open_source(each, stop))
            for name, each in settings.items()
        }
