"""An answer in JSON as the exchange writes it: without spaces."""

import json
from typing import Any

from aiohttp import web


def json_answer(value: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(text=json.dumps(value, separators=(",", ":")), status=status, content_type="application/json")
