"""Settings of the migration: the owner's URL, and the passwords that it gives the three roles."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.settings import PostgresUrl, Settings


class MigrateSettings(Settings):
    """Who may change the schema, and what the services log in with."""

    model_config = SettingsConfigDict(env_prefix="")

    migrate_database_url: PostgresUrl = Field(
        description="The owner's URL of the database, for `python -m shared.database`; none outside `make run`"
    )
    collector_database_password: SecretStr | None = Field(
        None, description="What `migrate` sets as the collector role's password; empty: left as it is"
    )
    predictor_database_password: SecretStr | None = Field(
        None, description="What `migrate` sets as the predictor role's password; empty: left as it is"
    )
    api_database_password: SecretStr | None = Field(
        None, description="What `migrate` sets as the api role's password; empty: left as it is"
    )

    def passwords(self) -> dict[str, str]:
        """Return the passwords that are given, by role."""
        given = {
            "collector": self.collector_database_password,
            "predictor": self.predictor_database_password,
            "api": self.api_database_password,
        }
        return {role: secret.get_secret_value() for role, secret in given.items() if secret}
