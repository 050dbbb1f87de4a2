"""`python -m shared.database migrate | rollups`: the owner's two jobs on a database."""

import sys

from shared.command import EXIT_OK, Parser, run
from shared.database.migrate import migrate
from shared.database.rollups import rebuild_rollups
from shared.database.settings import MigrateSettings
from shared.logging import configure_logging
from shared.settings import LoggingSettings


async def main(arguments: list[str]) -> int:
    """Run the command named; returns its exit code."""
    parser = Parser(prog="python -m shared.database", description="Bring a database up to date, as its owner.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="migrate | rollups")
    commands.add_parser("migrate", help="create or complete the schema and the roles; safe to run again")
    commands.add_parser("rollups", help="recompute all rollups from the ticks, after a bulk load or a restore")
    command = parser.parse_args(arguments).command
    logging = LoggingSettings.load()
    configure_logging("database", logging.level, logging.format)
    settings = MigrateSettings.load()
    url = settings.migrate_database_url.get_secret_value()
    if command == "migrate":
        await migrate(url, settings.passwords())
    else:
        await rebuild_rollups(url)
    return EXIT_OK


if __name__ == "__main__":
    run("shared.database", main(sys.argv[1:]))
