"""The parameters of `/price/gaps`."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from api.parameters import MAX_ROWS, PageQuery


class GapsQuery(PageQuery):
    """Which days are looked through."""

    limit: int = Field(3_660, ge=1, le=MAX_ROWS, description="The number of days on a page.")


GapsParameters = Annotated[GapsQuery, Query()]
