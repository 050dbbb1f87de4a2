"""The archives: zip files of a day or a month with a checksum beside each, made when first asked for."""

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
from simulator.complaint import missing_archive
from simulator.fault import ARCHIVE_KINDS
from simulator.market import Market

BYTES_KEPT = 96_000_000  # about three years of months
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
)
# From this day on the exchange's files count microseconds.
MICROSECONDS_FROM = date(2025, 1, 1)


@dataclass(frozen=True)
class ArchiveOptions:
    """How archives are made: with a header row or without, or read from a folder laid out as the exchange's."""

    header: bool = False
    folder: Path | None = None


class Archives:
    """Handles the paths under `/data/`."""

    def __init__(self, market: Market, options: ArchiveOptions) -> None:
        self._market = market
        self._options = options
        self._zips: OrderedDict[object, bytes] = OrderedDict()
        # One at a time: two clients that ask for the same month share the work.
        self._making = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """What an application adds."""
        return [web.get("/data/{rest:.*}", self.serve)]

    async def serve(self, request: web.Request) -> web.Response:
        """An archive, its checksum, or the object store's 404."""
        asked = parse_archive_path(request.path)
        content = None if asked is None else await self._content(asked[0], request.path)
        if asked is None or content is None:
            return missing_archive(request.path)
        name, checksum = asked
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

    async def _content(self, name: ArchiveName, path: str) -> bytes | None:
        """The zip file's bytes; None when it is not published or has no minute."""
        if self._options.folder is not None:
            return await asyncio.to_thread(_read, self._options.folder / path.removesuffix(".CHECKSUM").lstrip("/"))
        if name.symbol not in self._market.symbols or self._market.now_ms() < name.published_ms:
            return None
        key = (name, tuple(self._market.faults.standing("hole")))
        async with self._making:
            if key not in self._zips:
                self._keep(key, await asyncio.to_thread(self._make, name))
            self._zips.move_to_end(key)
            return self._zips[key] or None

    def _keep(self, key: object, content: bytes) -> None:
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
    """A zip file of one member; the same bytes for the same content, so that its checksum stays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        member = zipfile.ZipInfo(file_name)
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, content, compresslevel=1)
    return buffer.getvalue()


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
