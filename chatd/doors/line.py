"""The line door: telnet and nc on the same port (PRODUCT.md, 2 and 3).

The rule: bytes in, bytes out, and how much of both. What a line means is the codec's, what it does
the session's.
"""

import socket
import sys
from typing import Any, Final

import attrs
from twisted.application.service import Service
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.domain.audience import Audience
from chatd.domain.errors import Banned, TooBusy
from chatd.domain.events import Event, Farewell
from chatd.domain.names import Key
from chatd.domain.ports import Format, Mark, Timer
from chatd.domain.session import LINGER, Session
from chatd.doors.outbox import Outbox
from chatd.doors.reception import Reception
from chatd.wire.framing import LineFramer, decode
from chatd.wire.lines import Dialogue, LineFormat, stranger
from chatd.wire.telnet import TelnetFilter

# A peer that is gone without a word (a cable pulled) is noticed after about two minutes.
_KEEPALIVE: Final = (
    (socket.TCP_KEEPIDLE, 60),
    (socket.TCP_KEEPINTVL, 15),
    (socket.TCP_KEEPCNT, 4),
)

FORMAT: Final = LineFormat()
"""The wire format of all line doors: one, so that a room's lines are encoded once for all."""


@attrs.frozen
class Settings:
    """This door has no settings beyond those of every door."""


def open_door(settings: Settings, reception: Reception) -> Service:
    """The service of a door for telnet and nc."""
    return reception.service(LineFactory(reception))


class LineFactory(ServerFactory):
    """Makes a :class:`LineProtocol` for each connection."""

    noisy = False

    def __init__(self, reception: Reception, line_format: LineFormat = FORMAT) -> None:
        self._reception = reception
        self._format = line_format

    def buildProtocol(self, addr: IAddress | None) -> "LineProtocol":
        """A connection from ``addr``; a unix socket's has no host."""
        return LineProtocol(self._reception, self._format, getattr(addr, "host", "") or "")


@implementer(IHalfCloseableProtocol)
class LineProtocol(Protocol):
    """One connection: the link of its session."""

    __slots__ = (
        "_address",
        "_cut",
        "_dialogue",
        "_ended",
        "_format",
        "_framer",
        "_heard",
        "_host",
        "_outbox",
        "_over",
        "_paused",
        "_reception",
        "_session",
        "audiences",
        "deaf_to",
        "format",
    )

    _outbox: Outbox
    _session: Session | None
    transport: Any

    def __init__(self, reception: Reception, line_format: LineFormat, address: str) -> None:
        self.format: Format = line_format
        self._format = line_format
        self.audiences: tuple[Audience, ...] = ()
        self.deaf_to: frozenset[Key] = frozenset()
        self._reception = reception
        self._address = address
        self._dialogue: Dialogue
        self._framer: LineFramer
        self._session = None
        self._cut: Timer | None = None
        self._heard = self._paused = self._ended = self._over = False

    # From the transport.

    def connectionMade(self) -> None:
        """Let the client in, if there is room, and greet it."""
        hub = self._reception.hub
        try:
            hub.sanctions.check_address(self._address)
            self._reception.gate.enter(self._address)
        except (Banned, TooBusy) as error:
            hub.counts.turned_away += 1
            self.transport.write(self.format(Farewell(str(error), hub.clock.seconds())))
            self.transport.loseConnection()
            # One that doesn't even finish its TLS handshake would stay, and is counted nowhere.
            self._cut = hub.clock.callLater(LINGER, self.transport.abortConnection)
            return
        tune(self.transport)
        # Kept, as a connection that is gone can't be asked; one string for all who come to it.
        self._host = sys.intern(getattr(self.transport.getHost(), "host", ""))
        self._outbox = Outbox(
            self.transport, self._reception.backlog_bytes, hub.clock.seconds, self._overflown
        )
        self._framer = LineFramer(hub.rules.line_bytes)
        self._dialogue = Dialogue(self._format, hub.rules.line_bytes, self._outbox.write)
        self._session = self._reception.session(self, self._dialogue, self._address)
        hub.spawn(self._session.greet())

    def dataReceived(self, data: bytes) -> None:
        """Take what the client has sent."""
        if self._session is None:
            return
        if not self._heard:
            self._heard = True
            answer = stranger(data)
            if answer is not None:
                self._outbox.write(answer)
                self._outbox.close()
                return
            self._listen_for_telnet(data)
        text, answers = self._dialogue.telnet.feed(data)
        if answers:
            self._outbox.write(answers)
        if text:
            self._framer.push(text)
            self._read()

    def readConnectionLost(self) -> None:
        """The client has sent its last line, but may still read: ``nc`` at the end of its input."""
        self._ended = True
        self._read()

    def writeConnectionLost(self) -> None:
        """Nothing of ours can be sent; the connection's end follows."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        if self._session is not None:
            self._reception.gate.leave(self._address)
            self._reception.hub.spawn(self._session.lost())
        elif self._cut is not None and self._cut.active():
            self._cut.cancel()

    # As a link.

    def write(self, data: bytes) -> None:
        """Send bytes that are in the line format already."""
        self._outbox.write(data)

    def tell(self, event: Event) -> None:
        """Send an event to this client alone."""
        data = self._dialogue.encode(event)
        if data:
            self._outbox.write(data)

    @property
    def busy(self) -> bool:
        """Whether the client has yet to take what it was sent."""
        return self._outbox.busy

    @property
    def host(self) -> str:
        """The server's address that the client is connected to; empty for a unix socket."""
        return self._host

    def close(self) -> None:
        """Send what is pending, then close."""
        self._outbox.close()

    def abort(self) -> None:
        """Close at once."""
        self._outbox.abort()

    def pause(self) -> None:
        """Read no more for now."""
        self._paused = True
        self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on, first what has been received already."""
        self._paused = False
        self._read()
        if not self._paused and not self._ended:
            self.transport.resumeProducing()

    # Inside.

    def _read(self) -> None:
        session = self._session
        if session is None:
            return
        while not self._paused and not self._over:
            line = self._framer.take()
            if line is not None:
                session.receive(decode(line))
            elif self._ended:
                rest = self._framer.finish()
                self._over = rest is None
                session.receive(Mark.END if rest is None else decode(rest))
            else:
                break

    def _listen_for_telnet(self, data: bytes) -> None:
        """Tell a telnet client from nc by how its first line ends.

        A telnet client doesn't negotiate by itself on any port but 23, and asking would show nc's
        users what no terminal can read. But telnet ends a line with CR LF (RFC 854), nc with LF.
        """
        telnet: TelnetFilter = self._dialogue.telnet
        if data.endswith(b"\r\n") and data.count(b"\n") == 1:
            telnet.speaks = True

    def _overflown(self) -> None:
        if self._session is not None:
            self._reception.hub.spawn(self._session.dropped("too much was left unread"))


def tune(transport: Any) -> None:
    """Send small lines at once, and notice a peer that is gone; for TCP only."""
    if hasattr(transport, "setTcpNoDelay"):
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(True)
    handle = transport.getHandle() if hasattr(transport, "getHandle") else None
    if isinstance(handle, socket.socket) and handle.family in {socket.AF_INET, socket.AF_INET6}:
        for option, value in _KEEPALIVE:
            handle.setsockopt(socket.IPPROTO_TCP, option, value)
