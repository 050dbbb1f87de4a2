"""`/`: what this is, and where everything is."""

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.about.fields import ROOT
from api.caching import UNTIL_RELEASE, cached_response
from api.documentation import cached_answer, problems

router = APIRouter(tags=["About"])


@router.get("/", summary="Where everything is", responses=cached_answer(ROOT, "The links") | problems(400))
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
    return cached_response(request, orjson.dumps(body), UNTIL_RELEASE)
