"""Archive files for tests: a zip of one CSV, as the exchange makes them or spoilt."""

import io
import zipfile
from collections.abc import Iterable
from typing import Any

HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def zipped(name: str, rows: Iterable[Iterable[Any]], *, header: bool = False, ending: str = "\n") -> bytes:
    """A zip of `name`.csv with these rows."""
    lines = [HEADER] * header + [",".join(map(str, fields)) for fields in rows]
    return zipped_text(f"{name}.csv", "".join(line + ending for line in lines).encode())


def zipped_text(member: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of one member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(member, content)
    return buffer.getvalue()
