"""What holds for every route, of one server that nothing changes: problems, HEAD, ETags, CORS, odd requests."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio

from tests.integration.api_server import START, make_ticks, serving, store
from tests.postgres import Server

# One server for all of them; they only read.
pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 300
ROUTES = (
    "/",
    "/price/latest",
    "/price/history",
    "/price/stats",
    "/price/gaps",
    "/price/predict/history",
    "/price/predict/score",
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(postgres_server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """The API over a record."""
    async with postgres_server.cloned(postgres_server.template) as database:
        await store(database.owner_url, make_ticks(COUNT), now=START + timedelta(minutes=COUNT, seconds=12.5))
        async with serving(database.api_url) as client:
            yield client


BAD = [
    ("/price/history?intervall=1m", "intervall", "did you mean 'interval'?"),
    ("/price/latest?limit=5", "limit", "known here: symbol"),
    ("/?x=1", "x", "this route takes none"),
    ("/health?x=1", "x", "this route takes none"),
    ("/docs?x=1", "x", "this route takes none"),
    ("/docs/swagger-ui.css?v=1", "v", "this route takes none"),
    ("/openapi.json?x=1", "x", "this route takes none"),
    ("/price/history?limit=1&limit=2", "limit", "more than once"),
    ("/price/history?limit=0", "limit", "greater than or equal to 1"),
    ("/price/history?limit=10001", "limit", "less than or equal to 10000"),
    ("/price/history?limit=ten", "limit", "valid integer"),
    ("/price/history?limit=99999999999999999999999999", "limit", "less than or equal to 10000"),
    ("/price/history?limit=" + "9" * 5000, "limit", ""),
    ("/price/history?interval=2m", "interval", "'1m', '5m'"),
    ("/price/history?order=up", "order", "'asc' or 'desc'"),
    ("/price/history?layout=x", "layout", "'rows' or 'columns'"),
    ("/price/history?format=parquet", "format", "'json' or 'csv'"),
    ("/price/history?features=sma_16", "features", "did you mean sma_"),
    ("/price/history?features=" + "x" * 1_999, "features", ""),
    ("/price/history?start=1709251200", "start", "give milliseconds since 1970 (1709251200000)"),
    ("/price/history?start=yesterday", "start", "is not a time such as"),
    ("/price/history?start=2024-02-30", "start", "is not a time"),
    ("/price/history?start=", "start", "at least 1 character"),
    ("/price/history?start=%00", "start", "is not a time"),
    ("/price/history?start=%ff", "start", "is not a time"),
    ("/price/history?end=99999999999999999999", "end", "is not a time"),
    ("/price/history?end=9999-12-31", "end", "outside the years"),
    ("/price/history?start=0001-01-01", "start", "outside the years"),
    ("/price/history?start=1h&end=2h", "start", "is not before the end"),
    ("/price/history?start=2024-03-01&end=2024-03-01", "start", "is not before the end"),
    ("/price/history?start=999999999w", "start", "longer than any record"),
    ("/price/history?start=99999d", "start", "before 1973"),
    ("/price/gaps?start=99999d", "start", "before 1973"),
    ("/price/stats?start=99999d", "start", "before 1973"),
    ("/price/stats?window=99999d", "window", "before 1973"),
    ("/price/stats?window=99999999d", "window", "before the first year"),
    ("/price/stats?window=999999999w", "window", "longer than any record"),
    ("/price/stats?window=2024-03-01", "window", "is not a duration"),
    ("/price/history?cursor=x", "cursor", "not a cursor of this route"),
    ("/price/history?cursor=%C3%A4", "cursor", "not a cursor of this route"),
    ("/price/history?cursor=W10", "cursor", "not a cursor of this route"),
    ("/price/history?cursor=bnVsbA", "cursor", "not a cursor of this route"),
    ("/price/history?symbol=BTC/USDT", "symbol", "is not a symbol such as"),
    ("/price/history?symbol=%00", "symbol", "is not a symbol such as"),
    ("/price/history?symbol=" + "A" * 21, "symbol", "is not a symbol such as"),
    ("/price/stats?window=24h&start=2d", "window", "it stands for start and end"),
    ("/price/stats?window=0h", "window", "is not a duration"),
    ("/price/stats?window=1y", "window", "is not a duration"),
    ("/price/stats?start=2h&end=3h", "start", "is not before the end"),
    ("/price/gaps?limit=-1", "limit", "greater than or equal to 1"),
    ("/price/gaps?cursor=x", "cursor", "not a cursor of this route"),
]


@pytest.mark.parametrize(("path", "parameter", "hint"), BAD)
async def test_a_bad_parameter_is_a_problem_that_names_it(
    client: httpx.AsyncClient, path: str, parameter: str, hint: str
) -> None:
    """400, RFC 9457, with what would be understood."""
    response = await client.get(path)
    assert response.status_code == 400, response.text
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert (problem["status"], problem["instance"]) == (400, path.partition("?")[0])
    assert problem["type"].startswith("urn:minutebook:problem:")
    assert problem["errors"][0]["parameter"] == parameter
    assert hint in problem["errors"][0]["detail"]
    assert problem["detail"]
    assert problem["title"]


async def test_all_faults_are_named_together(client: httpx.AsyncClient) -> None:
    """Nobody should have to ask three times."""
    problem = (await client.get("/price/history?limit=0&order=x&layout=y")).json()
    assert [error["parameter"] for error in problem["errors"]] == ["limit", "order", "layout"]
    problem = (await client.get("/price/history?start=a&end=b")).json()
    assert [error["parameter"] for error in problem["errors"]] == ["start", "end"]


@pytest.mark.parametrize("path", ["/price/history?cursor=" + "A" * 9_000, "/price/latest?" + "a&" * 5_000])
async def test_an_endless_query_is_refused(client: httpx.AsyncClient, path: str) -> None:
    """Before it is looked at."""
    response = await client.get(path)
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("path", ["/nothing", "/price", "/price/latest/", "/%00", "/%ff", "/price/predictions"])
async def test_an_unknown_path_is_a_problem(client: httpx.AsyncClient, path: str) -> None:
    """404, in the same form."""
    response = await client.get(path)
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/price/history", "/health/live"])
async def test_other_methods_are_refused(client: httpx.AsyncClient, method: str, path: str) -> None:
    """405 says which are answered."""
    response = await client.request(method, path)
    assert (response.status_code, response.headers["content-type"]) == (405, "application/problem+json")
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path", [*ROUTES, "/health/live", "/docs", "/openapi.json", "/price/history?format=csv&limit=3"]
)
async def test_head_has_the_headers_and_no_body(client: httpx.AsyncClient, path: str) -> None:
    """Those of GET, the length included."""
    got, head = await client.get(path), await client.head(path)
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/price/latest":
        assert head.headers["content-length"] == got.headers["content-length"]
        assert head.headers.get("etag") == got.headers.get("etag")


async def test_head_of_a_stream_ends(client: httpx.AsyncClient) -> None:
    """It has no length, and no body either."""
    response = await client.head("/price/history?format=csv")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize(
    "path", [*ROUTES, "/price/history?format=csv", "/docs", "/docs/swagger-ui.css", "/openapi.json"]
)
async def test_an_answer_that_the_reader_has_is_not_sent_again(client: httpx.AsyncClient, path: str) -> None:
    """Also with a list, a weak tag, or a star; another tag gets the answer."""
    first = await client.get(path)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    for header in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        again = await client.get(path, headers={"If-None-Match": header})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert "cache-control" in again.headers
    assert (await client.head(path, headers={"If-None-Match": tag})).status_code == 304
    assert (await client.get(path, headers={"If-None-Match": '"x"'})).status_code == 200


async def test_a_browser_elsewhere_may_read(client: httpx.AsyncClient) -> None:
    """CORS is open for GET, the preflight included, and lets scripts see the headers they need."""
    origin = {"Origin": "https://example.org"}
    response = await client.get("/price/latest", headers=origin)
    assert response.headers["access-control-allow-origin"] == "*"
    assert {"ETag", "Next-Cursor"} <= set(response.headers["access-control-expose-headers"].split(", "))
    preflight = await client.options(
        "/price/history",
        headers=origin | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "If-None-Match"},
    )
    assert preflight.status_code == 200
    assert "GET" in preflight.headers["access-control-allow-methods"]
    problem = await client.get("/price/latest?x=1", headers=origin)
    assert problem.headers["access-control-allow-origin"] == "*"


async def test_every_answer_has_an_id_and_is_not_sniffed(client: httpx.AsyncClient) -> None:
    """A reader's own id is kept if it looks like one."""
    for path in (*ROUTES, "/nothing", "/health"):
        response = await client.get(path)
        assert response.headers["x-request-id"]
        assert response.headers["x-content-type-options"] == "nosniff"
    response = await client.get("/", headers={"X-Request-ID": "trace-1234"})
    assert response.headers["x-request-id"] == "trace-1234"
    response = await client.get("/", headers={"X-Request-ID": "a b\tc"})
    assert response.headers["x-request-id"] != "a b\tc"


async def test_many_ask_at_once(client: httpx.AsyncClient) -> None:
    """Requests share the pool's few connections and all get the same answers."""
    paths = [
        "/price/history?start=2024-03-01&limit=200",
        "/price/stats?start=2024-03-01&end=2024-03-02",
        "/health/live",
    ]
    alone = [(await client.get(path)).text for path in paths]
    together = await asyncio.gather(*(client.get(path) for path in paths * 30))
    assert [response.text for response in together] == alone * 30
