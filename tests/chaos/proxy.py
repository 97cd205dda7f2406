"""A TCP proxy of our own between two processes, that can be cut, made silent, slow, or one-sided.

All proxies share one thread with an event loop. What it can't do is lose packets: the kernel behind a silent
proxy still acknowledges TCP segments, so a peer's keepalives find nothing wrong with a silent connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
CHUNK_BYTES = 65_536
PIECE_BYTES = 512
CALL_S_MAX = 10.0

Target = tuple[str, int] | Path
"""Host and port, or a unix socket."""


class Loop:
    """An event loop in a thread; `call` runs a coroutine in it and gives what that gives."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S_MAX)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Pair:
    """One connection through the proxy: both its ends, and the tasks that carry between them."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.tasks: list[asyncio.Task[None]] = []

    def end(self, *, server: bool = True) -> None:
        """Abort; without `server` that side stays open, and hears nothing for ever."""
        for task in self.tasks:
            task.cancel()
        self.client.transport.abort()
        if server:
            self.server.transport.abort()


class Proxy:
    """Carries bytes between whoever connects to `port` and the target; `port` stays the same."""

    def __init__(self, loop: Loop, name: str, target: Target | None = None) -> None:
        self.name, self.target = name, target
        self.bytes = 0
        self.port = 0
        self._loop = loop
        self._pairs: set[_Pair] = set()
        self._orphans: list[_Pair] = []
        self._is_cut = False
        self._delay_s = 0.0
        self._bytes_a_s: float | None = None
        self._flows = loop.call(self._event())
        self._listener = loop.call(self._listen())

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._pairs)

    def cut(self) -> None:
        """End all connections with a reset, and each new one as soon as it is made."""
        self._loop.call(self._cut())

    def silence(self) -> None:
        """Carry nothing: connections stay, new ones are accepted, and nobody hears anything."""
        self._loop.call(self._set_flow(flows=False))

    def delay(self, delay_s: float) -> None:
        """Hold each piece back so long."""
        self._delay_s = delay_s

    def trickle(self, bytes_a_s: float) -> None:
        """Carry no faster than this."""
        self._bytes_a_s = bytes_a_s

    def heal(self, *, half_open: bool = False) -> None:
        """Carry again; `half_open` first resets the clients of connections whose servers never hear of it."""
        self._loop.call(self._heal(half_open=half_open))

    def close(self) -> None:
        """End everything."""
        self._loop.call(self._close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # In the loop's thread

    async def _event(self) -> asyncio.Event:
        event = asyncio.Event()
        event.set()
        return event

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut or self.target is None:
            writer.transport.abort()
            return
        try:
            if isinstance(self.target, Path):
                from_server, server = await asyncio.open_unix_connection(str(self.target))
            else:
                from_server, server = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(writer, server)
        self._pairs.add(pair)
        pair.tasks = [
            asyncio.create_task(self._carry(pair, reader, server)),
            asyncio.create_task(self._carry(pair, from_server, writer)),
        ]

    async def _carry(self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._flows.wait()
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                # In pieces, so that a link is fast again once it is healed, however much was read before.
                while data and (bytes_a_s := self._bytes_a_s) is not None:
                    piece, data = data[:PIECE_BYTES], data[PIECE_BYTES:]
                    await asyncio.sleep(len(piece) / bytes_a_s)
                    await self._pass_on(piece, writer)
                await self._pass_on(data, writer)
        await self._flows.wait()
        if pair in self._pairs:
            self._pairs.discard(pair)
            pair.end()

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        self.bytes += len(data)
        writer.write(data)
        await writer.drain()

    async def _cut(self) -> None:
        self._is_cut = True
        self._end_all()

    def _end_all(self, *, server: bool = True) -> None:
        pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            pair.end(server=server)
        if not server:
            self._orphans += pairs

    async def _set_flow(self, *, flows: bool) -> None:
        if flows:
            self._flows.set()
        else:
            self._flows.clear()

    async def _heal(self, *, half_open: bool) -> None:
        if half_open:
            self._end_all(server=False)
        self._is_cut, self._delay_s, self._bytes_a_s = False, 0.0, None
        self._flows.set()

    async def _close(self) -> None:
        self._listener.close()
        self._end_all()
        for pair in self._orphans:
            pair.end()
        self._orphans.clear()
