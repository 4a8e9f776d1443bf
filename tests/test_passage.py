"""Files on their way in and out, whatever the manner: nothing is lost, and memory is bounded."""

import hashlib
import os
import select
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.domain.errors import (
    Incident,
    Incomplete,
    NoSpace,
    NoSuchTicket,
    TooLarge,
    TooSlow,
    TransferBusy,
    WrongOffset,
    WrongSize,
)
from chatd.domain.events import TicketGiven, Told
from chatd.domain.limits import Gate
from chatd.domain.session import Session
from chatd.doors.download import Download
from chatd.doors.passage import CLAIM_SECONDS, LEAST, MOST, SECONDS, Gone
from chatd.doors.reception import Reception
from chatd.doors.upload import Upload
from chatd.spool import DiskSpool
from tests.disks import MemoryDisk
from tests.fakes import World, sent_to
from tests.sockets import PATIENCE, eventually
from tests.threads import in_reactor, reactor, soon

OK = (5, hashlib.sha256(b"hello").hexdigest())


@attrs.define
class Source:
    """Where an upload comes from; it can be told to wait."""

    paused: bool = False

    def pauseProducing(self) -> None:
        """Wait."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Go on."""
        self.paused = False


@attrs.define(eq=False)
class Post:
    """Alice and bob in the chat, who send each other files over a disk."""

    world: World
    disk: Any = attrs.field(factory=MemoryDisk)
    alice: Session = attrs.field(init=False)
    bob: Session = attrs.field(init=False)
    reception: Reception = attrs.field(init=False)
    source: Source = attrs.field(factory=Source)

    def __attrs_post_init__(self) -> None:
        self.alice, self.bob = self.world.login("alice"), self.world.login("bob")
        self.reception = Reception(self.world.hub, Gate(0, 0), "files", 0, None)
        self.reception.spool = self.disk

    def to_send(self, size: int | str = "") -> str:
        """A ticket of alice's to send bob a file."""
        return self._ticket(self.alice, f"send bob notes.txt {size}")

    def again(self) -> str:
        """Another ticket for the same."""
        return self._ticket(self.alice, "get 1")

    def to_fetch(self) -> str:
        """A ticket of bob's to fetch it."""
        return self._ticket(self.bob, "get 1")

    def upload(self, ticket: str, size: int | None = None, offset: int = 0) -> Upload:
        """Alice's way to send."""
        return Upload(self.reception, self.source, ticket, size, offset)

    async def put(self, data: bytes) -> None:
        """Let a file be here."""
        upload = self.upload(self.to_send(), len(data))
        upload.take(data)
        await upload.open()
        await upload.run()

    def heard(self, who: Session) -> list[str]:
        """What somebody was told since this was last asked."""
        self.world.turn()
        return [line for event in sent_to(who) if isinstance(event, Told) for line in event.lines]

    def given(self, who: Session) -> list[TicketGiven]:
        """The tickets that somebody was given since this was last asked."""
        self.world.turn()
        return [event for event in sent_to(who) if isinstance(event, TicketGiven)]

    @property
    def there(self) -> bytes:
        """What has come of the one file that there is."""
        (data,) = self.disk.files.values()
        assert isinstance(data, bytes)
        return data

    def _ticket(self, who: Session, line: str) -> str:
        given = [one for one in self.world.ask(who, line) if isinstance(one, TicketGiven)]
        return given[-1].ticket


@pytest.fixture
def post(world: World) -> Post:
    """Alice and bob, and a disk in memory."""
    return Post(world)


def begun(upload: Upload) -> "Deferred[tuple[int, str]]":
    """An upload that is open, and runs."""
    done(Deferred.fromCoroutine(upload.open()))
    return Deferred.fromCoroutine(upload.run())


def done(deferred: "Deferred[Any]") -> Any:
    """What has come of something that is over, or its exception raised."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "it still waits"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


# Uploads.


def test_upload(post: Post) -> None:
    """A file of a known size is complete with its last byte, and bob is offered it."""
    upload = post.upload(post.to_send(), 5)
    running = begun(upload)
    upload.take(b"hel")
    assert not running.called
    upload.take(b"lo")
    assert done(running) == OK
    assert post.there == b"hello"
    assert [given.sha256 for given in post.given(post.bob)] == [OK[1]]
    upload.take(b"more")
    upload.lost()
    assert post.there == b"hello"
    assert post.disk.open == 0


def test_size_from_the_chat(post: Post) -> None:
    """The size may be known from /send; then the client need not tell it."""
    upload = post.upload(post.to_send(5))
    running = begun(upload)
    upload.take(b"hello")
    assert done(running) == OK


def test_no_size(post: Post) -> None:
    """A file of which nobody told the size is complete when the client says so."""
    upload = post.upload(post.to_send())
    running = begun(upload)
    upload.take(b"hello")
    assert not running.called
    upload.end()
    upload.lost()
    assert done(running) == OK


def test_empty_file(post: Post) -> None:
    """A file may be empty."""
    assert done(begun(post.upload(post.to_send(), 0)))[0] == 0


def test_early_bytes(post: Post) -> None:
    """What comes before the ticket is looked at isn't lost, and is counted."""
    post.disk.busy = True
    upload = post.upload(post.to_send(), 5)
    opening = Deferred.fromCoroutine(upload.open())
    upload.take(b"hel")
    upload.take(b"lo")
    post.disk.proceed()
    done(opening)
    assert done(Deferred.fromCoroutine(upload.run())) == OK
    upload = post.upload(post.to_send(), 5)
    upload.take(b"hello!")
    with pytest.raises(WrongSize):
        done(begun(upload))


def test_slow_disk(post: Post, clock: Clock) -> None:
    """While the disk is busy about a megabyte is gathered, and then the client has to wait."""
    upload = post.upload(post.to_send(), 4 * MOST)
    running = begun(upload)
    post.disk.busy = True
    upload.take(bytes(MOST))  # which the disk is about to write
    upload.take(bytes(MOST - 1))
    assert not post.source.paused
    upload.take(bytes(1))
    assert post.source.paused
    upload.take(bytes(100))  # what was on its way
    clock.advance(10 * SECONDS)  # it is not the client who is slow
    assert not running.called
    post.disk.proceed()
    assert not post.source.paused
    assert len(post.there) == 2 * MOST + 100
    upload.take(bytes(2 * MOST - 100))
    assert done(running)[0] == 4 * MOST


def test_tiny_pieces(post: Post) -> None:
    """Bytes that come one by one take no more memory than others."""
    upload = post.upload(post.to_send(), 5000)
    running = begun(upload)
    post.disk.busy = True
    sent = 0
    while not post.source.paused:
        upload.take(b"x")
        sent += 1
    assert sent < 1100
    post.disk.proceed()
    upload.take(b"x" * (5000 - sent))
    assert done(running)[0] == 5000


def test_broken_upload(post: Post) -> None:
    """An upload goes on where it broke off, or before that, and not behind it."""
    ticket = post.to_send()
    upload = post.upload(ticket, 5)
    running = begun(upload)
    upload.take(b"hel")
    upload.lost()
    with pytest.raises(Gone):
        done(running)
    assert "notes.txt stopped at 3 bytes; /get 1 tells how to go on." in post.heard(post.alice)
    with pytest.raises(WrongOffset) as caught:
        done(begun(post.upload(ticket, 5, 4)))
    assert caught.value.offset == 3
    assert post.heard(post.alice) == []
    upload = post.upload(ticket, 5, 2)
    running = begun(upload)
    upload.take(b"llo")
    assert done(running) == OK


def test_shorter_than_known(post: Post) -> None:
    """Where the disk has less than was known, the client is told how much."""
    ticket = post.to_send()
    upload = post.upload(ticket, 5)
    running = begun(upload)
    upload.take(b"hel")
    upload.lost()
    with pytest.raises(Gone):
        done(running)
    (name,) = post.disk.files
    post.disk.files[name] = b"h"
    with pytest.raises(WrongOffset) as caught:
        done(begun(post.upload(ticket, 5, 3)))
    assert caught.value.offset == 1
    upload = post.upload(ticket, 5, 1)
    running = begun(upload)
    upload.take(b"ello")
    assert done(running) == OK


def test_end_before_the_size(post: Post) -> None:
    """A file that ends too early is not accepted, and can be gone on with."""
    ticket = post.to_send()
    upload = post.upload(ticket, 5)
    running = begun(upload)
    upload.take(b"hel")
    upload.end()
    with pytest.raises(Incomplete, match=r"^3 of 5 bytes are here: .* goes on from 3\.$"):
        done(running)


def test_more_than_the_size(post: Post) -> None:
    """Of a file that has more than it should nothing is accepted, however late that is seen."""
    upload = post.upload(post.to_send(), 5)
    running = begun(upload)
    upload.take(b"hello!")
    with pytest.raises(WrongSize, match=r"^There is more than the 5 bytes announced\.$"):
        done(running)
    upload = post.upload(post.to_send(), 5)
    running = begun(upload)
    post.disk.busy = True
    upload.take(b"hello")
    upload.take(b"!")
    post.disk.proceed()
    with pytest.raises(WrongSize):
        done(running)
    assert post.given(post.bob) == []


def test_wrong_size(post: Post) -> None:
    """A size that can't be is refused before anything is written."""
    with pytest.raises(WrongSize, match=r"^notes\.txt was announced with 5 bytes, not 6\.$"):
        done(begun(post.upload(post.to_send(5), 6)))
    with pytest.raises(TooLarge):
        done(begun(post.upload(post.to_send(), 10**12)))
    assert post.disk.files == {}


def test_too_large(post: Post) -> None:
    """A file of unknown size is refused when it becomes too large; what has come is kept."""
    post.world.hub.files.rules = attrs.evolve(post.world.hub.files.rules, file_bytes=4)
    upload = post.upload(post.to_send())
    running = begun(upload)
    upload.take(b"hel")
    upload.take(b"lo")
    with pytest.raises(TooLarge):
        done(running)
    assert post.there == b"hel"


def test_refused_ticket(post: Post) -> None:
    """Without a good ticket nothing is gathered, and the client can still send."""
    upload = post.upload("0" * 32)
    upload.take(bytes(MOST))
    assert post.source.paused
    with pytest.raises(NoSuchTicket):
        done(begun(upload))
    assert not post.source.paused


def test_twice(post: Post) -> None:
    """One ticket isn't used in two connections at once."""
    ticket = post.to_send()
    upload = post.upload(ticket, 5)
    running = begun(upload)
    second = Deferred.fromCoroutine(post.upload(ticket, 5).open())
    post.world.clock.pump([CLAIM_SECONDS / 8] * 9)
    with pytest.raises(TransferBusy):
        done(second)
    upload.take(b"hello")
    assert done(running) == OK


def test_back_at_once(post: Post) -> None:
    """A client who comes back before the server has seen that he was gone needs not try again."""
    ticket = post.to_send()
    first = post.upload(ticket, 5)
    running = begun(first)
    first.take(b"hel")
    again, third = post.upload(ticket, 5, 3), post.upload(ticket, 5)
    opening = Deferred.fromCoroutine(again.open())
    gone = Deferred.fromCoroutine(third.open())
    again.take(b"lo")
    third.lost()
    with pytest.raises(Gone):
        done(gone)
    first.lost()
    with pytest.raises(Gone):
        done(running)
    post.world.clock.advance(0.1)
    done(opening)
    assert done(Deferred.fromCoroutine(again.run())) == OK


def test_full_disk(post: Post) -> None:
    """A full disk refuses a file, at the beginning or amid it."""
    post.disk.error = NoSpace()
    with pytest.raises(NoSpace):
        done(begun(post.upload(post.to_send(), 5)))
    upload = post.upload(post.again(), 5)
    running = begun(upload)
    upload.take(b"hel")
    post.disk.error = NoSpace()
    upload.take(b"lo")
    with pytest.raises(NoSpace):
        done(running)
    assert post.there == b"hel"


def test_broken_disk(post: Post) -> None:
    """An error of the disk is one for the operator; the client is told its number."""
    post.disk.error = OSError("broken")
    with pytest.raises(Incident, match=": 1"):
        done(begun(post.upload(post.to_send(), 5)))
    upload = post.upload(post.again(), 5)
    running = begun(upload)
    post.disk.error = OSError("broken")
    upload.take(b"hello")
    with pytest.raises(Incident, match=": 2"):
        done(running)
    assert post.disk.open == 0


def test_slow_client(post: Post, clock: Clock) -> None:
    """Who sends hardly anything for a minute is cut, and what has come is kept."""
    upload = post.upload(post.to_send(), 10 * LEAST)
    running = begun(upload)
    upload.take(bytes(LEAST))
    clock.advance(SECONDS)
    upload.take(bytes(LEAST - 1))
    assert not running.called
    clock.advance(SECONDS)
    with pytest.raises(TooSlow):
        done(running)
    assert len(post.there) == 2 * LEAST - 1


def test_slow_by_turns(post: Post, clock: Clock) -> None:
    """A slow disk in between doesn't hide that the client is slow."""
    upload = post.upload(post.to_send(), 10 * MOST)
    running = begun(upload)
    clock.advance(SECONDS / 2)
    post.disk.busy = True
    upload.take(b"x")
    upload.take(bytes(MOST))
    assert post.source.paused
    clock.advance(SECONDS / 2)  # ours
    post.disk.proceed()
    assert not post.source.paused
    for _ in range(2):
        clock.advance(SECONDS / 2)
        assert not running.called
    clock.advance(SECONDS)
    with pytest.raises(TooSlow):
        done(running)


def test_cancelled(post: Post) -> None:
    """A file that is cancelled while it comes is gone, however far its making was."""
    upload = post.upload(post.to_send(), 5)
    running = begun(upload)
    upload.take(b"hel")
    post.world.ask(post.alice, "cancel 1")
    with pytest.raises(NoSuchTicket):
        done(running)
    assert post.disk.files == {}


# Downloads.


def fetched(post: Post, start: int = 0, end: int | None = None) -> tuple[Download, Any, Any]:
    """A download that runs, over a transport in memory."""
    download, transport = Download(post.reception, post.to_fetch()), StringTransport()
    done(Deferred.fromCoroutine(download.open()))
    upto = download.size if end is None else end
    return download, transport, Deferred.fromCoroutine(download.run(transport, start, upto))


def fetched_later(post: Post) -> tuple[Download, Any, Any]:
    """A download that waits for the disk amid it."""
    download, transport = Download(post.reception, post.to_fetch()), StringTransport()
    done(Deferred.fromCoroutine(download.open()))
    post.disk.busy = True
    return download, transport, Deferred.fromCoroutine(download.run(transport, 0, download.size))


def test_download(post: Post) -> None:
    """A file goes out as it came in, behind what was written before, and is gone then."""
    data = os.urandom(300_000)
    done(Deferred.fromCoroutine(post.put(data)))
    _, transport, running = fetched(post)
    while not running.called:
        transport.producer.resumeProducing()
    done(running)
    assert transport.value() == data
    assert transport.producer is None
    assert post.heard(post.alice)[-1] == "bob has fetched notes.txt."
    assert post.disk.open == 0


def test_part(post: Post) -> None:
    """A part of a file is no file: it stays, and the other part can be fetched."""
    done(Deferred.fromCoroutine(post.put(b"hello")))
    _, transport, running = fetched(post, 0, 3)
    done(running)
    assert transport.value() == b"hel"
    _, transport, running = fetched(post, 3)
    done(running)
    assert transport.value() == b"lo"
    assert post.heard(post.alice)[-1] == "bob has fetched notes.txt."


def test_full_transport(post: Post, clock: Clock) -> None:
    """A client who reads nothing is sent no more than a piece, and is cut after a minute."""
    done(Deferred.fromCoroutine(post.put(bytes(10**6))))
    _, transport, running = fetched_later(post)
    transport.producer.pauseProducing()
    post.disk.proceed()
    assert 0 < len(transport.value()) < 300_000
    clock.advance(SECONDS)
    assert not running.called
    clock.advance(SECONDS)
    with pytest.raises(TooSlow):
        done(running)
    assert transport.producer is None


def test_lost(post: Post) -> None:
    """A connection that is lost in between, or before, leaves the file to be fetched again."""
    done(Deferred.fromCoroutine(post.put(b"hello")))
    download, _, running = fetched_later(post)
    download.lost()
    post.disk.proceed()
    with pytest.raises(Gone):
        done(running)
    download = Download(post.reception, post.to_fetch())
    done(Deferred.fromCoroutine(download.open()))
    download.lost()
    with pytest.raises(Gone):
        done(Deferred.fromCoroutine(download.run(StringTransport(), 0, 5)))
    _, _, running = fetched(post)
    done(running)


def test_declined(post: Post) -> None:
    """Who declines a file while he fetches it gets no more of it."""
    done(Deferred.fromCoroutine(post.put(b"hello")))
    _, transport, running = fetched_later(post)
    post.world.ask(post.bob, "cancel 1")
    post.disk.proceed()
    with pytest.raises(NoSuchTicket):
        done(running)
    assert transport.value() == b""


def test_unreadable(post: Post) -> None:
    """A file that can't be read is an incident, and not gone by that."""
    done(Deferred.fromCoroutine(post.put(b"hello")))
    download = Download(post.reception, post.to_fetch())
    post.disk.error = OSError("broken")
    with pytest.raises(Incident, match=": 1"):
        done(Deferred.fromCoroutine(download.open()))
    _, _, running = fetched_later(post)
    post.disk.error = EOFError("shorter")
    post.disk.proceed()
    with pytest.raises(Incident, match=": 2"):
        done(running)
    assert post.disk.open == 0
    _, _, running = fetched(post)
    done(running)


# Downloads over real sockets.


@attrs.define(eq=False)
class Line:
    """A connection on loopback: the server's side as a transport, the client's as a socket."""

    transport: Any
    client: socket.socket
    ear: "Ear"

    def take(self, count: int) -> bytes:
        """What is there for the client, at most so much."""
        try:
            return self.client.recv(count)
        except BlockingIOError:
            return b""


@implementer(IHalfCloseableProtocol)
class Ear(Protocol):
    """The server's side; the client may send no more, and still read."""

    factory: Any
    deaf = False
    download: Download | None = None

    def connectionMade(self) -> None:
        """Be there."""
        self.factory.made.append(self)

    def readConnectionLost(self) -> None:
        """The client sends no more."""
        self.deaf = True
        if self.download is not None:
            self.download.end()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        if self.download is not None:
            self.download.lost(closed=reason.check(ConnectionDone) is not None)

    def writeConnectionLost(self) -> None:
        """Nothing can be sent any more."""


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def line() -> AsyncIterator[Line]:
    """A connection of which the client reads slowly, if at all."""
    factory: Any = Factory.forProtocol(Ear)
    factory.noisy, factory.made = False, []
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.connect(("127.0.0.1", port.getHost().port))
    client.setblocking(False)
    await eventually(lambda: factory.made)
    (ear,) = factory.made
    yield Line(ear.transport, client, ear)
    client.close()
    ear.transport.abortConnection()
    await eventually(lambda: not ear.transport.connected)
    await port.stopListening()


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def real(world: World, tmp_path: Path) -> AsyncIterator[Post]:
    """Alice and bob, and a real disk."""
    spool = DiskSpool.start(tmp_path / "files", reactor)
    yield Post(world, spool)
    await soon(spool.stop())


async def running(real: Post, line: Line) -> "Deferred[None]":
    """A download that runs, over a real connection."""
    download = line.ear.download = Download(real.reception, real.to_fetch())
    await soon(download.open())
    if line.ear.deaf:
        download.end()
    return soon(download.run(line.transport, 0, download.size))


async def received(line: Line, clock: Clock, run: "Deferred[None]", count: int) -> bytes:
    """What the client has got when a download is over, of so many bytes."""
    got = b""
    until = reactor.seconds() + PATIENCE
    while not run.called or len(got) < count:
        assert reactor.seconds() < until
        got += line.take(MOST)
        clock.advance(0.1)
        await deferLater(reactor, 0)
    await run
    return got


@in_reactor
async def test_sendfile(real: Post, line: Line, clock: Clock) -> None:
    """A file goes out by sendfile, behind what was written before."""
    data = os.urandom(3 * MOST)
    await soon(real.put(data))
    line.transport.write(b"head\n")
    run = await running(real, line)
    assert await received(line, clock, run, len(data) + 5) == b"head\n" + data
    assert real.heard(real.alice)[-1] == "bob has fetched notes.txt."


@in_reactor
async def test_not_acknowledged(real: Post, line: Line, clock: Clock) -> None:
    """What only our own machine has is not fetched, though all of it was sent."""
    data = os.urandom(MOST)  # the buffers of our side take that
    await soon(real.put(data))
    run = await running(real, line)
    for _ in range(100):
        clock.advance(0.1)
        await deferLater(reactor, 0.001)
    assert not run.called
    assert "bob has fetched notes.txt." not in real.heard(real.alice)
    assert await received(line, clock, run, len(data)) == data
    assert real.heard(real.alice)[-1] == "bob has fetched notes.txt."


@in_reactor
async def test_reset(real: Post, line: Line) -> None:
    """A client that is gone amid it has what its machine has acknowledged, and no more."""
    data = os.urandom(8 * MOST)
    await soon(real.put(data))
    run = await running(real, line)
    await eventually(lambda: line.take(1))
    line.client.close()
    with pytest.raises(Gone):
        await run
    real.world.turn()
    upto = real.world.ask(real.bob, "get 1")[-1]
    assert isinstance(upto, TicketGiven)
    assert 0 < upto.done < len(data)


@in_reactor
async def test_reset_at_the_end(real: Post, line: Line, clock: Clock) -> None:
    """A client of nc that is gone when all was sent, and that sends nothing itself, is noticed."""
    await soon(real.put(os.urandom(MOST)))
    line.client.shutdown(socket.SHUT_WR)
    await eventually(lambda: line.ear.deaf)
    run = await running(real, line)
    await eventually(lambda: clock.getDelayedCalls()[0].getTime() <= clock.seconds() + 0.1)
    line.client.close()
    until = reactor.seconds() + PATIENCE
    while not run.called and reactor.seconds() < until:
        clock.advance(0.1)
        await deferLater(reactor, 0)
    with pytest.raises(Gone):
        await run
    assert "bob has fetched notes.txt." not in real.heard(real.alice)


@in_reactor
async def test_lost_before(real: Post, line: Line) -> None:
    """A connection that is lost before anything was sent is no error of ours."""
    await soon(real.put(b"hello"))
    download = line.ear.download = Download(real.reception, real.to_fetch())
    await soon(download.open())
    line.transport.abortConnection()
    await eventually(lambda: not line.transport.connected)
    with pytest.raises(Gone):
        await soon(download.run(line.transport, 0, 5))


@in_reactor
async def test_closed_by_the_client(real: Post, line: Line, clock: Clock) -> None:
    """Who has read everything closes his side, and the file is fetched at that moment."""
    await soon(real.put(b"hello"))
    run = await running(real, line)
    await eventually(lambda: line.take(10))
    clock.advance(0.1)
    assert not run.called
    line.client.shutdown(socket.SHUT_WR)
    await run
    assert real.heard(real.alice)[-1] == "bob has fetched notes.txt."


@in_reactor
async def test_killed_with_it_unread(real: Post, line: Line, clock: Clock) -> None:
    """What a client's machine has, but not he himself, isn't fetched: he can get it again."""
    await soon(real.put(b"hello"))
    run = await running(real, line)
    await eventually(lambda: select.select([line.client], [], [], 0)[0])
    clock.advance(0.1)
    line.client.close()
    with pytest.raises(Gone):
        await run
    assert "bob has fetched notes.txt." not in real.heard(real.alice)
    upto = real.world.ask(real.bob, "get 1")[-1]
    assert isinstance(upto, TicketGiven)
    assert upto.done == 4
