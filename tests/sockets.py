"""A real server in the test's own process, and clients over real sockets on loopback.

Every wait ends after five seconds, so that a server that says nothing fails the test.
"""

import re
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest_twisted
from twisted.internet import reactor as _reactor  # noqa: TID251  the real one is what is tested
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.config import Accounts, Channel, Config, Door
from chatd.server import ChatService

reactor: Any = _reactor

PATIENCE = 5

LOBBY = Door("line", ("tcp:0",))
GENERAL = Channel("general", ("tcp:0",))


def untimed(text: str) -> str:
    """What was received with every time in it written TIME."""
    return re.sub(r"\d\d:\d\d:\d\d", "TIME", text)


@implementer(IHalfCloseableProtocol)
class Client(Protocol):
    """A client that remembers what it was sent, and can wait for more."""

    transport: Any

    def __init__(self) -> None:
        self._received = b""
        self._wake: Deferred[None] = Deferred()
        self.closed = False
        self.reason = connectionDone

    @property
    def received(self) -> bytes:
        """What has come, and was not taken yet."""
        return self._received

    async def until(self, *marks: str) -> str:
        """What comes up to the end of the first of these marks, once the others before came too."""
        end = 0
        for mark in marks:
            while (at := self._received.find(mark.encode(), end)) < 0:
                assert not self.closed, f"closed before {mark!r}: {self._received!r}"
                await self._more()
            end = at + len(mark.encode())
        taken, self._received = self._received[:end], self._received[end:]
        return untimed(taken.decode())

    async def rest(self) -> str:
        """What comes until the server closes the connection."""
        while not self.closed:
            await self._more()
        taken, self._received = self._received, b""
        return untimed(taken.decode())

    async def login(self, name: str) -> str:
        """Open an account with the password "secret", and read up to the welcome's end."""
        self.send(f"{name}\nsecret\nsecret\n")
        return await self.until("Welcome to", "\r\n")

    def send(self, text: str) -> None:
        """Send something."""
        self.transport.write(text.encode())

    def dataReceived(self, data: bytes) -> None:
        """Remember it."""
        self._received += data
        self._woken()

    def readConnectionLost(self) -> None:
        """The server has closed its side: close ours."""
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """We have closed our side, and go on reading."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self.closed, self.reason = True, reason
        self._woken()

    async def _more(self) -> None:
        await self._wake.addTimeout(PATIENCE, reactor)

    def _woken(self) -> None:
        wake, self._wake = self._wake, Deferred()
        wake.callback(None)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def port_of(service: ChatService, way: int = 0) -> int:
    """The port of one of the ways in, in the order of the configuration, channels first."""
    (entrance,) = service.openings.ways[way].entrances
    address: Any = entrance.address
    port: int = address.port
    return port


async def eventually(done: Callable[[], object]) -> None:
    """Wait until something is so; a TimeoutError if it never is."""
    until = reactor.seconds() + PATIENCE
    while not done():
        if reactor.seconds() > until:
            raise TimeoutError
        await deferLater(reactor, 0.005)


@attrs.define(eq=False)
class Servers:
    """Servers of one test, on one state directory, and everyone who is connected to them."""

    state: Path
    running: list[ChatService] = attrs.field(factory=list)
    clients: list[Client] = attrs.field(factory=list)
    wanted: Config | Exception = attrs.field(factory=Config)  # what a rehash reads

    def configuration(self, *ways: Channel | Door, **changes: Any) -> Config:
        """A configuration with these ways in, quick passwords and the test's own directory."""
        return Config(
            **{
                "state": str(self.state),
                "accounts": Accounts(bcrypt_cost=4),
                "channels": tuple(way for way in ways if isinstance(way, Channel)),
                "doors": tuple(way for way in ways if isinstance(way, Door)),
                **changes,
            }
        )

    def start(self, *ways: Channel | Door, **changes: Any) -> ChatService:
        """A server that runs."""
        service = ChatService(self.configuration(*ways, **changes), reactor, self._read)
        self.running.append(service)
        service.startService()
        return service

    async def rehash(
        self, service: ChatService, *ways: Channel | Door, **changes: Any
    ) -> tuple[str, ...]:
        """Let a server read a configuration with these ways in, and say what is different."""
        self.wanted = self.configuration(*ways, **changes)
        done = Deferred.fromCoroutine(service.rehash())
        return await done.addTimeout(PATIENCE, reactor)

    async def stop(self, service: ChatService) -> None:
        """Stop a server as a signal would."""
        self.running.remove(service)
        await service.stopService().addTimeout(2 * PATIENCE, reactor)

    async def connect(self, service: ChatService, way: int = 0) -> Client:
        """A client at one of the ways in, in the order of the configuration, channels first."""
        (entrance,) = service.openings.ways[way].entrances
        address: Any = entrance.address
        path = getattr(address, "name", None)
        where = f"unix:{path.decode()}" if path else f"tcp:127.0.0.1:{address.port}"
        connecting = connectProtocol(clientFromString(reactor, where), Client())
        client: Client = await connecting.addTimeout(PATIENCE, reactor)
        self.clients.append(client)
        return client

    def _read(self) -> Config:
        if isinstance(self.wanted, Exception):
            raise self.wanted
        return self.wanted

    async def finish(self) -> None:
        """Close everything; nothing may be left in the reactor."""
        for client in self.clients:
            if not client.closed:
                client.transport.abortConnection()
        await eventually(lambda: all(client.closed for client in self.clients))
        for service in list(self.running):
            await self.stop(service)
        await eventually(lambda: not reactor.getDelayedCalls())


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    """Servers that are stopped when the test ends."""
    made = Servers(tmp_path / "state")
    yield made
    await made.finish()
