"""A TCP proxy whose connections a test can hold up, cut, or refuse; and a port behind which nobody speaks."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Passes bytes between its port and a target; made by `proxying`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.holds_something = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> None:
        """Listen; on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Stop listening and cut every connection, as a server that is down."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> None:
        """End every connection, and accept new ones."""
        for writer in self._writers:
            writer.transport.abort()

    def hold(self) -> None:
        """Accept and read, but pass nothing on, as a server that is paused or behind a broken link."""
        self.holds_something.clear()
        self._flowing.clear()

    def resume(self) -> None:
        """Pass on again, first what was held."""
        self._flowing.set()

    async def close(self) -> None:
        """End everything."""
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._flowing.wait()
            theirs_reader, theirs_writer = await asyncio.open_connection(*self._target)
            self._writers.add(theirs_writer)
            await asyncio.gather(self._pump(reader, theirs_writer), self._pump(theirs_reader, writer))
        self._writers.discard(writer)
        writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                if not self._flowing.is_set():
                    self.holds_something.set()
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        finally:
            writer.transport.abort()
            self._writers.discard(writer)


@asynccontextmanager
async def proxying(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Open a proxy to the server of `url`, and yield it with the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port)
    await proxy.open()
    login = parts.netloc.rpartition("@")[0]
    try:
        yield proxy, urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{proxy.port}"))
    finally:
        await proxy.close()


@contextmanager
def silent_port() -> Iterator[int]:
    """Listen on a port where connections are taken and nothing is ever said; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
