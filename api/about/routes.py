"""`/`: what this is, and where everything is."""

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.about.fields import ROOT
from api.caching import UNTIL_RELEASE, make_cached_response
from api.documentation import describe_cached_answer, describe_problems

router = APIRouter(tags=["About"])


@router.get(
    "/", summary="Where everything is", responses=describe_cached_answer(ROOT, "The links") | describe_problems(400)
)
async def read_root(request: Request) -> Response:
    """The name, the version, and a link to each route."""
    schema = request.app.openapi()
    links = {
        path.strip("/").replace("/", "_"): {"href": path, "title": operations["get"]["summary"]}
        for path, operations in schema["paths"].items()
        if path != "/"
    }
    links["docs"] = {"href": "/docs", "title": "The documentation, to try out"}
    links["openapi"] = {"href": "/openapi.json", "title": "The documentation, for programs"}
    body = {"name": "Minutebook", "version": request.app.version, "links": links}
    return make_cached_response(request, orjson.dumps(body), UNTIL_RELEASE)
