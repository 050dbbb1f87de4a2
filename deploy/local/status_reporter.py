"""Reports on the console where the API and MLflow are, the first tick, and whether the exchange can be reached."""

import asyncio
from typing import Any

from deploy.local.console import Console
from deploy.local.http_client import HttpClient, open_http_client
from deploy.local.plan import Plan

_FIRST_TICK_SECONDS = 5.0
_RETRY_SECONDS = 15.0


class StatusReporter:
    """Asks the running services over HTTP, as a user would, and writes what it learns to the console."""

    def __init__(self, plan: Plan, client: HttpClient, console: Console) -> None:
        self._url = make_base_url(plan.api_host, plan.api_port)
        self._exchange_urls = plan.exchange_urls
        self._mlflow_url = plan.mlflow_url
        self._client = client
        self._console = console
        self._why_unreachable: str | None = None

    async def run(self) -> None:
        """Report each thing as it happens, then wait until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._exchange_urls:
                group.create_task(self._watch_exchange(), name="exchange")
            if self._mlflow_url:
                group.create_task(self._report_mlflow(), name="mlflow")
            await self._report_api()
            await asyncio.Event().wait()

    async def _report_api(self) -> None:
        where = f"The API is at {self._url}, its documentation at {self._url}/docs"
        newest = f"{self._url}/price/latest"
        await self._client.wait_for_answer(f"{self._url}/health/live")
        try:
            async with asyncio.timeout(_FIRST_TICK_SECONDS):
                tick = await self._client.wait_for_success(newest)
        except TimeoutError:
            reason = ", as the exchange cannot be reached" if self._why_unreachable else ""
            self._console.say(f"{where}. It has no tick yet{reason}. Ctrl-C stops everything.")
            tick = await self._client.wait_for_success(newest)
            self._console.say(f"The first tick: {_describe_tick(tick.body)}.")
        else:
            self._console.say(f"{where}. The newest tick: {_describe_tick(tick.body)}. Ctrl-C stops everything.")

    async def _report_mlflow(self) -> None:
        await self._client.wait_for_answer(f"{self._mlflow_url}/health")
        self._console.say(f"MLflow, with the models and how they did, is at {self._mlflow_url}.")

    async def _watch_exchange(self) -> None:
        """Report once when no host of the exchange can be reached, and once when one can again."""
        async with open_http_client(use_proxies=True) as client:
            self._why_unreachable = await client.find_why_unreachable(self._exchange_urls)
            if self._why_unreachable is None:
                return
            self._console.say(
                f"The exchange cannot be reached ({self._exchange_urls[0]}: {self._why_unreachable}): check the "
                "network, a proxy (HTTPS_PROXY) or COLLECTOR_REST_URLS. The API serves what was "
                "collected before, and the collector keeps trying. `make demo` needs no exchange."
            )
            while self._why_unreachable is not None:
                await asyncio.sleep(_RETRY_SECONDS)
                self._why_unreachable = await client.find_why_unreachable(self._exchange_urls)
            self._console.say("The exchange can be reached now.")


def make_base_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens on `host` and `port`."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://{f'[{reached}]' if ':' in reached else reached}:{port}"


def _describe_tick(body: Any) -> str:
    return f"{body['symbol']} {body['price']} at {body['timestamp']} ({body['source']})"
