"""The exchange's complaints: a code and a message, in the words clients know."""

from aiohttp import web

from simulator.answer import json_answer
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


class ComplaintError(Exception):
    """A request cannot be served; carries the code and message of the answer."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def answer(self) -> web.Response:
        """The answer in the exchange's shape."""
        return json_answer({"code": self.code, "msg": self.message}, status=self.status)


def refusal_answer(refusal: Refusal, limits: Limits, banned_until_ms: int, *, say_when: bool = True) -> web.Response:
    """429 or 418 as the exchange answers it; without `say_when` there is no Retry-After."""
    if refusal.status == 418:
        message = f"Way too much request weight used; IP banned until {banned_until_ms}. {_USE_STREAM} bans."
    elif refusal.of_weight:
        limit = f"current limit is {limits.weight_a_minute} request weight per 1 MINUTE"
        message = f"Too much request weight used; {limit}. {_USE_STREAM} polling the API."
    else:
        limit = f"current limit is {limits.requests_in_five_minutes} requests per 5 MINUTE"
        message = f"Too many requests; {limit}. {_USE_STREAM} polling the API."
    answer = ComplaintError(-1003, message, refusal.status).answer()
    if say_when:
        answer.headers["Retry-After"] = str(refusal.retry_after)
    return answer


def missing_archive(path: str) -> web.Response:
    """The object store's 404."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Key>{path.lstrip("/")}</Key></Error>'
    return web.Response(status=404, text=text, content_type="application/xml")
