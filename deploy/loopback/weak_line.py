"""A weak line on loopback: a TCP proxy that delays, limits, stalls and cuts.

It stands in for a network with loss: TCP on loopback loses nothing, so that each lost segment is
played as a pause of its direction for one round trip (a fast retransmission). Timeouts of the
retransmission, reordering, the slow start of the sender and queues that fill are not modelled.
Each direction of all connections together has the given rate.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

__all__ = ["Line", "WeakLine"]

SEGMENT_BYTES = 1460
"""What a segment of TCP carries over Ethernet."""
READ_BYTES = 4096
WINDOW_BYTES = 64 << 10
"""So much may be under way in one direction: as a router's queue, it holds the sender back."""


@dataclass(frozen=True)
class Line:
    """How weak a line is: bits a second, the round trip, shares of segments that are lost."""

    rate_kbit_s: float = 256.0
    round_trip_s: float = 0.4
    loss: float = 0.02
    cut_after_bytes: int = 0
    """A connection is cut after so many bytes to the server; 0: none is."""
    cuts: int = 0
    """How many connections are cut."""


@dataclass
class WeakLine:
    """The proxy in a thread of its own, between a port of its own and `server_port`."""

    server_port: int
    line: Line = field(default_factory=Line)
    seed: int = 0
    port: int = 0
    to_server: int = 0
    to_client: int = 0
    cut: int = 0

    def start(self) -> None:
        """Listen; `port` is where."""
        self._random = random.Random(self.seed)
        self._free_at = {"up": 0.0, "down": 0.0}
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        ready.wait()

    def end(self) -> None:
        """Close it and its connections."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        here = ("127.0.0.1", self.port)
        async with await asyncio.start_server(self._connect, *here, limit=READ_BYTES) as server:
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await self._over.wait()

    async def _connect(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        # The handshake takes one round trip.
        await asyncio.sleep(self.line.round_trip_s)
        try:
            from_server, to_server = await asyncio.open_connection(
                "127.0.0.1", self.server_port, limit=READ_BYTES
            )
        except OSError:
            to_client.transport.abort()
            return
        sent = 0

        def count_up(size: int) -> None:
            nonlocal sent
            self.to_server += size
            sent += size
            line = self.line
            if line.cut_after_bytes and sent >= line.cut_after_bytes and self.cut < line.cuts:
                self.cut += 1
                to_client.transport.abort()
                to_server.transport.abort()

        def count_down(size: int) -> None:
            self.to_client += size

        up = self._carry("up", from_client, to_server, count_up)
        down = self._carry("down", from_server, to_client, count_down)
        # Cancelled when the proxy ends: then nobody is there who would hear of it.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(up, down)
        to_client.close()
        to_server.close()

    async def _carry(
        self,
        way: str,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        count: Callable[[int], None],
    ) -> None:
        """Carry bytes one way: each part at the rate of the line, then for half a round trip."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WINDOW_BYTES // READ_BYTES)
        delivering = asyncio.ensure_future(self._deliver(under_way, target, count))
        clock = self._loop.time
        with contextlib.suppress(OSError):
            while data := await source.read(READ_BYTES):
                begins = max(clock(), self._free_at[way])
                ends = begins + len(data) / (self.line.rate_kbit_s * 125) + self._stall(len(data))
                self._free_at[way] = ends
                await _until(clock, ends)
                await under_way.put((ends + self.line.round_trip_s / 2, data))
        await under_way.put((clock(), b""))
        await delivering

    async def _deliver(
        self,
        under_way: asyncio.Queue[tuple[float, bytes]],
        target: asyncio.StreamWriter,
        count: Callable[[int], None],
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await under_way.get()
                await _until(self._loop.time, due)
                if not data:
                    break
                target.write(data)
                await target.drain()
                count(len(data))
            if target.can_write_eof():
                target.write_eof()
            return
        while (await under_way.get())[1]:
            pass

    def _stall(self, size: int) -> float:
        """Seconds that the losses in a part cost."""
        segments = max(1, round(size / SEGMENT_BYTES))
        lost = sum(self._random.random() < self.line.loss for _ in range(segments))
        return lost * self.line.round_trip_s


def _until(clock: Callable[[], float], due: float) -> Awaitable[None]:
    return asyncio.sleep(max(due - clock(), 0.0))
