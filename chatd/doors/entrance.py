"""Entrances: one endpoint string each, where connections come in.

The rule: a port is not closed because something behind it changes. Right behind it stands a
:class:`Switch`, so that an open port can lead to another door, and have another certificate, and
the connections that were made before notice nothing.

An endpoint reads its certificate when its string is parsed, and keeps it. So a string with TLS is
parsed again for another certificate, with something in the reactor's place that opens nothing and
only notes what would have listened. Rejected: to put our own object into the endpoint, which its
class keeps private; to close the port and open it again, which turns clients away.
"""

import socket
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IProtocolNegotiationFactory,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.config import TLS, kind_of
from chatd.configfile import collide, place_of
from chatd.doors.reception import ListenError

_BACKLOG: Final = 1024  # the kernel takes fewer where net.core.somaxconn says so


@implementer(IProtocolFactory, IProtocolNegotiationFactory)
@attrs.define(eq=False)
class Switch:
    """Stands where a factory is wanted, and can lead to another one at any time."""

    _to: IProtocolFactory
    _ports: int = 0

    def lead_to(self, factory: IProtocolFactory) -> None:
        """Let new connections be this factory's."""
        old, self._to = self._to, factory
        for _ in range(self._ports):
            factory.doStart()
            old.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """A connection from ``addr``."""
        return self._to.buildProtocol(addr)

    def acceptableProtocols(self) -> list[bytes]:
        """What a client may ask for within TLS (ALPN); without it, one that asks is not let in."""
        asked = IProtocolNegotiationFactory(self._to, None)
        return [] if asked is None else list(asked.acceptableProtocols())

    def doStart(self) -> None:
        """A port has been opened."""
        self._ports += 1
        self._to.doStart()

    def doStop(self) -> None:
        """A port has been closed."""
        self._ports -= 1
        self._to.doStop()


@attrs.define(eq=False)
class Entrance:
    """One endpoint, open or not. ``text`` is its string, with the interface in it."""

    text: str
    _reactor: Any
    _door: Switch
    _front: Switch | None = None  # before TLS; None where there is none
    _port: IListeningPort | None = None

    @classmethod
    def to(cls, factory: IProtocolFactory, text: str, reactor: Any) -> "Entrance":
        """An entrance that leads to a door; not open yet."""
        return cls(text, reactor, Switch(factory))

    @property
    def has_certificate(self) -> bool:
        """Whether nobody else can read what goes through here."""
        return kind_of(self.text) in TLS

    @property
    def address(self) -> IAddress:
        """Where it listens."""
        assert self._port is not None
        return self._port.getHost()

    def collides(self, other: "Entrance") -> bool:
        """Whether only one of the two can be open."""
        one, another = place_of(self.text), place_of(other.text)
        return one is not None and another is not None and collide(one, another)

    def lead_to(self, factory: IProtocolFactory) -> None:
        """Let new connections be another door's."""
        self._door.lead_to(factory)

    def open(self) -> None:
        """Listen.

        Raises:
            ListenError: it can't be had.
        """
        if self.has_certificate:
            noted = self._note()
            self._front = Switch(noted.factory)
            listening = maybeDeferred(
                self._reactor.listenTCP, noted.port, self._front, noted.backlog, noted.interface
            )
        else:
            endpoint = serverFromString(self._reactor, self.text)
            listening = endpoint.listen(self._door)
        self._port = _result(self.text, listening)
        if ":backlog=" not in self.text:
            _lengthen(self._port)

    def close(self) -> Deferred[Any]:
        """Take no more connections; those that are there stay."""
        port, self._port = self._port, None
        return maybeDeferred(port.stopListening if port is not None else lambda: None)

    def renewed(self) -> IProtocolFactory | None:
        """What to :meth:`renew` the certificate with, as it is in its files now.

        Raises:
            ListenError: there is none, or it can't be read.
        """
        return self._note().factory if self._front is not None else None

    def renew(self, factory: IProtocolFactory) -> None:
        """Let new connections have another certificate."""
        assert self._front is not None
        self._front.lead_to(factory)

    def _note(self) -> "_Noted":
        noted = _Noted(self._reactor)
        try:
            endpoint = serverFromString(noted, self.text)
        except Exception as error:  # noqa: BLE001 (whatever is wrong with the certificate's files)
            raise ListenError(f"{self.text}: {error or type(error).__name__}") from None
        _result(self.text, endpoint.listen(self._door))
        return noted


class _Noted:
    """Stands where an endpoint wants the reactor: opens nothing, and notes what it is given."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.factory: IProtocolFactory
        self.port = self.backlog = 0
        self.interface = ""

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> None:
        """Note it."""
        self.port, self.factory, self.backlog = port, factory, backlog
        self.interface = interface

    def listenSSL(
        self,
        port: int,
        factory: IProtocolFactory,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> None:
        """Note it, with TLS around the factory."""
        # Here, so that only those need pyOpenSSL who have such an endpoint.
        from twisted.protocols.tls import TLSMemoryBIOFactory

        contextFactory.getContext()  # otherwise made for the first client, where it can still fail
        secured = TLSMemoryBIOFactory(contextFactory, False, factory, clock=self._reactor)
        self.listenTCP(port, secured, backlog, interface)


def _result(text: str, listening: "Deferred[Any]") -> Any:
    """What listening has come to, which is known at once.

    Raises:
        ListenError: it can't be had.
    """
    done: list[Any] = []
    failed: list[Failure] = []
    listening.addCallbacks(done.append, failed.append)
    if failed:
        raise ListenError(f"{text}: {_reason(failed[0])}")
    return done[0]


def _lengthen(port: Any) -> None:
    """Let more clients come at one moment than the 50 of an endpoint's default.

    Those above wait for a second or more before they try again (measured: 200 logins at once took
    16 ms each with 50 places, 2 ms with enough of them).
    """
    listening = getattr(port, "socket", None)
    if isinstance(listening, socket.socket):
        listening.listen(_BACKLOG)


def _reason(failure: Failure) -> str:
    """Why a port can't be had, in the words of the system."""
    error: BaseException | None = failure.value
    inner = getattr(error, "socketError", None)
    return getattr(inner, "strerror", None) or str(inner or error)
