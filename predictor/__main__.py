"""`python -m predictor run | train | forecast | score | backtest`."""

import signal
import sys
from argparse import Namespace

from predictor.settings import PredictorSettings
from shared.command import EXIT_OK, Parser, run
from shared.logging import configure_logging
from shared.settings import LoggingSettings

_BACKTEST = "backtest"


def make_parser(*, with_backtest: bool) -> Parser:
    """Return the parser of the predictor's commands; the backtest's own arguments bring its libraries along."""
    parser = Parser(prog="python -m predictor", description="Forecast the price, with its uncertainty, and be scored.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="run | train | forecast | score | backtest")
    commands.add_parser("run", help="forecast and score each minute and train on the schedule, until stopped")
    train = commands.add_parser("train", help="train once, now; the gate decides whether the new model serves")
    train.add_argument(
        "--symbol-index",
        type=int,
        metavar="N",
        help="only the symbol of this place in PREDICTOR_SYMBOLS, from 0, as an indexed Job numbers its pods",
    )
    commands.add_parser("forecast", help="forecast the newest minute once, and print the forecast")
    commands.add_parser("score", help="score what came due, and again what was corrected")
    backtest = commands.add_parser(_BACKTEST, help="walk forward over files of minutes, without any server")
    if with_backtest:
        from predictor.commands.backtest import add_arguments  # noqa: PLC0415

        add_arguments(backtest)
    return parser


async def main(arguments: list[str]) -> int:
    """Run the command named; returns its exit code."""
    options = make_parser(with_backtest=arguments[:1] == [_BACKTEST]).parse_args(arguments)
    logging = LoggingSettings.load()
    configure_logging("predictor", logging.level, logging.format)
    if options.command == _BACKTEST:
        return _backtest(options)
    settings = PredictorSettings.load()
    # Each command loads what it needs: importing scikit-learn and MLflow takes seconds.
    match options.command:
        case "run":
            from predictor.service.service import run_service  # noqa: PLC0415

            await run_service(settings)
            return EXIT_OK
        case "train":
            from predictor.commands.train import run_train  # noqa: PLC0415

            return await run_train(settings, options.symbol_index)
        case "forecast":
            from predictor.commands.forecast import run_forecast  # noqa: PLC0415

            return await run_forecast(settings)
        case _:
            from predictor.commands.score import run_score  # noqa: PLC0415

            return await run_score(settings)


def _backtest(options: Namespace) -> int:
    from predictor.commands.backtest import run_backtest  # noqa: PLC0415

    # Nothing is awaited in it that a cancellation could end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return run_backtest(options)


if __name__ == "__main__":
    run("predictor", main(sys.argv[1:]))
