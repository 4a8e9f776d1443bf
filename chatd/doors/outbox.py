"""The write side of a stream link: direct where it can be, bounded always.

The rule: this is the only place that knows a transport's inside. When nothing is pending, the bytes
go to the socket at once (a `send` a batch, where ``transport.write`` would cost two epoll calls and a
turn of the reactor besides); what the peer does not take is counted, and a peer that leaves more than
``most`` unread is dropped, since one slow reader must not cost the others memory (LIBRARIES.md 1).
"""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
@attrs.define(eq=False)
class Outbox:
    """Sends to one transport. ``overflown`` is called once when the peer reads too slowly.

    ``most`` is in bytes and counts the transport's own buffer; 0 is no limit.
    """

    _transport: Any
    _most: int
    _overflown: Callable[[], object]
    _direct: bool = False
    _queue: list[bytes] | None = None  # there while the transport has enough to do
    _queued: int = 0
    _closing: bool = False

    def __attrs_post_init__(self) -> None:
        # Only a plain socket's transport has these; TLS and whatever else wraps one has not.
        self._direct = hasattr(self._transport, "writeSomeData") and hasattr(
            self._transport, "_tempDataBuffer"
        )
        self._transport.registerProducer(self, True)

    def write(self, data: bytes) -> None:
        """Send, now or later; never waits."""
        if self._closing:
            return
        if self._queue is not None:
            self._queue.append(data)
            self._queued += len(data)
            if self._most and self._queued > self._most:
                self.abort()
                self._overflown()
            return
        if self._direct:
            data = _send(self._transport, data)
        if data:
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything is sent."""
        if not self._closing:
            self._closing = True
            if self._queue is None:
                self._finish()

    def abort(self) -> None:
        """Close at once and forget what is pending."""
        self._closing = True
        self._queue = None
        self._transport.unregisterProducer()
        self._transport.abortConnection()

    def pauseProducing(self) -> None:
        """The transport has enough: keep the rest here."""
        if self._queue is None:
            self._queue = []
            self._queued = getattr(self._transport, "bufferSize", 0)

    def resumeProducing(self) -> None:
        """The transport has sent everything: give it the rest."""
        queue, self._queue = self._queue, None
        if queue:
            self._transport.write(b"".join(queue))
        if self._closing and self._queue is None:
            self._finish()

    def stopProducing(self) -> None:
        """The connection is lost."""
        self._closing = True
        self._queue = None

    def _finish(self) -> None:
        self._transport.unregisterProducer()
        self._transport.loseConnection()


def _send(transport: Any, data: bytes) -> bytes:
    """Send what the socket takes at once; return the rest.

    Allowed only where nothing waits in the transport, or it would overtake that. An error is left
    to ``transport.write``, whose reactor finds it out in the usual way.
    """
    if transport._tempDataBuffer or len(transport.dataBuffer) > transport.offset:
        return data
    if not transport.connected or transport.disconnecting:
        return data
    sent = transport.writeSomeData(data)
    return data[sent:] if isinstance(sent, int) else data
