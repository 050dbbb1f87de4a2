"""Says where to look once there is something to see, and why there is not yet."""

import asyncio
from typing import Any

from deploy.local.console import Console
from deploy.local.plan import Plan
from deploy.local.web import Web, web

_FIRST_TICK_SECONDS = 5.0
_RETRY_SECONDS = 15.0


class Announcer:
    """Watches a run from outside, as its user would, and tells the console what it sees."""

    def __init__(self, plan: Plan, client: Web, console: Console) -> None:
        self._url = base_url(plan.api_host, plan.api_port)
        self._exchange_urls = plan.exchange_urls
        self._mlflow_url = plan.mlflow_url
        self._client = client
        self._console = console
        self._why_unreachable: str | None = None

    async def run(self) -> None:
        """Say what there is to say as it happens, and then wait; returns only by being cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._exchange_urls:
                group.create_task(self._watch_exchange(), name="exchange")
            if self._mlflow_url:
                group.create_task(self._announce_mlflow(), name="mlflow")
            await self._announce_api()
            await asyncio.Event().wait()

    async def _announce_api(self) -> None:
        where = f"The API is at {self._url}, its documentation at {self._url}/docs"
        newest = f"{self._url}/price/latest"
        await self._client.until_it_answers(f"{self._url}/health/live")
        try:
            async with asyncio.timeout(_FIRST_TICK_SECONDS):
                tick = await self._client.until_it_succeeds(newest)
        except TimeoutError:
            reason = ", as the exchange cannot be reached" if self._why_unreachable else ""
            self._console.say(f"{where}. It has no tick yet{reason}. Ctrl-C stops everything.")
            tick = await self._client.until_it_succeeds(newest)
            self._console.say(f"The first tick: {_tick_text(tick.body)}.")
        else:
            self._console.say(f"{where}. The newest tick: {_tick_text(tick.body)}. Ctrl-C stops everything.")

    async def _announce_mlflow(self) -> None:
        await self._client.until_it_answers(f"{self._mlflow_url}/health")
        self._console.say(f"MLflow, with the models and how they did, is at {self._mlflow_url}.")

    async def _watch_exchange(self) -> None:
        """Say it once if no host of the exchange can be reached, and once when one can."""
        async with web(proxied=True) as client:
            self._why_unreachable = await client.why_unreachable(self._exchange_urls)
            if self._why_unreachable is None:
                return
            self._console.say(
                f"The exchange cannot be reached ({self._exchange_urls[0]}: {self._why_unreachable}): check the "
                "network, a proxy (HTTPS_PROXY) or COLLECTOR_REST_URLS. What was collected before is served, and the "
                "collector goes on trying. `make demo` needs no exchange."
            )
            while self._why_unreachable is not None:
                await asyncio.sleep(_RETRY_SECONDS)
                self._why_unreachable = await client.why_unreachable(self._exchange_urls)
            self._console.say("The exchange can be reached now.")


def base_url(host: str, port: int) -> str:
    """Return the URL to reach, from this machine, what listens on `host` and `port`."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://{f'[{reached}]' if ':' in reached else reached}:{port}"


def _tick_text(body: Any) -> str:
    return f"{body['symbol']} {body['price']} at {body['timestamp']} ({body['source']})"
