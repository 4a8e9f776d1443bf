"""The write side of a connection: in order, and never more than is allowed."""

import socket
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from chatd.doors.outbox import AT_ONCE, PATIENCE, Outbox
from tests.sockets import Client, eventually, reactor


class Shouting(ProtocolWrapper):
    """Something around a socket that changes what is written, as TLS does."""

    def write(self, data: bytes) -> None:
        """Write it in capitals."""
        super().write(data.upper())  # type: ignore[no-untyped-call]


@attrs.define(eq=False)
class Boxed:
    """An outbox on a transport in memory, and how often it has overflown."""

    most: int = 100_000
    clock: Clock = attrs.field(factory=Clock)
    transport: Any = attrs.field(factory=StringTransport)
    overflows: int = 0
    outbox: Outbox = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.outbox = Outbox(self.transport, self.most, self.clock.seconds, self._overflown)

    def _overflown(self) -> None:
        self.overflows += 1


class Narrow(StringTransport):
    """A transport that has enough as soon as it is written anything."""

    def write(self, data: bytes) -> None:
        """Take it, and ask for no more."""
        super().write(data)  # type: ignore[no-untyped-call]
        if self.producer is not None:
            self.producer.pauseProducing()


narrow: Callable[[], StringTransport] = Narrow


def test_written_at_once() -> None:
    """What is written while nothing is pending goes out at once."""
    boxed = Boxed()
    boxed.outbox.write(b"one\n")
    boxed.outbox.write(b"two\n")
    assert boxed.transport.value() == b"one\ntwo\n"


def test_kept_while_the_peer_is_slow() -> None:
    """What is written while the transport has enough follows later, in its order."""
    boxed = Boxed()
    boxed.outbox.write(b"one\n")
    boxed.outbox.pauseProducing()
    boxed.outbox.write(b"two\n")
    boxed.outbox.pauseProducing()
    boxed.outbox.write(b"three\n")
    assert boxed.transport.value() == b"one\n"
    boxed.outbox.resumeProducing()
    boxed.outbox.write(b"four\n")
    assert boxed.transport.value() == b"one\ntwo\nthree\nfour\n"


def test_closed_after_the_last_word() -> None:
    """A connection that is closed while something is pending is closed once that is sent."""
    boxed = Boxed()
    boxed.outbox.pauseProducing()
    boxed.outbox.write(b"goodbye\n")
    boxed.outbox.close()
    boxed.outbox.close()
    boxed.outbox.write(b"too late\n")
    assert (boxed.transport.value(), boxed.transport.disconnecting) == (b"", False)
    boxed.outbox.resumeProducing()
    assert (boxed.transport.value(), boxed.transport.disconnecting) == (b"goodbye\n", True)


def test_closed_while_the_last_words_are_too_many_at_once() -> None:
    """The last words are waited for even where the transport can't take them all at once."""
    boxed = Boxed(transport=narrow())
    boxed.outbox.write(b"one\n")
    boxed.outbox.write(b"two\n")
    boxed.outbox.close()
    boxed.outbox.resumeProducing()
    assert (boxed.transport.value(), boxed.transport.disconnecting) == (b"one\ntwo\n", False)
    boxed.outbox.resumeProducing()
    assert boxed.transport.disconnecting


def test_nothing_pending_closes_at_once() -> None:
    """A connection with nothing pending is closed at once."""
    boxed = Boxed()
    boxed.outbox.close()
    assert boxed.transport.disconnecting


@pytest.mark.parametrize("end", ["abort", "stopProducing"])
def test_nothing_after_the_end(end: str) -> None:
    """A connection that was cut, or lost, is written nothing more, not even what was pending."""
    boxed = Boxed()
    boxed.outbox.pauseProducing()
    boxed.outbox.write(b"one\n")
    getattr(boxed.outbox, end)()
    boxed.outbox.write(b"two\n")
    boxed.outbox.close()
    assert (boxed.transport.value(), boxed.transport.disconnecting) == (b"", end == "abort")
    assert boxed.overflows == 0


def test_too_much_unread_for_too_long() -> None:
    """A peer that stays further behind than allowed is cut after a while, which is told once."""
    boxed = Boxed(most=10)
    boxed.outbox.pauseProducing()
    boxed.outbox.write(b"0123456789!")
    boxed.clock.advance(PATIENCE)
    boxed.outbox.write(b"!")
    assert (boxed.overflows, boxed.transport.disconnected) == (0, False)
    boxed.clock.advance(1)
    boxed.outbox.write(b"!")
    boxed.outbox.write(b"!")
    assert (boxed.overflows, boxed.transport.disconnected) == (1, True)


def test_too_much_unread_at_once() -> None:
    """A peer that is very far behind is cut at once."""
    boxed = Boxed(most=10)
    boxed.outbox.pauseProducing()
    boxed.outbox.write(b"*" * 10 * AT_ONCE)
    assert boxed.overflows == 0
    boxed.outbox.write(b"!")
    assert (boxed.overflows, boxed.transport.disconnected) == (1, True)


def test_no_more_than_allowed_unread() -> None:
    """A peer that is only a little behind may stay so."""
    boxed = Boxed(most=10)
    boxed.outbox.pauseProducing()
    boxed.outbox.write(b"0123456789")
    boxed.clock.advance(10 * PATIENCE)
    boxed.outbox.resumeProducing()
    assert (boxed.transport.value(), boxed.overflows) == (b"0123456789", 0)


def test_peer_that_catches_up() -> None:
    """A peer that was far behind, and has caught up, has all its time again."""
    boxed = Boxed(most=10, transport=narrow())
    boxed.outbox.pauseProducing()
    for text in (b"0123456789", b"?", b"!"):
        boxed.outbox.write(text)
    boxed.clock.advance(PATIENCE)
    boxed.outbox.resumeProducing()
    assert boxed.transport.value() == b"0123456789"
    boxed.clock.advance(PATIENCE)
    boxed.outbox.write(b"0123456789")
    assert boxed.overflows == 0
    boxed.clock.advance(PATIENCE)
    boxed.outbox.write(b".")
    assert boxed.overflows == 0


def test_no_limit() -> None:
    """Where the limit is switched off, a peer may leave as much unread as it likes."""
    boxed = Boxed(most=0)
    boxed.outbox.pauseProducing()
    boxed.outbox.write(b"*" * 1_000_000)
    boxed.outbox.resumeProducing()
    assert (len(boxed.transport.value()), boxed.overflows) == (1_000_000, 0)


async def connected(wrapped: bool = False) -> tuple[Any, Any, Client]:
    """A listening port, the server's end of a connection to it, and its client."""
    ends: list[Any] = []

    def accept(_address: object) -> Protocol:
        end = Protocol()
        ends.append(end)
        return end

    factory: Any = Factory()
    factory.buildProtocol = accept
    if wrapped:
        factory = WrappingFactory(factory)
        factory.protocol = Shouting
    listening = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    port = await listening.addTimeout(5, reactor)
    where = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    client = await connectProtocol(where, Client()).addTimeout(5, reactor)
    await eventually(lambda: ends and ends[0].transport)
    # Less than usual, so that a socket is full soon.
    ends[0].transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100_000)
    client.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
    return port, ends[0].transport, client


async def closed(port: Any, client: Client) -> None:
    """Close a connection and its port."""
    client.transport.abortConnection()
    await client.rest()
    await port.stopListening()


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_order_at_a_socket_that_is_full() -> None:
    """A peer that stops reading for a while, then reads on, gets everything in its order."""
    port, transport, client = await connected()
    boxed = Boxed(most=0, transport=transport)
    client.transport.pauseProducing()
    numbers = [f"{n:08}" for n in range(3000)]
    for number in numbers:
        boxed.outbox.write(f"{number}{'.' * 1000}\n".encode())
    client.transport.resumeProducing()
    boxed.outbox.write(b"last of the first\n")
    heard = await client.until("last of the first\n")
    boxed.outbox.write(b"direct again\n")
    heard += await client.until("direct again\n")
    assert [line.rstrip(".") for line in heard.splitlines()] == [
        *numbers,
        "last of the first",
        "direct again",
    ]
    await closed(port, client)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_no_overtaking_of_what_the_transport_holds() -> None:
    """What somebody else has handed to the transport before is not overtaken."""
    port, transport, client = await connected()
    boxed = Boxed(transport=transport)
    transport.write(b"first\n")
    boxed.outbox.write(b"second\n")
    assert await client.until("second\n") == "first\nsecond\n"
    await closed(port, client)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_peer_that_never_reads() -> None:
    """A peer that never reads is cut, and what was kept for it by then is bounded."""
    port, transport, client = await connected()
    boxed = Boxed(most=5_000, transport=transport)
    client.transport.pauseProducing()
    written = 0
    while not boxed.overflows:
        boxed.outbox.write(b"*" * 1000)
        written += 1000
        assert written < 2_000_000  # what the kernel takes, and 320,000
    boxed.outbox.write(b"more")
    client.transport.resumeProducing()
    assert "more" not in await client.rest()
    assert boxed.overflows == 1
    await closed(port, client)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_peer_that_is_gone() -> None:
    """Writing to a peer that has cut the connection does no harm."""
    port, transport, client = await connected()
    boxed = Boxed(transport=transport)
    client.transport.abortConnection()
    await client.rest()
    for _ in range(3):
        boxed.outbox.write(b"anybody?\n")
    await eventually(lambda: transport.disconnected)
    boxed.outbox.write(b"nobody.\n")
    boxed.outbox.close()
    assert boxed.overflows == 0
    await closed(port, client)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_never_past_what_wraps_the_socket() -> None:
    """What wraps a socket, as TLS does, sees every byte: none goes past it in the clear."""
    port, transport, client = await connected(wrapped=True)
    boxed = Boxed(transport=transport)
    boxed.outbox.write(b"name: ")
    assert await client.until(": ", "") == "NAME: "
    await closed(port, client)
