"""`python -m collector run | backfill | gaps | verify`."""

import sys
from argparse import Namespace

from collector.backfill_command import run_backfill
from collector.dates import check_dates
from collector.gaps_command import describe_gaps
from collector.settings import CollectorSettings
from collector.sources.registry import load_source_settings
from collector.verify import verify
from collector.worker import run_service
from shared.command import EXIT_DIFFERENT, EXIT_OK, Parser, run
from shared.instant import to_text
from shared.logging import configure_logging
from shared.settings import LoggingSettings


def make_parser() -> Parser:
    """Return the parser of the collector's commands."""
    parser = Parser(prog="python -m collector", description="Collect every closed minute, exactly once.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="run | backfill | gaps | verify")
    commands.add_parser("run", help="collect until stopped: the live minute first, then the holes from new to old")
    backfill = commands.add_parser(
        "backfill",
        help="make the record whole from a date on, with a progress bar",
        description=(
            "Make the record whole over a range, with a progress bar. The record then begins at --since for good: a "
            "collector that runs, now or later, keeps it whole from there to now, beyond --until too."
        ),
    )
    backfill.add_argument(
        "--since", required=True, metavar="DATE", help="an ISO date or time, or a duration such as 90d"
    )
    gaps = commands.add_parser("gaps", help="print what is missing and why")
    verify_ = commands.add_parser("verify", help="compare the stored minutes with the exchange; exit 1 if they differ")
    for command in (gaps, verify_):
        command.add_argument("--since", metavar="DATE", help="the beginning; by default the record's")
    for command in (backfill, gaps, verify_):
        command.add_argument("--until", metavar="DATE", help="the end, not included; by default now")
    return parser


async def main(arguments: list[str]) -> int:
    """Run the command named; returns its exit code."""
    options = make_parser().parse_args(arguments)
    logging = LoggingSettings.load()
    configure_logging("collector", logging.level, logging.format)
    settings = CollectorSettings.load()
    match options.command:
        case "run":
            await run_service(settings)
        case "backfill":
            check_dates(options)
            await run_backfill(settings, options.since, options.until)
        case "gaps":
            check_dates(options)
            async for line in describe_gaps(settings, options.since, options.until):
                print(line)
        case _:
            return await _print_verification(settings, options)
    return EXIT_OK


async def _print_verification(settings: CollectorSettings, options: Namespace) -> int:
    check_dates(options)
    code = EXIT_OK
    for found in await verify(settings, load_source_settings(settings.symbols), options.since, options.until):
        for difference in found.differences:
            print(f"{found.symbol} {difference}")
        if found.different > len(found.differences):
            print(f"{found.symbol} … and {found.different - len(found.differences)} more")
        span = f"{to_text(found.compared.start)} to {to_text(found.compared.end)}"
        refused = f", {found.refused} of its rows make no sense" if found.refused else ""
        print(f"{found.symbol}: {span}, {found.equal} minutes equal, {found.different} different{refused}")
        code = EXIT_DIFFERENT if found.different else code
    return code


if __name__ == "__main__":
    run("collector", main(sys.argv[1:]))
