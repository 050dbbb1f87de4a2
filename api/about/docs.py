"""The documentation: `/docs` to try it out, with script and style from here, so offline too; `/openapi.json`."""

from functools import cache
from importlib import resources

import orjson
from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import Response

from api.caching import UNTIL_RELEASE, make_cached_response
from shared.instant import DAY

router = APIRouter(include_in_schema=False)

_MEDIA_TYPES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}


@router.get("/docs")
async def read_docs(request: Request) -> Response:
    """The page, with addresses relative to it, so that it works below any path."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=f"{request.app.title} {request.app.version}",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="docs/favicon-32x32.png",
        swagger_ui_parameters={"tryItOutEnabled": True, "displayRequestDuration": True, "defaultModelsExpandDepth": 0},
    )
    return make_cached_response(request, bytes(page.body), UNTIL_RELEASE, media_type="text/html; charset=utf-8")


@router.get("/openapi.json")
async def read_openapi(request: Request) -> Response:
    """The documentation for programs."""
    return make_cached_response(request, orjson.dumps(request.app.openapi()), UNTIL_RELEASE)


@router.get("/docs/swagger-ui-bundle.js")
@router.get("/docs/swagger-ui.css")
@router.get("/docs/favicon-32x32.png")
async def read_asset(request: Request) -> Response:
    """A file that the page loads."""
    name = request.scope["path"].rpartition("/")[2]
    return make_cached_response(request, _read_asset(name), DAY, media_type=_MEDIA_TYPES[name])


@cache
def _read_asset(name: str) -> bytes:
    return resources.files("fastapi_swagger.resources").joinpath(name).read_bytes()
