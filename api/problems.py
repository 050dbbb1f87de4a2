"""Problems: every error of the API as RFC 9457 `application/problem+json`, the framework's own ones included."""

import difflib
from collections.abc import Iterable, Mapping
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.notes import get_notes
from shared.errors import (
    DatabaseError,
    DatabaseOutdatedError,
    DatabaseUnavailableError,
    DataRefusedError,
    MinutebookError,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2

# What a reader may branch on: the last part of `type`, and its title.
TITLES = {
    "invalid-parameter": "A parameter cannot be used",
    "unknown-parameter": "There is no such parameter",
    "invalid-cursor": "The cursor cannot be used",
    "unknown-symbol": "The symbol is not collected",
    "no-data": "Nothing is stored yet",
    "unknown-horizon": "The horizon is not forecast",
    "no-forecast": "There is no fresh forecast",
    "not-found": "There is no such page",
    "method-not-allowed": "Only GET and HEAD are answered",
    "database-unavailable": "The database does not answer",
    "database-outdated": "The database does not fit this version",
    "internal-error": "An error of ours",
}
_TYPE_PREFIX = "urn:minutebook:problem:"


class ProblemError(MinutebookError):
    """An answer that is an error; its text is the `detail`, and `errors` has a sentence for each parameter at fault."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        errors: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.errors = errors or {}
        self.headers = headers or {}

    def body(self, instance: str) -> bytes:
        """Return the JSON of this problem, met at the path `instance`."""
        content: dict[str, object] = {
            "type": _TYPE_PREFIX + self.slug,
            "title": TITLES[self.slug],
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }
        if self.errors:
            content["errors"] = [{"parameter": name, "detail": text} for name, text in self.errors.items()]
        return orjson.dumps(content)

    def response(self, instance: str) -> Response:
        """Return the answer; it is never to be kept by a cache."""
        return Response(
            self.body(instance), self.status, {"cache-control": "no-store"} | dict(self.headers), MEDIA_TYPE
        )


def make_invalid_parameter_problem(name: str, detail: str) -> ProblemError:
    """The problem of one parameter with a value that cannot be used."""
    return make_invalid_parameters_problem({name: detail})


def make_invalid_parameters_problem(errors: Mapping[str, str]) -> ProblemError:
    """The problem of parameters with values that cannot be used; `errors` says why, by name."""
    detail = " ".join(f"{name}: {text}{'' if text.endswith(('.', '?')) else '.'}" for name, text in errors.items())
    return ProblemError(400, "invalid-parameter", detail, errors=errors)


def make_unknown_parameter_problem(name: str, known: Iterable[str]) -> ProblemError:
    """The problem of a parameter that the route does not have; names the nearest one it has, or all."""
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, 1)
    if near:
        hint = f"did you mean '{near[0]}'?"
    else:
        hint = f"known here: {', '.join(names)}" if names else "this route takes none"
    return ProblemError(
        400,
        "unknown-parameter",
        f"There is no parameter '{name[:100]}'; {hint}",
        errors={name[:100]: f"unknown; {hint}"},
    )


def make_unavailable_problem(error: DatabaseError) -> ProblemError:
    """The problem of a database that cannot serve."""
    if isinstance(error, DatabaseOutdatedError):
        return ProblemError(503, "database-outdated", str(error), headers={"retry-after": "30"})
    # What the driver said stays in the log: it can name hosts and roles.
    detail = "The database does not answer; try again in a few seconds."
    if not isinstance(error, DatabaseUnavailableError):
        detail = "The database refuses the connection; its operator finds the reason in the log."
    return ProblemError(503, "database-unavailable", detail, headers={"retry-after": str(RETRY_AFTER_SECONDS)})


def make_internal_error_problem(request_id: str) -> ProblemError:
    """The problem of a mistake of ours, which the log has under the request's id."""
    return ProblemError(500, "internal-error", f"It is logged under the request id {request_id}.")


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error that a route or the framework raises a problem."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(DatabaseError, _on_database_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - how Starlette types handlers
    return error.response(request.url.path)


async def _on_database_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DatabaseError)  # noqa: S101 - how Starlette types handlers
    if isinstance(error, DataRefusedError):
        # Nothing is written here: a query of ours computes what no type holds.
        raise error
    # The middleware logs every 5xx, with this as its reason.
    get_notes(request.scope).reason = str(error)
    return make_unavailable_problem(error).response(request.url.path)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - how Starlette types handlers
    errors = {}
    for item in error.errors():
        name = str(item["loc"][-1])
        errors[name] = item["msg"].removeprefix("Value error, ").removesuffix(".")
    return make_invalid_parameters_problem(errors).response(request.url.path)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - how Starlette types handlers
    path = request.url.path
    if error.status_code == HTTPStatus.NOT_FOUND:
        problem = ProblemError(404, "not-found", "There is nothing at this path; `/` links to what there is.")
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        problem = ProblemError(
            405, "method-not-allowed", "Every route answers GET and HEAD.", headers={"allow": "GET, HEAD"}
        )
    else:
        problem = ProblemError(error.status_code, "invalid-parameter", str(error.detail), headers=error.headers)
    return problem.response(path)
