"""The files door as people with nc reach it: a real server, real sockets, a real disk."""

import hashlib
import os
import select
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import attrs
import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import SSL4ClientEndpoint, connectProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from chatd.config import Door
from chatd.domain.errors import NoSuchTicket, TooLate, TooSlow, TransferBusy
from chatd.domain.events import Seen, TicketGiven
from chatd.domain.limits import Gate
from chatd.domain.records import Role
from chatd.domain.session import LINGER
from chatd.doors.files import FilesFactory, FilesProtocol, Settings
from chatd.doors.passage import SECONDS
from chatd.doors.reception import Reception
from chatd.server import ChatService
from tests.certificates import write_certificate
from tests.disks import MemoryDisk
from tests.fakes import World
from tests.sockets import (
    GENERAL,
    PATIENCE,
    Client,
    Servers,
    eventually,
    free_port,
    port_of,
    reactor,
)
from tests.threads import in_reactor

NO_TICKET = f"ERROR {NoSuchTicket()}\n"
BUSY = f"ERROR {TransferBusy()}\n".encode()


def answer(data: bytes) -> str:
    """What whoever has sent this is told when it is here."""
    return f"OK {len(data)} {hashlib.sha256(data).hexdigest()}\n"


async def all_of(client: Client) -> bytes:
    """What a client is sent until the connection's end."""
    await eventually(lambda: client.closed)
    return client.received


@attrs.define(eq=False)
class Post:
    """Alice and bob in the chat of a server that has a files door."""

    servers: Servers
    service: ChatService
    alice: Client
    bob: Client

    async def to_send(self, size: int | str = "") -> str:
        """A ticket of alice's to send bob a file."""
        self.alice.send(f"/send bob notes.bin {size}\n")
        return await self._ticket(self.alice, "PUT")

    async def to_fetch(self) -> str:
        """The ticket that bob is given."""
        return await self._ticket(self.bob, "GET")

    async def connect(self, first: str = "", data: bytes = b"") -> Client:
        """Somebody at the files door, who has sent this."""
        client = await self.servers.connect(self.service, 1)
        client.transport.write(first.encode() + data)
        return client

    async def ask(self, first: str, data: bytes = b"", *, end: bool = False) -> str:
        """The answer to this, up to the connection's end."""
        client = await self.connect(first, data)
        if end:
            client.transport.loseWriteConnection()
        return await client.rest()

    @property
    def spool(self) -> list[int]:
        """The sizes of the files that are on the disk."""
        return [path.stat().st_size for path in (self.servers.state / "files").iterdir()]

    async def _ticket(self, client: Client, way: str) -> str:
        await client.until(f"echo {way} ")
        return (await client.until(" "))[:32]


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def post(servers: Servers) -> AsyncIterator[Post]:
    """Alice and bob."""
    service = servers.start(GENERAL, Door("files", ("tcp:0",), Settings()))
    alice, bob = await servers.connect(service), await servers.connect(service)
    await alice.login("alice")
    await bob.login("bob")
    yield Post(servers, service, alice, bob)


# With a real server.


@in_reactor
async def test_there_and_back(post: Post) -> None:
    """A file goes in with its size, is offered, comes out as it was, and is gone then."""
    data = os.urandom(3_000_000)
    assert await post.ask(f"PUT {await post.to_send()} {len(data)}\n", data) == answer(data)
    assert post.spool == [len(data)]
    assert await all_of(await post.connect(f"GET {await post.to_fetch()}\r\n")) == data
    await post.alice.until("bob has fetched notes.bin.")
    await eventually(lambda: post.spool == [])


@in_reactor
async def test_end_of_input(post: Post) -> None:
    """Without a size a file ends where the client's input ends; it can still fetch that way."""
    assert await post.ask(f"PUT {await post.to_send()}\n", b"hello", end=True) == answer(b"hello")
    assert await post.ask(f"GET {await post.to_fetch()}", end=True) == "hello"


@in_reactor
async def test_parts(post: Post) -> None:
    """What broke off goes on where the server is, in both directions."""
    ticket = await post.to_send(10)
    told = await post.ask(f"PUT {ticket}\n", b"hello", end=True)
    assert told == "ERROR 5 of 10 bytes are here: the same ticket goes on from 5.\n"
    told = await post.ask(f"PUT {ticket} 10 7\n")
    assert told == "ERROR The server has 5 bytes of it: go on from there.\n"
    assert await post.ask(f"PUT {ticket} 10 5\n", b"world") == answer(b"helloworld")
    ticket = await post.to_fetch()
    assert (await post.ask(f"GET {ticket} 11\n")).startswith("ERROR The server has 10 bytes of it")
    assert await post.ask(f"GET {ticket} 5\n") == "world"
    assert await post.ask(f"GET {ticket}\n") == "helloworld"


@in_reactor
async def test_killed(post: Post) -> None:
    """What has come of a client that is killed is kept, and the same ticket goes on."""
    ticket = await post.to_send()
    client = await post.connect(f"PUT {ticket} 10\n", b"hello")
    await eventually(lambda: post.spool == [5])
    assert "under way already" in await post.ask(f"PUT {ticket} 10\n")
    client.transport.abortConnection()
    await post.alice.until("stopped at 5 bytes")
    assert await post.ask(f"PUT {ticket} 10 5\n", b"world") == answer(b"helloworld")


@in_reactor
async def test_refused_while_it_sends(post: Post) -> None:
    """A client that still sends can read why it is refused, and is not reset before."""
    with socket.create_connection(("127.0.0.1", port_of(post.service, 1))) as client:
        client.sendall(f"PUT {'0' * 32} 100000000\n".encode())
        client.setblocking(False)
        await eventually(lambda: select.select([client], [], [], 0)[0])
        left = 20_000_000
        while left:
            await eventually(lambda: select.select([], [client], [], 0)[1])
            left -= client.send(bytes(min(left, 1_000_000)))
        client.shutdown(socket.SHUT_WR)
        client.setblocking(True)
        assert client.recv(1000).decode() == NO_TICKET
        assert client.recv(1000) == b""


@in_reactor
@pytest.mark.parametrize(
    ("first", "told"),
    [
        ("PUT {ticket} -5\n", "ERROR -5 is no number of bytes.\n"),
        ("GET {ticket}\n", NO_TICKET),
        ("GET ../../etc/passwd\n", NO_TICKET),
        ("hello\n", "ERROR The first line is PUT TICKET [SIZE [OFFSET]] or GET TICKET [OFFSET].\n"),
        ("PUT {ticket} 4\nhello", "ERROR There is more than the 4 bytes announced.\n"),
    ],
)
async def test_refused(post: Post, first: str, told: str) -> None:
    """What can't be done is refused in one line."""
    assert await post.ask(first.format(ticket=await post.to_send()), end=True) == told


@in_reactor
async def test_nothing(post: Post) -> None:
    """Who says nothing and goes is told nothing."""
    assert await post.ask("", end=True) == ""


@in_reactor
async def test_cancelled(post: Post) -> None:
    """Who fetches a file that is cancelled, or sends it, is cut, and it is gone."""
    ticket = await post.to_send()
    client = await post.connect(f"PUT {ticket} 10\n", b"hello")
    await eventually(lambda: post.spool == [5])
    post.alice.send("/cancel 1\n")
    await post.alice.until("cancelled")
    assert await client.rest() == NO_TICKET
    await eventually(lambda: post.spool == [])
    data = bytes(30_000_000)
    await post.ask(f"PUT {await post.to_send()} {len(data)}\n", data)
    with socket.socket() as fetching:
        fetching.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        fetching.connect(("127.0.0.1", port_of(post.service, 1)))
        fetching.sendall(f"GET {await post.to_fetch()}\n".encode())
        fetching.setblocking(False)
        await eventually(lambda: select.select([fetching], [], [], 0)[0])
        post.alice.send("/cancel 2\n")
        await post.alice.until("cancelled")
        await eventually(lambda: is_reset(fetching))
    await eventually(lambda: post.spool == [])


def is_reset(client: socket.socket) -> bool:
    """Read what is there; whether the server has closed in the middle of it."""
    try:
        return client.recv(1_000_000) == b"never"
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@in_reactor
async def test_stop(post: Post) -> None:
    """When the server stops, what has come is kept, and goes on after the next start."""
    ticket = await post.to_send()
    client = await post.connect(f"PUT {ticket} 10\n", b"hello")
    await eventually(lambda: post.spool == [5])
    await post.servers.stop(post.service)
    await eventually(lambda: client.closed)
    post.service = post.servers.start(GENERAL, Door("files", ("tcp:0",), Settings()))
    assert await post.ask(f"PUT {ticket} 10 5\n", b"world") == answer(b"helloworld")


@in_reactor
async def test_http_too(post: Post) -> None:
    """The same port speaks HTTP."""
    ticket = await post.to_send()
    head = f"PUT /{ticket} HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n"
    told = await post.ask(head, b"hello")
    assert told.startswith("HTTP/1.1 201 Created\r\n")
    assert told.endswith(f"\r\n\r\n{answer(b'hello').removeprefix('OK ')}")
    client = await post.connect(f"GET /{await post.to_fetch()} HTTP/1.1\r\nHost: here\r\n\r\n")
    assert (await client.rest()).endswith("\r\n\r\nhello")


@attrs.define(eq=False)
class Secure:
    """Alice and bob in the chat of a server whose files door has TLS, and nothing else has."""

    servers: Servers
    port: int
    alice: Client
    bob: Client

    async def to_send(self, size: int | str = "") -> str:
        """A ticket of alice's to send bob a file."""
        self.alice.send(f"/send bob notes.bin {size}\n")
        return await self.ticket(self.alice)

    async def ticket(self, client: Client) -> str:
        """The ticket that somebody is given."""
        await client.until(f"https://127.0.0.1:{self.port}/")
        return (await client.until("\r\n"))[:32]

    async def connect(self, first: str, data: bytes = b"") -> Client:
        """Somebody at the files door, who has sent this."""
        endpoint = SSL4ClientEndpoint(reactor, "127.0.0.1", self.port, CertificateOptions())
        client: Client = await connectProtocol(endpoint, Client()).addTimeout(PATIENCE, reactor)
        self.servers.clients.append(client)
        client.transport.write(first.encode() + data)
        return client


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def secure(servers: Servers, tmp_path: Path) -> AsyncIterator[Secure]:
    """Alice and bob."""
    pem, number = write_certificate(tmp_path, "first"), free_port()
    door = Door("files", (f"ssl:{number}:privateKey={pem}",), Settings())
    service = servers.start(GENERAL, door)
    alice, bob = await servers.connect(service), await servers.connect(service)
    await alice.login("alice")
    await bob.login("bob")
    yield Secure(servers, number, alice, bob)


@in_reactor
async def test_tls(secure: Secure) -> None:
    """With TLS it is the same, and a client's clean end is the end of its file."""
    data = os.urandom(3_000_000)
    client = await secure.connect(f"PUT {await secure.to_send()}\n", data)
    client.transport.loseConnection()
    await secure.alice.until("notes.bin is here")
    ticket = await secure.ticket(secure.bob)
    assert await (await secure.connect("GET nothing\n")).rest() == NO_TICKET
    assert await all_of(await secure.connect(f"GET {ticket}\n")) == data
    await secure.alice.until("bob has fetched notes.bin.")


@in_reactor
async def test_tls_broken(secure: Secure) -> None:
    """With TLS too what broke off goes on where it was, and no client's end is an error of ours."""
    data = os.urandom(30_000_000)
    ticket = await secure.to_send(len(data))
    client = await secure.connect(f"PUT {ticket}\n", data[:1000])
    await eventually(lambda: list((secure.servers.state / "files").iterdir()))
    client.transport.abortConnection()
    await secure.alice.until("stopped at 1000 of 30000000 bytes")
    client = await secure.connect(f"PUT {ticket} {len(data)} 1000\n", data[1000:])
    assert await client.rest() == answer(data)
    ticket = await secure.ticket(secure.bob)
    client = await secure.connect(f"GET {ticket}\n")
    await eventually(lambda: client.received)
    client.transport.abortConnection()
    await eventually(lambda: client.closed)
    begun = client.received
    assert len(begun) < len(data)
    rest = BUSY
    while rest.startswith(BUSY):  # it takes the server a moment to notice
        client = await secure.connect(f"GET {ticket} {len(begun)}\n")
        rest = await all_of(client)
    assert begun + rest == data


# On a clock.


class Wire(StringTransport):
    """A transport in memory that can be seen to be aborted."""

    aborted = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def text(self) -> str:
        """What was written."""
        return self.value().decode()  # type: ignore[no-any-return, no-untyped-call]

    def abortConnection(self) -> None:
        """Remember that."""
        self.aborted = True


@attrs.define(eq=False)
class Hall:
    """A files door in memory, and everybody who comes to it."""

    world: World
    disk: MemoryDisk = attrs.field(factory=MemoryDisk)
    factory: FilesFactory = attrs.field(init=False)
    came: list[FilesProtocol] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        reception = Reception(self.world.hub, Gate(3, 0), "files", 0, None)
        reception.spool = self.disk
        self.factory = FilesFactory(reception, Gate(0, 2))

    def connect(self, address: str = "10.0.0.9") -> tuple[FilesProtocol, Wire]:
        """Somebody from an address."""
        protocol = self.factory.buildProtocol(IPv4Address("TCP", address, 40_000))
        return protocol, self.admit(protocol)

    def admit(self, protocol: FilesProtocol) -> "Wire":
        """Let somebody come in."""
        transport = Wire()
        protocol.makeConnection(transport)  # type: ignore[no-untyped-call]
        self.came.append(protocol)
        return transport

    def leave(self) -> None:
        """Let everybody go."""
        for protocol in self.came:
            protocol.connectionLost(connectionDone)
        self.came.clear()


@pytest.fixture
def hall(world: World) -> Iterator[Hall]:
    """A files door; everybody has left it at the end."""
    made = Hall(world)
    yield made
    made.leave()
    assert not made.factory.connections
    assert not len(made.factory.gate)
    assert not len(made.factory.reception.gate)


def test_full(hall: Hall, clock: Clock) -> None:
    """No more than so many come from one address, and so many in all."""
    hall.connect()
    hall.connect()
    _, third = hall.connect()
    assert third.text == "ERROR There are too many connections from your address.\n"
    assert third.disconnecting
    clock.advance(LINGER)
    assert third.aborted  # whether it has read that or not
    hall.connect("10.0.0.10")
    protocol, other = hall.connect("10.0.0.11")
    assert other.text == "ERROR The server is full, please try again later.\n"
    protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
    assert hall.world.hub.counts.turned_away == 2
    assert hall.world.hub.counts.connections == 3


def test_banned(hall: Hall) -> None:
    """Who is banned by his address can't send files either."""
    hall.world.account("op", role=Role.OPERATOR)
    hall.world.ask(hall.world.login("op"), "ban 10.0.0.9")
    _, transport = hall.connect()
    assert transport.text.startswith("ERROR Your address is banned")


def test_late(hall: Hall, clock: Clock) -> None:
    """Who doesn't say within twenty seconds what he wants is cut, however slowly he speaks."""
    protocol, transport = hall.connect()
    for letter in b"PUT 0123456789abcde":
        protocol.dataReceived(bytes([letter]))
        clock.advance(1)
        assert transport.text == ""
    clock.advance(1)
    assert transport.text == f"ERROR {TooLate(20)}\n"
    assert transport.disconnecting
    clock.advance(LINGER)
    assert transport.aborted


def test_no_word_of_it(hall: Hall) -> None:
    """A refusal is counted, and operators see it, without the ticket."""
    protocol, _ = hall.connect()
    protocol.dataReceived(b"GET 0123456789abcdef0123456789abcdef\n")
    (seen,) = [one for one in hall.world.seen if one.what is Seen.REFUSAL]
    assert (seen.who, seen.text) == ("10.0.0.9", "no_such_ticket at files")
    assert hall.world.hub.counts.refusals == 1


def test_one_byte_a_minute(hall: Hall, clock: Clock) -> None:
    """A client that sends hardly anything is told so, and cut."""
    hall.world.login("bob")
    alice = hall.world.login("alice")
    (given,) = hall.world.ask(alice, "send bob notes.txt")
    assert isinstance(given, TicketGiven)
    protocol, transport = hall.connect()
    protocol.dataReceived(f"PUT {given.ticket} 10\n".encode())
    protocol.dataReceived(b"x")
    clock.advance(SECONDS)
    assert transport.text == f"ERROR {TooSlow()}\n"
    assert transport.disconnecting
    assert list(hall.disk.files.values()) == [b"x"]
    protocol.dataReceived(b"y")


def test_unix_socket(hall: Hall) -> None:
    """A client on a unix socket has no address."""
    protocol = hall.factory.buildProtocol(None)
    hall.admit(protocol)
    protocol.dataReceived(b"hello\n")
    protocol.writeConnectionLost()
    (seen,) = [one for one in hall.world.seen if one.what is Seen.REFUSAL]
    assert seen.who == "somebody here"
