"""Sends HTTP requests to the services that were started and to the exchange, and repeats them until one is answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

_TIMEOUT_SECONDS = 5.0
_POLL_SECONDS = 0.1
# These come from a proxy or a firewall, or from a host that refuses this region. Any other status, 429 and 418 too,
# shows that the exchange can be reached.
_UNREACHABLE_STATUSES = (403, 407, 451)


@dataclass(frozen=True)
class Answer:
    """A status, and the body if it is JSON."""

    status: int
    body: Any


class HttpClient:
    """Requests URLs; returns a failure as its reason in words instead of raising it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, url: str) -> Answer | str:
        """Request `url`; returns the answer, or the reason why there is none."""
        try:
            async with self._session.get(url) as response:
                text = await response.text(errors="replace")
                return Answer(response.status, _parse_json(text))
        except TimeoutError:
            return f"no answer within {_TIMEOUT_SECONDS:.0f} s"
        except (aiohttp.ClientError, OSError) as error:
            return str(error) or type(error).__name__

    async def wait_for_answer(self, url: str) -> Answer:
        """Repeat the request until there is an answer of any status."""
        while isinstance(answer := await self.get(url), str):  # noqa: ASYNC110 - another process sends no event
            await asyncio.sleep(_POLL_SECONDS)
        return answer

    async def wait_for_success(self, url: str) -> Answer:
        """Repeat the request until its status is 200."""
        while (answer := await self.wait_for_answer(url)).status != 200:  # noqa: ASYNC110 - another process sends no event
            await asyncio.sleep(_POLL_SECONDS)
        return answer

    async def find_why_unreachable(self, base_urls: Sequence[str]) -> str | None:
        """Ask all hosts of the exchange at once; returns None when one answers, else the reason of the first."""
        answers = await asyncio.gather(*(self.get(f"{url}/api/v3/ping") for url in base_urls))
        reasons = [_find_reason(answer) for answer in answers]
        return None if None in reasons else reasons[0]


@asynccontextmanager
async def open_http_client(*, use_proxies: bool) -> AsyncIterator[HttpClient]:
    """Open a client, with the environment's proxies, as the collector uses them, or without, for this machine."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=use_proxies) as session:
        yield HttpClient(session)


def _find_reason(answer: Answer | str) -> str | None:
    if isinstance(answer, str):
        return answer
    if answer.status in _UNREACHABLE_STATUSES or answer.status >= 500:
        return f"it answers {answer.status}"
    return None


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
