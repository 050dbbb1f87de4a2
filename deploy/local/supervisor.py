"""Runs a plan: starts the database and then the services, layer by layer, and stops them in the reverse order."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from deploy.local.console import Console
from deploy.local.folder_lock import lock_folder
from deploy.local.http_client import HttpClient, open_http_client
from deploy.local.plan import Plan
from deploy.local.ports import check_port_is_free
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.service import RestartPauses, Service, describe_exit, keep_services_running
from deploy.local.status_reporter import StatusReporter
from shared.database.migrate import ROLES, migrate
from shared.errors import MinutebookError

_ANSWER_SECONDS = 20.0


async def supervise(plan: Plan, console: Console, stop: asyncio.Event) -> None:
    """Run the plan until `stop` is set, then stop everything in order, each within its bound.

    What ends by itself is started again. Raises MinutebookError when the run cannot start.
    """
    work = asyncio.create_task(_run(plan, console), name="run")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait((work, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            console.say("Stopping.")
    finally:
        stopping.cancel()
        work.cancel()
        await asyncio.wait((work,))
    if not work.cancelled():
        work.result()
    console.say(f"Stopped; what was collected is kept in {plan.folder} for the next run.")


async def _run(plan: Plan, console: Console) -> None:
    postgres = EmbeddedPostgres(plan.folder / "postgres")
    async with AsyncExitStack() as stack:
        # Lock the folder first: a second run in one folder must report that, and not that the port is taken.
        stack.callback(lock_folder(plan.folder).close)
        check_port_is_free(plan.api_host, plan.api_port, "API_PORT")
        await postgres.start()
        stack.push_async_callback(postgres.stop)
        passwords = {role: secrets.token_urlsafe(24) for role in ROLES}
        await migrate(postgres.url(), passwords)
        await stack.enter_async_context(_keep_postgres_running(postgres, console))
        client = await stack.enter_async_context(open_http_client(use_proxies=False))
        for layer in plan.layers:
            services = [_add_database_url(service, postgres, passwords) for service in layer]
            await stack.enter_async_context(keep_services_running(services, console))
            await _wait_until_started(services, client, console)
        await StatusReporter(plan, client, console).run()


def _add_database_url(service: Service, postgres: EmbeddedPostgres, passwords: dict[str, str]) -> Service:
    if not service.role:
        return service
    url = postgres.url(service.role, passwords[service.role])
    return replace(service, environment={**service.environment, f"{service.role.upper()}_DATABASE_URL": url})


async def _wait_until_started(services: list[Service], client: HttpClient, console: Console) -> None:
    for service in services:
        if not service.answers_at:
            continue
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await client.wait_for_answer(service.answers_at)
        except TimeoutError:
            console.say(f"{service.name} does not answer yet; the next services start without it.")


@asynccontextmanager
async def _keep_postgres_running(postgres: EmbeddedPostgres, console: Console) -> AsyncIterator[None]:
    """Restart the database whenever it ends while the block runs."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_restart_postgres(postgres, console), name="postgres")
        try:
            yield
        finally:
            task.cancel()


async def _restart_postgres(postgres: EmbeddedPostgres, console: Console) -> None:
    pauses = RestartPauses()
    now = asyncio.get_running_loop().time
    while True:
        started = now()
        trouble = f"postgres ended ({describe_exit(await postgres.wait())})"
        while True:
            pause = pauses.next_after(now() - started)
            console.say(f"{trouble}; starting it again in {pause:.0f} s.")
            await asyncio.sleep(pause)
            try:
                await postgres.start()
                break
            except MinutebookError as error:
                trouble = str(error).rstrip(".")
        console.say("postgres answers again.")
