"""Runs a plan: the database, then the services in their layers, until it is told to stop; then all of it backwards."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from deploy.local.announcer import Announcer
from deploy.local.console import Console
from deploy.local.hold import hold
from deploy.local.plan import Plan
from deploy.local.ports import check_free
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.service import Pauses, Service, ending, keeping
from deploy.local.web import Web, web
from shared.database.migrate import ROLES, migrate
from shared.errors import MinutebookError

_ANSWER_SECONDS = 20.0


async def supervise(plan: Plan, console: Console, stop: asyncio.Event) -> None:
    """Run the plan until `stop` is set, and end everything in order, each within its bound.

    Raises MinutebookError when it cannot start. Once it runs, what ends by itself is started again.
    """
    work = asyncio.create_task(_run(plan, console), name="run")
    told = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait((work, told), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            console.say("Stopping.")
    finally:
        told.cancel()
        work.cancel()
        await asyncio.wait((work,))
    if not work.cancelled():
        work.result()
    console.say(f"Stopped; what was collected is kept in {plan.folder} for the next run.")


async def _run(plan: Plan, console: Console) -> None:
    postgres = EmbeddedPostgres(plan.folder / "postgres")
    async with AsyncExitStack() as stack:
        # In this order: of two runs in one folder, the second is told so, and not that the port is taken.
        stack.callback(hold(plan.folder).close)
        check_free(plan.api_host, plan.api_port, "API_PORT")
        await postgres.start()
        stack.push_async_callback(postgres.stop)
        passwords = {role: secrets.token_urlsafe(24) for role in ROLES}
        await migrate(postgres.url(), passwords)
        await stack.enter_async_context(_keeping_up(postgres, console))
        client = await stack.enter_async_context(web(proxied=False))
        for layer in plan.layers:
            services = [_with_database(service, postgres, passwords) for service in layer]
            await stack.enter_async_context(keeping(services, console))
            await _until_started(services, client, console)
        await Announcer(plan, client, console).run()


def _with_database(service: Service, postgres: EmbeddedPostgres, passwords: dict[str, str]) -> Service:
    if not service.role:
        return service
    url = postgres.url(service.role, passwords[service.role])
    return replace(service, environment={**service.environment, f"{service.role.upper()}_DATABASE_URL": url})


async def _until_started(services: list[Service], client: Web, console: Console) -> None:
    for service in services:
        if not service.answers_at:
            continue
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await client.until_it_answers(service.answers_at)
        except TimeoutError:
            console.say(f"{service.name} does not answer yet; what needs it starts all the same.")


@asynccontextmanager
async def _keeping_up(postgres: EmbeddedPostgres, console: Console) -> AsyncIterator[None]:
    """Start the database again whenever it ends while the block runs."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_keep_up(postgres, console), name="postgres")
        try:
            yield
        finally:
            task.cancel()


async def _keep_up(postgres: EmbeddedPostgres, console: Console) -> None:
    pauses = Pauses()
    now = asyncio.get_running_loop().time
    while True:
        started = now()
        outcome = ending(await postgres.wait())
        trouble = f"postgres ended ({outcome})"
        while True:
            pause = pauses.after(now() - started)
            console.say(f"{trouble}; starting it again in {pause:.0f} s.")
            await asyncio.sleep(pause)
            try:
                await postgres.start()
                break
            except MinutebookError as error:
                trouble = str(error).rstrip(".")
        console.say("postgres answers again.")
