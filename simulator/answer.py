"""Makes JSON answers as the exchange writes them: without spaces."""

import json
from typing import Any

from aiohttp import web


def make_json_answer(value: Any, status: int = 200) -> web.Response:
    """Return an answer with `value` as JSON."""
    return web.Response(text=json.dumps(value, separators=(",", ":")), status=status, content_type="application/json")
