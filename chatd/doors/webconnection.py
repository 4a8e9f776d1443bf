"""A connection that speaks HTTP, for bodies of any size in both directions.

The rule: whatever a stranger sends, he gets an answer or is cut, in bounded time and memory.

``twisted.web`` parses the requests, and is corrected where it is made for small ones: a request
with a body is answered as soon as its headers are there; a client gets its time for a request as a
whole, not for every byte of it; one that is refused while it still sends can read why; and a length
is a number of so many digits, as Python refuses to read a longer one, with a traceback.
"""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from chatd.domain.ports import Clock, Timer
from chatd.domain.session import LINGER

REQUEST_SECONDS: Final = 20.0
"""Seconds for a client to make a request; those to send a body are not among them."""

_LONGEST_NUMBER: Final = 18


class WebConnection(HTTPChannel):
    """One connection. ``request`` makes the object that answers a request."""

    requestFactory: Any
    requests: list[Any]
    timeOut = None  # Twisted's own, which begins again with every byte
    transport: Any

    def __init__(self, request: Callable[..., Any], clock: Clock) -> None:
        HTTPChannel.__init__(self)
        self.requestFactory = request
        self._clock = clock
        self._timer: Timer | None = None
        self._coming = False  # whether there is more of a body
        self._over = False  # whether the last answer was given

    # From the transport.

    def connectionMade(self) -> None:
        """Wait for a request."""
        HTTPChannel.connectionMade(self)
        self._set_timer(REQUEST_SECONDS, self.loseConnection)

    def readConnectionLost(self) -> None:
        """The client sends no more; it may still read what it asked for."""
        if self._handlingRequest and not self._over:
            self.persistent = False
            self.requests[0].readConnectionLost()
        else:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._over = True
        self._stop_timer()
        HTTPChannel.connectionLost(self, reason)

    # From the parser.

    def lineReceived(self, line: bytes) -> None:
        """Take a line of a request, while any is answered."""
        if not self._over:
            HTTPChannel.lineReceived(self, line)

    def headerReceived(self, line: bytes) -> bool:
        """Take a header; say whether it can be one."""
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and len(value.strip()) > _LONGEST_NUMBER:
            line = b"Content-Length: no number of bytes"  # and refused as that
        good: bool = HTTPChannel.headerReceived(self, line)
        return good

    def allHeadersReceived(self) -> None:
        """Let a request with a body be answered; one without is complete in a moment."""
        request = self.requests[-1]
        self.persistent = HTTPChannel.checkPersistence(self, request, self._version)
        if self.length != 0:
            self._stop_timer()
            self.persistent, self._coming = False, True
            request.begin(self._command, self._path, self._version, self.length)

    def allContentReceived(self) -> None:
        """All of a request has come."""
        self._coming = False
        if self._over:  # it was answered before that
            self.transport.loseConnection()
        else:
            self._stop_timer()
            HTTPChannel.allContentReceived(self)

    # From a request.

    def requestDone(self, request: Any) -> None:
        """Go on with the next request, or close."""
        if self.persistent:
            self._set_timer(REQUEST_SECONDS, self.loseConnection)
        HTTPChannel.requestDone(self, request)

    def hand_over(self) -> None:
        """Leave the transport to whoever sends a file; the connection is closed after that."""
        self.persistent = False
        self.transport.unregisterProducer()

    def loseConnection(self) -> None:
        """Close; a client that still sends can first read its answer, for a few seconds.

        Closed at once, with bytes of its unread, the kernel would reset the connection, and the
        answer might be lost with it.
        """
        self._over = True
        self._set_timer(LINGER, self.abort)
        if not self._coming:
            HTTPChannel.loseConnection(self)

    def abort(self) -> None:
        """Close at once."""
        self._over = True
        if self.transport.connected:  # TLS stumbles over it otherwise
            self.transport.abortConnection()

    # Inside.

    def _set_timer(self, seconds: float, what: Callable[[], object]) -> None:
        self._stop_timer()
        self._timer = self._clock.callLater(seconds, self._late, what)

    def _late(self, what: Callable[[], object]) -> None:
        self._timer = None
        what()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
