"""Questions over HTTP to what was started, and to the exchange, asked until there is an answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

_TIMEOUT_SECONDS = 5.0
_POLL_SECONDS = 0.1
# A host that answers so stands in the way of the market, not at it: a proxy or a firewall, or one that refuses this
# place. Any other answer, a refusal for too many requests included, is the exchange's own.
_NOT_THE_EXCHANGE = (403, 407, 451)


@dataclass(frozen=True)
class Answer:
    """A status, and the body if it is JSON."""

    status: int
    body: Any


class Web:
    """Asks URLs; a failure of whatever kind is a reason in words, not an exception."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, url: str) -> Answer | str:
        """Return the answer, or why there is none."""
        try:
            async with self._session.get(url) as response:
                text = await response.text(errors="replace")
                return Answer(response.status, _json(text))
        except TimeoutError:
            return f"no answer within {_TIMEOUT_SECONDS:.0f} s"
        except (aiohttp.ClientError, OSError) as error:
            return str(error) or type(error).__name__

    async def until_it_answers(self, url: str) -> Answer:
        """Ask until something answers, whatever it says."""
        while isinstance(answer := await self.ask(url), str):  # noqa: ASYNC110 - another process sends no event
            await asyncio.sleep(_POLL_SECONDS)
        return answer

    async def until_it_succeeds(self, url: str) -> Answer:
        """Ask until the answer is the thing itself."""
        while (answer := await self.until_it_answers(url)).status != 200:  # noqa: ASYNC110 - another process sends no event
            await asyncio.sleep(_POLL_SECONDS)
        return answer

    async def why_unreachable(self, base_urls: Sequence[str]) -> str | None:
        """Ask all hosts of the exchange at once; None when one answers, else the first one's reason."""
        answers = await asyncio.gather(*(self.ask(f"{url}/api/v3/ping") for url in base_urls))
        reasons = [_why_not(answer) for answer in answers]
        return None if None in reasons else reasons[0]


@asynccontextmanager
async def web(*, proxied: bool) -> AsyncIterator[Web]:
    """Open what asks; through the environment's proxies, as the collector does, or past them, to this machine."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=proxied) as session:
        yield Web(session)


def _why_not(answer: Answer | str) -> str | None:
    if isinstance(answer, str):
        return answer
    if answer.status in _NOT_THE_EXCHANGE or answer.status >= 500:
        return f"it answers {answer.status}"
    return None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
