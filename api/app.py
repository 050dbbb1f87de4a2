"""The application: routes, errors and what surrounds them, around one database."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

import api.about.docs
import api.about.routes
import api.forecasts.routes
import api.gaps.routes
import api.health.routes
import api.history.routes
import api.latest.routes
import api.statistics.routes
from api.about.fields import ROOT
from api.documentation import DESCRIPTION, TAGS, install_openapi
from api.forecasts.fields import PAST_FORECASTS, PREDICTION, SCORE_BOARD
from api.gaps.fields import GAPS
from api.health.fields import HEALTH, LIVENESS, READINESS
from api.history.fields import HISTORY
from api.latest.fields import LATEST
from api.middleware import HeadMiddleware, ObserveMiddleware
from api.parameters import refuse_unknown_parameters
from api.problems import install_problem_handlers
from api.settings import ApiSettings
from api.state import open_state
from api.statistics.fields import STATISTICS
from shared.version import read_version

# In the order of the documentation.
_ROUTERS = (
    api.about.routes.router,
    api.latest.routes.router,
    api.history.routes.router,
    api.statistics.routes.router,
    api.gaps.routes.router,
    api.forecasts.routes.router,
    api.health.routes.router,
    api.about.docs.router,
)
_ANSWERS = (
    ROOT,
    LATEST,
    HISTORY,
    STATISTICS,
    GAPS,
    PREDICTION,
    PAST_FORECASTS,
    SCORE_BOARD,
    HEALTH,
    LIVENESS,
    READINESS,
)


def create_app(settings: ApiSettings) -> FastAPI:
    """Make the application; it opens its database when it starts, and connects when it first reads."""
    app = FastAPI(
        title="Minutebook",
        version=read_version(),
        summary="Every minute of Bitcoin's price, exactly once.",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        servers=[{"url": "/", "description": "The server of this page"}],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        lifespan=_lifespan(settings.database_url.get_secret_value()),
        dependencies=[Depends(refuse_unknown_parameters)],
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "HEAD"],
                allow_headers=["*"],
                expose_headers=["ETag", "Next-Cursor", "Retry-After", "X-Request-ID"],
                max_age=86_400,
            ),
            Middleware(ObserveMiddleware),
            Middleware(HeadMiddleware),
        ],
    )
    for router in _ROUTERS:
        app.include_router(router)
    install_problem_handlers(app)
    install_openapi(app, _ANSWERS)
    return app


def _lifespan(database_url: str) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Built now rather than in the first request, which would wait for it.
        app.openapi()
        async with open_state(database_url) as app.state.minutebook:
            yield

    return lifespan
