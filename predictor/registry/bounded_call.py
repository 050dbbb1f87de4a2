"""Calls that may never return, made so that their caller does not wait for ever."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class BoundedCaller:
    """Makes one call at a time, each in a thread of its own that does not keep the process from ending."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_busy = False

    async def call(self, function: Callable[[], Result], seconds: float) -> Result:
        """Return what `function` returns; raises TimeoutError when that takes longer, or an earlier call still runs."""
        if self._is_busy:
            raise TimeoutError(f"{self._name} still has an earlier call to answer")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def settle(result: Result | None, error: BaseException | None) -> None:
            self._is_busy = False
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type] # without an error there is a result

        def work() -> None:
            result, error = None, None
            try:
                result = function()
            except BaseException as raised:  # noqa: BLE001 - it is raised where the result is awaited
                error = raised
            # The caller may have gone, and its event loop with it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result, error)

        self._is_busy = True
        threading.Thread(target=work, name=self._name, daemon=True).start()
        async with asyncio.timeout(seconds):
            return await future
