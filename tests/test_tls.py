"""TLS by a real client, and certificates that are renewed while people are inside."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from chatd.config import Channel, Door
from chatd.domain.errors import BadConfiguration
from chatd.server import ChatService
from tests.certificates import write_certificate
from tests.sockets import GENERAL, PATIENCE, Servers, free_port, port_of, reactor, untimed

ensure = pytest_twisted.ensureDeferred

NAME = "chat.example"  # what a client asks for, where a server has several certificates


class Openssl(ProcessProtocol):
    """``openssl s_client``, as a person at a terminal has it."""

    transport: Any

    def __init__(self, port: int) -> None:
        self._told = b""
        self._heard = b""
        self._wake: Deferred[None] = Deferred()
        self.closed = False
        words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-brief", "-ign_eof"]
        reactor.spawnProcess(self, words[0], [*words, "-servername", NAME], os.environ)

    async def until(self, mark: str) -> str:
        """What the server says up to the end of this mark."""
        while mark.encode() not in self._heard:
            await self._more()
        taken, marked, self._heard = self._heard.partition(mark.encode())
        return untimed((taken + marked).decode())

    async def certificate(self) -> str:
        """Whose certificate it was shown."""
        while (found := re.search(rb"Peer certificate: O = (.*)\n", self._told)) is None:
            await self._more()
        return found[1].decode()

    async def end(self) -> None:
        """Break off."""
        if not self.closed:
            self.transport.signalProcess("KILL")
        while not self.closed:
            await self._wake.addTimeout(PATIENCE, reactor)

    def send(self, text: str) -> None:
        """Type something."""
        self.transport.write(text.encode())

    def outReceived(self, data: bytes) -> None:
        """Remember what the server says."""
        self._heard += data
        self._woken()

    def errReceived(self, data: bytes) -> None:
        """Remember what openssl says of the connection."""
        self._told += data
        self._woken()

    def processEnded(self, reason: Failure) -> None:
        """It has ended."""
        self.closed = True
        self._woken()

    async def _more(self) -> None:
        assert not self.closed, self._told
        await self._wake.addTimeout(PATIENCE, reactor)

    def _woken(self) -> None:
        wake, self._wake = self._wake, Deferred()
        wake.callback(None)


@attrs.define(eq=False)
class Clients:
    """Everybody who is connected with TLS."""

    made: list[Openssl] = attrs.field(factory=list)

    def connect(self, service: ChatService, way: int = 0) -> Openssl:
        """A client at one of the ways in."""
        self.made.append(Openssl(port_of(service, way)))
        return self.made[-1]

    async def login(self, service: ChatService, name: str, way: int = 0) -> Openssl:
        """Somebody who has come in by one of the ways."""
        client = self.connect(service, way)
        await client.until("Name: ")
        client.send(f"{name}\nsecret\nsecret\n")
        await client.until(f"{name} has joined the channel.\r\n")
        return client


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def clients() -> AsyncIterator[Clients]:
    """Clients that are ended when the test is."""
    made = Clients()
    yield made
    for client in made.made:
        await client.end()


def secured(pem: str) -> Channel:
    """The channel general, behind the certificate of a file."""
    return Channel("general", (f"ssl:{free_port()}:privateKey={pem}",))


@ensure  # type: ignore[untyped-decorator]
async def test_chat(servers: Servers, clients: Clients, tmp_path: Path) -> None:
    """Two people talk over TLS as they would without."""
    service = servers.start(secured(write_certificate(tmp_path, "first", NAME)))
    alice = await clients.login(service, "alice")
    bob = await clients.login(service, "bob")
    assert await bob.certificate() == "first"
    alice.send("hello\n")
    assert await bob.until("hello\r\n") == "[alice (TIME)] hello\r\n"
    bob.send("/quit\n")
    assert await bob.until("bob.\r\n") == "[Server message (TIME)] Goodbye, bob.\r\n"


@pytest.mark.parametrize("kind", ["file", "directory"])
@ensure  # type: ignore[untyped-decorator]
async def test_renewed(kind: str, servers: Servers, clients: Clients, tmp_path: Path) -> None:
    """Who comes after a renewal has the new certificate; who came before talks on."""
    pem = write_certificate(tmp_path, "first", NAME)
    text = secured(pem).listen[0] if kind == "file" else f"tls:{tmp_path}:{free_port()}"
    channel = Channel("general", (text,))
    service = servers.start(channel)
    alice = await clients.login(service, "alice")
    write_certificate(tmp_path, "second", NAME)
    assert await servers.rehash(service, channel) == (f"{text}: its certificate was read again",)
    bob = await clients.login(service, "bob")
    assert (await alice.certificate(), await bob.certificate()) == ("first", "second")
    alice.send("hello\n")
    assert await bob.until("hello\r\n") == "[alice (TIME)] hello\r\n"


@ensure  # type: ignore[untyped-decorator]
async def test_bad_certificate(servers: Servers, clients: Clients, tmp_path: Path) -> None:
    """A certificate that can't be read refuses the whole configuration; the old one serves on."""
    pem = write_certificate(tmp_path, "first", NAME)
    channel = secured(pem)
    service = servers.start(channel)
    Path(pem).write_text("nonsense")
    with pytest.raises(BadConfiguration) as raised:
        await servers.rehash(service, channel, Door("line", ("tcp:0",)), name="other")
    assert str(raised.value).startswith(f"{channel.listen[0]}:interface=127.0.0.1: ")
    assert len(service.openings.ways) == 1
    alice = await clients.login(service, "alice")
    assert await alice.certificate() == "first"


@ensure  # type: ignore[untyped-decorator]
async def test_no_certificate(servers: Servers, tmp_path: Path) -> None:
    """A new door whose certificate is missing refuses the whole configuration."""
    service = servers.start(GENERAL)
    way = Door("line", secured(str(tmp_path / "none")).listen)
    with pytest.raises(BadConfiguration) as raised:
        await servers.rehash(service, GENERAL, way)
    assert "No such file or directory" in str(raised.value)


@ensure  # type: ignore[untyped-decorator]
async def test_moved(servers: Servers, clients: Clients, tmp_path: Path) -> None:
    """A port with a certificate can be another channel's, and have a new certificate, at once."""
    general = secured(write_certificate(tmp_path, "first", NAME))
    service = servers.start(general)
    alice = await clients.login(service, "alice")
    write_certificate(tmp_path, "second", NAME)
    await servers.rehash(service, GENERAL, attrs.evolve(general, name="random"))
    bob = await clients.login(service, "bob", way=1)
    assert await bob.certificate() == "second"
    alice.send("/list\n")
    await alice.until("[Channel] general 1/100/0.\r\n[Channel] random 1/100/0.\r\n")
