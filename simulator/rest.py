"""Handles the REST routes under `/api/v3`, and knows the weight of each."""

from typing import Any

from aiohttp import web

from simulator import parameters
from simulator.answer import make_json_answer
from simulator.exchange_info import build_exchange_info
from simulator.kline_rows import KlinesRequest, select_rows
from simulator.limits import Limits
from simulator.market import Market
from simulator.request_error import RequestError
from simulator.ticker import compute_last_day, find_last_price

_KLINES = {"symbol", "interval", "startTime", "endTime", "limit"}


def find_weight(request: web.Request) -> int:
    """Return the weight of a request, which depends on its path and on whether it names a symbol."""
    one_symbol = "symbol" in request.query
    return {
        "/api/v3/klines": 2,
        "/api/v3/exchangeInfo": 20,
        "/api/v3/ticker/price": 2 if one_symbol else 4,
        "/api/v3/ticker/24hr": 2 if one_symbol else 80,
    }.get(request.path, 1)


class Rest:
    """The handlers of one market."""

    def __init__(self, market: Market, limits: Limits) -> None:
        self._market = market
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [
            web.get("/api/v3/ping", self.ping),
            web.get("/api/v3/time", self.time),
            web.get("/api/v3/exchangeInfo", self.exchange_info),
            web.get("/api/v3/klines", self.klines),
            web.get("/api/v3/ticker/price", self.ticker_price),
            web.get("/api/v3/ticker/24hr", self.ticker_24hr),
        ]

    async def ping(self, request: web.Request) -> web.Response:
        """Answer with an empty object."""
        parameters.check_known(request.query, ())
        return make_json_answer({})

    async def time(self, request: web.Request) -> web.Response:
        """Answer with the exchange's time."""
        parameters.check_known(request.query, ())
        return make_json_answer({"serverTime": self._market.now_ms()})

    async def exchange_info(self, request: web.Request) -> web.Response:
        """Answer with the limits and symbols."""
        symbols = self._read_symbols(request)
        return make_json_answer(build_exchange_info(self._market.now_ms(), self._limits, symbols))

    async def klines(self, request: web.Request) -> web.Response:
        """Answer with klines; the newest is the open one."""
        query = request.query
        klines_request = KlinesRequest(
            symbol=parameters.check_symbol(parameters.read_mandatory(query, "symbol"), self._market.symbols),
            step_ms=parameters.read_interval_ms(query),
            start_ms=parameters.read_whole_number(query, "startTime"),
            end_ms=parameters.read_whole_number(query, "endTime"),
            limit=parameters.read_row_limit(query),
        )
        parameters.check_known(query, _KLINES)
        rows = select_rows(self._market, klines_request)
        return web.Response(text=f"[{','.join(rows)}]", content_type="application/json")

    async def ticker_price(self, request: web.Request) -> web.Response:
        """Answer with the newest price of one symbol or of several."""
        return self._answer_tickers(
            request, [find_last_price(self._market, symbol) for symbol in self._read_symbols(request)]
        )

    async def ticker_24hr(self, request: web.Request) -> web.Response:
        """Answer with the statistics of the last 24 hours of one symbol or of several."""
        return self._answer_tickers(
            request, [compute_last_day(self._market, symbol) for symbol in self._read_symbols(request)]
        )

    def _answer_tickers(self, request: web.Request, found: list[dict[str, Any] | None]) -> web.Response:
        tickers = [ticker for ticker in found if ticker is not None]
        if "symbol" not in request.query:
            return make_json_answer(tickers)
        if not tickers:
            raise RequestError(-1121, "Invalid symbol.")
        return make_json_answer(tickers[0])

    def _read_symbols(self, request: web.Request) -> list[str]:
        """Return the symbols that the request names, or all."""
        parameters.check_known(request.query, ("symbol", "symbols"))
        return parameters.read_symbols(request.query, self._market.symbols)
