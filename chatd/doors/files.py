"""The files door: where files come in and go out, with a ticket (PRODUCT.md, 10).

The rule: the first bytes of a connection say in which manner it goes on, that of nc
(:mod:`chatd.doors.fileraw`) or that of HTTP (:mod:`chatd.doors.fileweb`); here is only who may come
in, and how long he may take to say so.
"""

from typing import Any, ClassVar, Final

import attrs
from twisted.application.service import Service
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProtocolNegotiationFactory,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.config import at_least, setting
from chatd.domain.errors import Banned, ChatError, TooBusy, TooLate
from chatd.domain.limits import Gate
from chatd.domain.ports import Timer
from chatd.domain.session import LINGER
from chatd.doors.fileraw import RawConnection
from chatd.doors.fileweb import http
from chatd.doors.line import tune
from chatd.doors.reception import Reception
from chatd.wire.transfer import Http, read_opening, refused

_OPENING_SECONDS: Final = 20


@attrs.frozen
class Settings:
    """Where files are sent to and fetched from, by nc or with a browser."""

    PORT: ClassVar[int] = 5080

    connections_per_address: int = setting(
        16, "connections from one address; 0: any number", at_least(0)
    )


def open_door(settings: Settings, reception: Reception) -> "FilesDoor":
    """The service of a door for files."""
    factory = FilesFactory(reception, Gate(0, settings.connections_per_address))
    reception.factory = factory
    return FilesDoor(factory)


class FilesDoor(Service):
    """Ends the connections when the server stops; what has come of a file is kept."""

    def __init__(self, factory: "FilesFactory") -> None:
        self._factory = factory

    def stopService(self) -> None:
        """Close everything that is under way."""
        Service.stopService(self)
        for connection in list(self._factory.connections):
            connection.transport.abortConnection()


@implementer(IProtocolNegotiationFactory)
class FilesFactory(ServerFactory):
    """Makes a :class:`FilesProtocol` for each connection. ``gate`` counts those of this door."""

    noisy = False

    def __init__(self, reception: Reception, gate: Gate) -> None:
        self.reception = reception
        self.gate = gate
        self.connections: dict[FilesProtocol, None] = {}

    def buildProtocol(self, addr: IAddress | None) -> "FilesProtocol":
        """A connection from ``addr``; a unix socket's has no host."""
        return FilesProtocol(self, getattr(addr, "host", "") or "")

    def acceptableProtocols(self) -> list[bytes]:
        """What curl and browsers ask for within TLS (ALPN); nc's manner has no name."""
        return [b"http/1.1"]


@implementer(IHalfCloseableProtocol)
class FilesProtocol(Protocol):
    """One connection, until its manner is known; from then on it goes to :attr:`_manner`."""

    transport: Any

    def __init__(self, factory: FilesFactory, address: str) -> None:
        self._factory = factory
        self._reception = factory.reception
        self._address = address
        self._entered: list[Gate] = []
        self._opening: bytes | None = None  # what has come, as long as that says nothing yet
        self._manner: Any = None
        self._timer: Timer | None = None

    def connectionMade(self) -> None:
        """Let the client in, if there is room."""
        hub = self._reception.hub
        self._factory.connections[self] = None
        try:
            hub.sanctions.check_address(self._address)
            for gate in (self._factory.gate, self._reception.gate):
                gate.enter(self._address)
                self._entered.append(gate)
        except (Banned, TooBusy) as error:
            hub.counts.turned_away += 1
            self.transport.write(refused(error))
            self.transport.loseConnection()
            # One that doesn't even finish its TLS handshake would stay.
            self._timer = hub.clock.callLater(LINGER, self.transport.abortConnection)
            return
        hub.counts.connections += 1
        tune(self.transport)
        self._opening = b""
        self._timer = hub.clock.callLater(_OPENING_SECONDS, self._late)

    def dataReceived(self, data: bytes) -> None:
        """Take what the client has sent."""
        if self._manner is not None:
            self._manner.dataReceived(data)
        elif self._opening is not None:
            self._read(self._opening + data)

    def readConnectionLost(self) -> None:
        """The client sends no more, but may still read."""
        if self._opening:
            self._read(self._opening + b"\n")
        if self._manner is not None:
            self._manner.readConnectionLost()
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Nothing more of ours can be sent."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._factory.connections.pop(self)
        for gate in self._entered:
            gate.leave(self._address)
        self._stop_timer()
        if self._manner is not None:
            self._manner.connectionLost(reason)

    def _read(self, data: bytes) -> None:
        try:
            found = read_opening(data)
        except ChatError as error:
            self._go_on(RawConnection(self._reception, self._address, error), b"")
            return
        if found is None:
            self._opening = data
            return
        opening, rest = found
        if isinstance(opening, Http):
            self._go_on(http(self._reception, self._address), rest)
        else:
            self._go_on(RawConnection(self._reception, self._address, opening), rest)

    def _go_on(self, manner: Any, rest: bytes) -> None:
        """Let the rest of the connection be in this manner."""
        self._stop_timer()
        self._opening, self._manner = None, manner
        manner.makeConnection(self.transport)
        if rest:
            manner.dataReceived(rest)

    def _late(self) -> None:
        self._go_on(RawConnection(self._reception, self._address, TooLate(_OPENING_SECONDS)), b"")

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
