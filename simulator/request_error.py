"""The exchange's error answers: an HTTP status with a code and a message in its own words."""

from aiohttp import web

from simulator.answer import make_json_answer
from simulator.limits import Limits, Refusal

HTML_FORBIDDEN = (
    "<!DOCTYPE html>\n<html><head><title>ERROR: The request could not be satisfied</title></head>"
    "<body><h1>403 ERROR</h1><p>Request blocked.</p></body></html>\n"
)
HTML_BAD_GATEWAY = (
    "<html>\n<head><title>502 Bad Gateway</title></head>\n"
    "<body>\n<center><h1>502 Bad Gateway</h1></center>\n<hr><center>nginx</center>\n</body>\n</html>\n"
)
RESTRICTED = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms. "
    "Please contact customer service if you believe you received this message in error."
)
_USE_STREAM = "Please use the websocket for live updates to avoid"


class RequestError(Exception):
    """A request that the exchange refuses; carries the code, the message and the HTTP status of the answer."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def make_answer(self) -> web.Response:
        """Return the answer in the exchange's shape."""
        return make_json_answer({"code": self.code, "msg": self.message}, status=self.status)


def make_refusal_answer(
    refusal: Refusal, limits: Limits, banned_until_ms: int, *, with_retry_after: bool = True
) -> web.Response:
    """Return a 429 or 418 as the exchange answers it, with or without the header Retry-After."""
    if refusal.status == 418:
        message = f"Way too much request weight used; IP banned until {banned_until_ms}. {_USE_STREAM} bans."
    elif refusal.of_weight:
        limit = f"current limit is {limits.weight_a_minute} request weight per 1 MINUTE"
        message = f"Too much request weight used; {limit}. {_USE_STREAM} polling the API."
    else:
        limit = f"current limit is {limits.requests_in_five_minutes} requests per 5 MINUTE"
        message = f"Too many requests; {limit}. {_USE_STREAM} polling the API."
    answer = RequestError(-1003, message, refusal.status).make_answer()
    if with_retry_after:
        answer.headers["Retry-After"] = str(refusal.retry_after)
    return answer


def make_missing_archive_answer(path: str) -> web.Response:
    """Return the 404 of the object store that holds the archives."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Key>{path.lstrip("/")}</Key></Error>'
    return web.Response(status=404, text=text, content_type="application/xml")
