"""What OpenAPI says beyond the routes' own words: every error as a problem, headers, and the features' formulas."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fastapi import FastAPI

from api.fields import Field, ListOf, Object, describe_components
from api.kinds import INTEGER, TEXT
from api.problems import MEDIA_TYPE, TITLES
from shared.features import describe_markdown

DESCRIPTION: Final = """
Times are RFC 3339, UTC, and a minute or bar is named by its open. Ranges are `[start, end)`. Prices and amounts are
JSON numbers with the exact decimal value. "Now" is the exchange's clock;
durations such as `24h` count back from the end of its newest closed minute.

Errors are RFC 9457 problems; an unknown parameter is one. Answers carry a strong `ETag`; send it back in
`If-None-Match`.
"""
FEATURES: Final = f"""
### Features

A window counts bars of the asked interval, the row's own included; a value is null while its window is not full or a
bar in it is missing. Recursive ones begin anew after a gap, and are warmed up over 600 bars before the page.

{describe_markdown()}"""
TAGS: Final = [
    {
        "name": "Prices",
        "description": "The record of minutes: the newest, its history, sums of it, and what is missing.",
    },
    {
        "name": "Forecasts",
        "description": "The price to come, as a distribution, and how good the forecasts before it were.",
    },
    {"name": "Health", "description": "How everything is, and probes."},
    {"name": "About", "description": "Where everything is."},
]
PROBLEM: Final = Object(
    "Problem",
    "An error, as RFC 9457 has it.",
    (
        Field("type", TEXT, "What a program may branch on.", "urn:minutebook:problem:invalid-parameter"),
        Field("title", TEXT, "The type, in words.", "A parameter cannot be used"),
        Field("status", INTEGER, "The HTTP status.", 400),
        Field("detail", TEXT, "This occurrence, in a sentence."),
        Field("instance", TEXT, "The path that was asked.", "/price/history"),
        Field(
            "errors",
            ListOf(
                Object(
                    "ParameterProblem",
                    "What is wrong with one parameter.",
                    (
                        Field("parameter", TEXT, "Its name.", "limit"),
                        Field("detail", TEXT, "What is wrong.", "Input should be less than or equal to 10000"),
                    ),
                )
            ),
            "The parameters at fault; absent where there is none.",
            is_required=False,
        ),
    ),
)
NO_SYMBOL: Final = 404
NO_DATABASE: Final = 503

_DESCRIPTIONS: Final = {
    400: "A parameter is unknown, given twice, or has a value that cannot be used; `errors` names it.",
    404: "The symbol is not collected, or nothing is stored yet.",
    503: "The database does not answer, or was not migrated; try again after `Retry-After` seconds.",
}
_EXAMPLES: Final[dict[int, tuple[str, str]]] = {
    400: ("unknown-parameter", "There is no parameter 'intervall'; did you mean 'interval'?"),
    404: ("unknown-symbol", "'DOGE' is not collected; collected are: BTCUSDT."),
    503: ("database-unavailable", "The database does not answer; try again in a few seconds."),
}
_HEADERS: Final = {
    "ETag": {
        "description": "For `If-None-Match`; `age_seconds` alone does not change it.",
        "schema": {"type": "string"},
    },
    "Cache-Control": {
        "description": "How long the answer holds: to the next minute, or long for a whole range that is past.",
        "schema": {"type": "string"},
    },
}


def describe_problems(*statuses: int, also: Mapping[int, str] | None = None) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of a route; `also` has what else than usual a status may mean."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        slug, detail = _EXAMPLES[status]
        described[status] = {
            "description": " ".join(filter(None, ((also or {}).get(status), _DESCRIPTIONS[status]))),
            "content": {
                MEDIA_TYPE: {
                    "schema": PROBLEM.describe(),
                    "example": {
                        "type": f"urn:minutebook:problem:{slug}",
                        "title": TITLES[slug],
                        "status": status,
                        "detail": detail,
                        "instance": "/price/history",
                    },
                }
            },
        }
    return described


def describe_answer(content: Object, description: str) -> dict[int | str, dict[str, Any]]:
    """Describe a route's answer in JSON."""
    return {200: {"description": description, "content": {"application/json": {"schema": content.describe()}}}}


def describe_cached_answer(content: Object, description: str, *media_types: str) -> dict[int | str, dict[str, Any]]:
    """Describe a route's answer in JSON and `media_types`, with its headers, and that a reader may have it already."""
    described = describe_answer(content, description)
    described[200]["headers"] = _HEADERS
    described[200]["content"] |= {name.partition(";")[0]: {"schema": {"type": "string"}} for name in media_types}
    return described | {
        304: {"description": "The reader has it: `If-None-Match` names the same ETag.", "headers": _HEADERS}
    }


def install_openapi(app: FastAPI, contents: Iterable[Object]) -> None:
    """Describe what the routes answer with, and drop the framework's own validation errors, which are problems here."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            for path in schema["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)
                    for parameter in operation.get("parameters", ()):
                        parameter["schema"] = _without_null(parameter["schema"])
            schema["components"] = {"schemas": describe_components((*contents, PROBLEM))}
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own documented way


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter can be absent, but there is no way to write null in a query string."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **kinds[0]} if kinds else schema
