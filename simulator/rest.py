"""The REST routes under `/api/v3`, and what each weighs."""

from typing import Any

from aiohttp import web

from simulator import parameters
from simulator.answer import json_answer
from simulator.candles import Question, select_rows
from simulator.complaint import ComplaintError
from simulator.exchange_info import exchange_info
from simulator.limits import Limits
from simulator.market import Market
from simulator.ticker import last_day, last_price

_KLINES = {"symbol", "interval", "startTime", "endTime", "limit"}


def weight_of(request: web.Request) -> int:
    """The weight of a request, by its path and whether it names a symbol."""
    one_symbol = "symbol" in request.query
    return {
        "/api/v3/klines": 2,
        "/api/v3/exchangeInfo": 20,
        "/api/v3/ticker/price": 2 if one_symbol else 4,
        "/api/v3/ticker/24hr": 2 if one_symbol else 80,
    }.get(request.path, 1)


class Rest:
    """The handlers, over one market."""

    def __init__(self, market: Market, limits: Limits) -> None:
        self._market = market
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        """What an application adds."""
        return [
            web.get("/api/v3/ping", self.ping),
            web.get("/api/v3/time", self.time),
            web.get("/api/v3/exchangeInfo", self.exchange_info),
            web.get("/api/v3/klines", self.klines),
            web.get("/api/v3/ticker/price", self.ticker_price),
            web.get("/api/v3/ticker/24hr", self.ticker_24hr),
        ]

    async def ping(self, request: web.Request) -> web.Response:
        """An empty object."""
        parameters.check_known(request.query, ())
        return json_answer({})

    async def time(self, request: web.Request) -> web.Response:
        """The exchange's time."""
        parameters.check_known(request.query, ())
        return json_answer({"serverTime": self._market.now_ms()})

    async def exchange_info(self, request: web.Request) -> web.Response:
        """Limits and symbols."""
        symbols = self._symbols(request)
        return json_answer(exchange_info(self._market.now_ms(), self._limits, symbols))

    async def klines(self, request: web.Request) -> web.Response:
        """Candles; the newest is the open one."""
        query = request.query
        question = Question(
            symbol=parameters.check_symbol(parameters.mandatory(query, "symbol"), self._market.symbols),
            step_ms=parameters.interval_ms(query),
            start_ms=parameters.whole_number(query, "startTime"),
            end_ms=parameters.whole_number(query, "endTime"),
            limit=parameters.row_limit(query),
        )
        parameters.check_known(query, _KLINES)
        rows = select_rows(self._market, question)
        return web.Response(text=f"[{','.join(rows)}]", content_type="application/json")

    async def ticker_price(self, request: web.Request) -> web.Response:
        """The newest price, of one symbol or a list."""
        return self._tickers(request, [last_price(self._market, symbol) for symbol in self._symbols(request)])

    async def ticker_24hr(self, request: web.Request) -> web.Response:
        """The last 24 hours, of one symbol or a list."""
        return self._tickers(request, [last_day(self._market, symbol) for symbol in self._symbols(request)])

    def _tickers(self, request: web.Request, found: list[dict[str, Any] | None]) -> web.Response:
        tickers = [ticker for ticker in found if ticker is not None]
        if "symbol" not in request.query:
            return json_answer(tickers)
        if not tickers:
            raise ComplaintError(-1121, "Invalid symbol.")
        return json_answer(tickers[0])

    def _symbols(self, request: web.Request) -> list[str]:
        """The symbols asked for by `symbol`, by `symbols`, or all."""
        parameters.check_known(request.query, ("symbol", "symbols"))
        return parameters.asked_symbols(request.query, self._market.symbols)
