"""The API's settings."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import PostgresUrl, Settings


class ApiSettings(Settings):
    """Which database is read, and where it is served."""

    model_config = SettingsConfigDict(env_prefix="API_")

    database_url: PostgresUrl = Field(
        description="Postgres as the role `api`; several hosts are allowed, replicas too; none outside `make run`"
    )
    host: str = Field("127.0.0.1", min_length=1, description="The address to listen on; `0.0.0.0`: every interface")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on; 0: a free one, which the log names")
    workers: int = Field(1, ge=1, le=64, description="Processes that share the port; each holds its own connections")
