"""OpenAPI says everything, and the API does what it says."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from shared.feature_table import FEATURES
from shared.version import read_version
from tests.integration.api_forecasts import writing
from tests.integration.api_server import make_ticks, serving, store
from tests.postgres import Database

ROUTES = {
    "/",
    "/price/latest",
    "/price/history",
    "/price/stats",
    "/price/gaps",
    "/price/predict",
    "/price/predict/history",
    "/price/predict/score",
    "/health",
    "/health/live",
    "/health/ready",
}


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The API over a small record with a gap and some forecasts, the newest of which do not expire so soon."""
    ticks = make_ticks(1_500, missing=[7, 8, 1_000])
    await store(database.owner_url, ticks)
    async with writing(database) as scribe:
        await scribe.forecast_all(ticks[-10:])
        await scribe.score()
        await scribe.owner.execute("UPDATE forecasts SET expires_at = expires_at + interval '1 hour'")
    async with serving(database.api_url) as client:
        yield client


def _members(schema: Any) -> Iterator[tuple[str, Any]]:
    for name, model in schema["components"]["schemas"].items():
        for field, described in model["properties"].items():
            yield f"{name}.{field}", described


async def test_everything_is_described(client: httpx.AsyncClient) -> None:
    """Routes, parameters, members of answers, and every error as a problem."""
    schema = (await client.get("/openapi.json")).json()
    assert set(schema["paths"]) == ROUTES
    assert schema["info"]["version"] == read_version()
    assert schema["servers"][0]["url"] == "/"
    for path, operations in schema["paths"].items():
        operation = operations["get"]
        assert operation["summary"], path
        assert operation["description"], path
        assert operation["tags"][0] in {tag["name"] for tag in schema["tags"]}
        assert all(parameter["description"] for parameter in operation.get("parameters", ()))
        assert "$ref" in operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert "422" not in operation["responses"]
        for status, response in operation["responses"].items():
            if status.startswith(("4", "5")) and path != "/health":
                assert list(response["content"]) == ["application/problem+json"]
    assert [name for name, described in _members(schema) if not described.get("description")] == []
    assert set(FEATURES) < set(schema["components"]["schemas"]["Row"]["properties"])
    referred = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(schema)))
    assert referred <= set(schema["components"]["schemas"])


async def test_every_feature_has_its_formula_in_the_docs(client: httpx.AsyncClient) -> None:
    """With unit and source, in the page's own text."""
    text = (await client.get("/openapi.json")).json()["paths"]["/price/history"]["get"]["description"]
    for feature in FEATURES.values():
        assert f"`{feature.name}`" in text
        assert feature.source in text


async def test_docs_work_offline(client: httpx.AsyncClient) -> None:
    """The page loads nothing from elsewhere."""
    page = (await client.get("/docs")).text
    assert "http://" not in page
    assert "https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"):
        assert f"docs/{name}" in page
        assert (await client.get(f"/docs/{name}")).status_code == 200


async def test_the_root_links_to_what_there_is(client: httpx.AsyncClient) -> None:
    """Every link leads somewhere, and every route is linked."""
    links = (await client.get("/")).json()["links"]
    assert {link["href"] for link in links.values()} == (ROUTES - {"/"}) | {"/docs", "/openapi.json"}
    for link in links.values():
        assert (await client.get(link["href"])).status_code == 200


async def test_the_api_does_what_its_documentation_says(client: httpx.AsyncClient) -> None:
    """Generated requests, good and bad: no 5xx, and only documented statuses, types and shapes."""
    await asyncio.to_thread(_fuzz, str(client.base_url))


def _fuzz(base_url: str) -> None:
    schema = schemathesis.openapi.from_url(f"{base_url}/openapi.json")
    checked = 0
    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr] # the schema is one that it can read
        modes = list(GenerationMode) if len(operation.query) else [GenerationMode.POSITIVE]
        for mode in modes:

            @settings(
                max_examples=30,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case: Case[Any]) -> None:
                nonlocal checked
                # No schema can say which texts are a cursor or a time, so that 400 is an answer to "valid" ones too.
                case.call_and_validate(base_url=base_url, excluded_checks=[positive_data_acceptance])
                checked += 1

            check()
    assert checked > 100
