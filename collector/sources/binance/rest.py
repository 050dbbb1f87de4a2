"""Asking Binance's REST hosts: fail-over between them, and obedience to the limits that they share."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import aiohttp

from collector.sources.clock import ExchangeClock
from collector.sources.hosts import Host, Hosts
from collector.sources.request_gate import RequestGate
from collector.sources.retry_after import choose_pause
from shared.errors import ExchangeRefusedError, ExchangeUnreachableError
from shared.instant import to_milliseconds, utc_now
from shared.logging import get_logger

log = get_logger(__name__)

TOO_MANY_REQUESTS = -1003
# A page of 1,000 rows is 150 kB; a host that cannot give a few rows in three seconds is as good as down.
PAGE_TIMEOUT_SECONDS = 10.0
LIVE_TIMEOUT_SECONDS = 3.0
CONNECT_TIMEOUT_SECONDS = 2.0
LARGEST_ANSWER_BYTES = 8 * 1024 * 1024
_BANNED_UNTIL = re.compile(r"banned until (\d{1,15})\b", re.ASCII)


@dataclass(frozen=True)
class Request:
    """What to ask: a path, what it weighs, how long it may take, and what tells a good answer from nonsense."""

    path: str
    params: dict[str, str | int]
    weight: int
    timeout_seconds: float
    is_good: Callable[[object], bool]
    urgent: bool = True
    may_be_missing: bool = False  # whether an exchange is well that does not know the path


@dataclass(frozen=True)
class Answer:
    """What a host said: its status, the parsed body (None where it is not JSON) and the headers that matter."""

    status: int
    body: object
    weight_used: int | None
    retry_after: str | None


class Rest:
    """Asks whichever host answers; every request passes the gate."""

    def __init__(self, session: aiohttp.ClientSession, hosts: Hosts, gate: RequestGate, clock: ExchangeClock) -> None:
        self._session = session
        self.hosts = hosts
        self._gate = gate
        self._clock = clock

    async def ask(self, request: Request, only: Host | None = None) -> object:
        """Ask hosts in turn until one answers usably, and return the body; None for a path that may be missing and is.

        Raises ExchangeUnreachableError after as many failures as there are hosts, ExchangeRefusedError when one
        answers that the request itself is wrong.
        """
        failed: list[tuple[str, str]] = []
        while len(failed) < (1 if only else len(self.hosts)):
            await self._gate.admit(request.weight, urgent=request.urgent)
            host = only or self.hosts.choose()
            try:
                answer = await self._send(host, request)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                fault = str(error) or type(error).__name__
            else:
                if self._is_limit(answer):
                    continue
                fault = _find_fault(request, answer)
                if not fault:
                    self._gate.note_answer(answer.weight_used)
                    self.hosts.note_success(host)
                    if failed:
                        log.warning("host_failed_over", to=host.url, failed=dict(failed))
                    return _read_content(request, answer)
            failed.append((host.url, fault))
            self.hosts.note_failure(host)
            if not only:
                # A probe is of a host that is not in use, and its result does not count for the one that is.
                self._gate.note_failure()
        raise ExchangeUnreachableError(
            f"No host of the exchange answers (the last: {failed[-1][1]}); check the network and COLLECTOR_REST_URLS."
        )

    def _is_limit(self, answer: Answer) -> bool:
        """Obey "too many requests", which holds for our address and so for every host."""
        body = answer.body if isinstance(answer.body, dict) else {}
        if answer.status not in {429, 418} and body.get("code") != TOO_MANY_REQUESTS:
            return False
        message = str(body.get("msg", ""))
        now = self._clock.now() if self._clock.is_known else utc_now()
        seconds = choose_pause(answer.status, answer.retry_after, *read_ban(message, now))
        self._gate.pause(seconds, f"HTTP {answer.status} {message}".strip())
        return True

    async def _send(self, host: Host, request: Request) -> Answer:
        # While hosts fail, one that hangs must not eat the time in which the others could be tried.
        seconds = LIVE_TIMEOUT_SECONDS if self._gate.is_failing else request.timeout_seconds
        bound = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_TIMEOUT_SECONDS)
        async with self._session.get(host.url + request.path, params=request.params, timeout=bound) as response:
            content = await response.content.read(LARGEST_ANSWER_BYTES)
            while not response.content.at_eof():
                if len(content) >= LARGEST_ANSWER_BYTES:
                    raise ValueError("an answer larger than any page")
                content += await response.content.read(LARGEST_ANSWER_BYTES)
            weight = response.headers.get("X-MBX-USED-WEIGHT-1M", "")
            return Answer(
                response.status,
                _parse_json(content),
                int(weight) if weight.isdigit() else None,
                response.headers.get("Retry-After"),
            )


def read_ban(message: str, now: datetime) -> list[float]:
    """Return the seconds from `now` on, by the exchange's clock, until an error's message says "banned until <ms>"."""
    banned_until = _BANNED_UNTIL.search(message)
    return [(int(banned_until[1]) - to_milliseconds(now)) / 1000.0] if banned_until else []


def _find_fault(request: Request, answer: Answer) -> str:
    """Say what is wrong with a host that answers so; empty where it did its part."""
    if answer.status == 200:
        return "" if request.is_good(answer.body) else "an answer that is not what was asked for"
    if _is_refusal(answer) or (answer.status == 404 and request.may_be_missing):
        return ""
    return f"HTTP {answer.status}"


def _read_content(request: Request, answer: Answer) -> object:
    if isinstance(answer.body, dict) and _is_refusal(answer):
        code = answer.body["code"]
        symbols = request.params.get("symbol") or request.params.get("symbols") or "no symbol"
        raise ExchangeRefusedError(
            f"The exchange refuses {request.path} for {symbols}: {answer.body.get('msg')} (code {code})", code=code
        )
    return answer.body if answer.status == 200 else None


def _is_refusal(answer: Answer) -> bool:
    return answer.status == 400 and isinstance(answer.body, dict) and "code" in answer.body


def _parse_json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
