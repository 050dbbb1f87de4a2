"""What every test can ask for: a database of its own, or a whole server of its own."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import hypothesis
import pytest
import pytest_asyncio

from tests.distribution import OneByOne, rank
from tests.engine import Engine, find_engine
from tests.postgres import IMAGE, Database, OwnPostgres, Server, container_server, embedded_server, own_postgres

_SERVER_FIXTURE = "postgres_server"
_IN_CONTAINER = pytest.StashKey[bool]()
_REPORT = pytest.StashKey[list[str]]()
_WORKERS_REPORT = pytest.StashKey[list[str]]()

# The same examples in each run, so that one nobody has met does not fail an unrelated change; and on a machine that
# others use as well, how long one took says nothing.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the Postgres be chosen."""
    parser.addoption(
        "--postgres",
        choices=("auto", "container", "embedded"),
        default="auto",
        help="where the tests' Postgres runs; auto: in a container where an engine answers, else embedded",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start the commands that tests need as a person would: interruptible, and with their bytecode at hand.

    Where Python is told to keep none, it is kept in pytest's cache: compiling scikit-learn and MLflow takes seconds.
    """
    # A job in the background of a script ignores Ctrl-C, and so would the commands that tests send one to.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if sys.dont_write_bytecode and cache is not None:
        sys.dont_write_bytecode = False
        sys.pycache_prefix = str(cache.mkdir("bytecode"))
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Look for a container engine if a test could use one, and skip with the reason what cannot do without."""
    items.sort(key=rank)
    needing = [item for item in items if item.get_closest_marker("engine")]
    wants_server = any(_SERVER_FIXTURE in getattr(item, "fixturenames", ()) for item in items)
    chosen: str = config.getoption("--postgres")
    engine = find_engine() if needing or (wants_server and chosen != "embedded") else Engine(answers=False)
    report = []
    if wants_server:
        refusal = "chosen by --postgres" if chosen == "embedded" else engine.refusal(IMAGE)
        if refusal and chosen == "container":
            raise pytest.UsageError(f"--postgres=container: {refusal}")
        config.stash[_IN_CONTAINER] = refusal is None
        report.append(f"postgres: container of {IMAGE}" if refusal is None else f"postgres: embedded ({refusal})")
    if needing and not engine.answers:
        report.append(f"skipped: {len(needing)} tests that need a container engine ({engine.reason})")
        for item in needing:
            item.add_marker(pytest.mark.skip(reason=engine.reason))
    config.stash[_REPORT] = report


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say which Postgres is used, and what is skipped."""
    return config.stash.get(_REPORT, [])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneByOne:
    """Where tests run in several processes, give each its next test when it is free."""
    return OneByOne(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that shows the results, where tests run in several."""
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["report"] = session.config.stash.get(_REPORT, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what one of the processes says; they all say the same."""
    node.config.stash[_WORKERS_REPORT] = getattr(node, "workeroutput", {}).get("report", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say it at the end, where tests ran in several processes."""
    for line in config.stash.get(_WORKERS_REPORT, []):
        terminalreporter.write_line(line)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server(pytestconfig: pytest.Config) -> AsyncIterator[Server]:
    """Yield the session's Postgres 18, with a migrated template."""
    async with container_server() if pytestconfig.stash[_IN_CONTAINER] else embedded_server() as server:
        yield server


@pytest.fixture
async def database(postgres_server: Server) -> AsyncIterator[Database]:
    """Yield a fresh, migrated database."""
    async with postgres_server.cloned(postgres_server.template) as database:
        yield database


@pytest.fixture
async def empty_database(postgres_server: Server) -> AsyncIterator[Database]:
    """Yield a database without a schema; the roles are the server's, and so are their passwords: keep those."""
    async with postgres_server.cloned("template0") as database:
        yield database


@pytest.fixture
async def crashable_postgres() -> AsyncIterator[OwnPostgres]:
    """Yield a migrated, embedded server of the test's own, which it may kill and start again."""
    async with own_postgres() as postgres:
        yield postgres
