"""The write side of a stream link: direct where it can be, bounded always.

The rule: this is the only place that knows a transport's inside. When nothing is pending, the bytes
go to the socket at once (a `send` a batch, where ``transport.write`` would cost two epoll calls and
a turn of the reactor besides). What the peer does not take waits here, as the same bytes that wait
for everybody else in the room, and a peer that leaves too much unread is dropped, since one slow
reader must not cost the others memory (LIBRARIES.md 1).

Too much is ``most`` bytes for :data:`PATIENCE` seconds, or :data:`AT_ONCE` times as much at once.
Rejected: to drop at ``most`` alone. A class that pastes at the same moment is a few megabytes, and
would have thrown out everybody whose network needs a second for that.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.interfaces import IPushProducer
from twisted.internet.tcp import Connection
from zope.interface import implementer

PATIENCE: Final = 10.0
"""Seconds that a peer may be behind by more than it should."""

AT_ONCE: Final = 64
"""How many times as far behind it may be for a moment."""


@implementer(IPushProducer)
@attrs.define(eq=False)
class Outbox:
    """Sends to one transport. ``overflown`` is called once when the peer reads too slowly.

    ``most`` is in bytes, beyond what the transport itself holds; 0 is no limit.
    """

    _transport: Any
    _most: int
    _seconds: Callable[[], float]
    _overflown: Callable[[], object]
    _direct: bool = False
    _paused: bool = False
    _queue: deque[bytes] | None = None  # made when first needed, for the memory of the idle
    _queued: int = 0
    _behind_since: float | None = None
    _closing: bool = False

    def __attrs_post_init__(self) -> None:
        # Only a plain socket's own transport. What wraps one, as TLS does, would pass these calls
        # on to it (ProtocolWrapper.__getattr__), and they would go past the encryption.
        self._direct = isinstance(self._transport, Connection)
        self._transport.registerProducer(self, True)

    @property
    def busy(self) -> bool:
        """Whether the transport has enough to do."""
        return self._paused

    def write(self, data: bytes) -> None:
        """Send, now or later; never waits."""
        if self._closing:
            return
        if self._paused:
            self._keep(data)
            return
        if self._direct:
            data = _send(self._transport, data)
        if data:
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything is sent."""
        if not self._closing:
            self._closing = True
            if not self._paused:
                self._finish()

    def abort(self) -> None:
        """Close at once and forget what is pending."""
        self.stopProducing()
        self._transport.unregisterProducer()
        self._transport.abortConnection()

    def pauseProducing(self) -> None:
        """The transport has enough: keep the rest here."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The transport has sent everything: give it more, until it has enough again."""
        self._paused = False
        while self._queue and not self._paused:
            data = self._queue.popleft()
            self._queued -= len(data)
            self._transport.write(data)
        if self._queued <= self._most:
            self._behind_since = None
        if not self._paused:
            self._queue = None
            if self._closing:
                self._finish()

    def stopProducing(self) -> None:
        """The connection is lost."""
        self._closing = True
        self._queue = None
        self._queued = 0

    def _keep(self, data: bytes) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append(data)
        self._queued += len(data)
        if self._most and self._queued > self._most:
            now = self._seconds()
            if self._behind_since is None:
                self._behind_since = now
            if now - self._behind_since > PATIENCE or self._queued > self._most * AT_ONCE:
                self.abort()
                self._overflown()

    def _finish(self) -> None:
        self._transport.unregisterProducer()
        self._transport.loseConnection()


def _send(transport: Any, data: bytes) -> bytes:
    """Send what the socket takes at once; return the rest.

    Allowed only where nothing waits in the transport, or it would overtake that. An error is left
    to ``transport.write``, whose reactor finds it out in the usual way.
    """
    if unsent(transport):
        return data
    sent = transport.writeSomeData(data)
    return data[sent:] if isinstance(sent, int) else data


def unsent(transport: Any) -> int:
    """How many bytes wait in a socket's own transport, which the kernel has not taken yet."""
    waiting: int = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    return waiting
