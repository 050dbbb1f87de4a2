"""Serves the archives: zip files of a day or a month, each with a checksum file, made when first requested."""

import asyncio
import hashlib
import io
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from aiohttp import web

from simulator.archive_name import ArchiveName, parse_archive_path
from simulator.fault import ARCHIVE_KINDS
from simulator.market import Market
from simulator.request_error import make_missing_archive_answer

BYTES_KEPT = 96_000_000  # about three years of months
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
)
# From this day on the exchange's files have times in microseconds.
MICROSECONDS_FROM = date(2025, 1, 1)


@dataclass(frozen=True)
class ArchiveOptions:
    """How archives are made: with or without a header row, or read from a `folder` laid out as the exchange's."""

    header: bool = False
    folder: Path | None = None


class Archives:
    """Handles the paths under `/data/`."""

    def __init__(self, market: Market, options: ArchiveOptions) -> None:
        self._market = market
        self._options = options
        self._zips: OrderedDict[object, bytes] = OrderedDict()
        # Archives are made one at a time, so that two clients that request the same month share the work.
        self._making = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [web.get("/data/{rest:.*}", self.serve)]

    async def serve(self, request: web.Request) -> web.Response:
        """Answer with an archive, its checksum or the object store's 404."""
        requested = parse_archive_path(request.path)
        content = None if requested is None else await self._find_content(requested[0], request.path)
        if requested is None or content is None:
            return make_missing_archive_answer(request.path)
        name, checksum = requested
        fault = self._market.faults.strike_request(
            ("bad_checksum",) if checksum else tuple(ARCHIVE_KINDS.keys() - {"bad_checksum"}),
            request.path,
            request.host,
        )
        if checksum:
            digest = hashlib.sha256(content if fault is None else b"another file").hexdigest()
            return web.Response(text=f"{digest}  {name.stem}.zip\n")
        body = content if fault is None else content[: len(content) // 2]
        return web.Response(body=body, content_type="application/zip")

    async def _find_content(self, name: ArchiveName, path: str) -> bytes | None:
        """Return the zip file's bytes; None when it is not published yet or has no minute."""
        if self._options.folder is not None:
            return await asyncio.to_thread(_read, self._options.folder / path.removesuffix(".CHECKSUM").lstrip("/"))
        if name.symbol not in self._market.symbols or self._market.now_ms() < name.published_ms:
            return None
        key = (name, tuple(self._market.faults.standing("hole")))
        async with self._making:
            if key not in self._zips:
                self._cache(key, await asyncio.to_thread(self._make, name))
            self._zips.move_to_end(key)
            return self._zips[key] or None

    def _cache(self, key: object, content: bytes) -> None:
        self._zips[key] = content
        while sum(map(len, self._zips.values())) > BYTES_KEPT and len(self._zips) > 1:
            self._zips.popitem(last=False)

    def _make(self, name: ArchiveName) -> bytes:
        microseconds = name.first >= MICROSECONDS_FROM
        pages = self._market.published(name.symbol, name.start_ms, name.end_ms)
        parts = [page.day.csv(page.indices, microseconds=microseconds) for page in pages]
        if not parts:
            return b""
        return zipped(f"{name.stem}.csv", "".join([HEADER if self._options.header else "", *parts]).encode())


def zipped(file_name: str, content: bytes) -> bytes:
    """Return a zip file of one member; the same content gives the same bytes, so that its checksum stays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        member = zipfile.ZipInfo(file_name)
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, content, compresslevel=1)
    return buffer.getvalue()


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
