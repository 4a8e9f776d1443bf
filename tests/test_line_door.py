"""The line door on its own: bytes in and out, with everything behind it in memory."""

from typing import Any

import attrs
import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from chatd.domain.limits import Gate
from chatd.domain.rooms import Channel
from chatd.doors.line import LineFactory, LineProtocol
from chatd.doors.reception import Reception
from chatd.wire.lines import LineFormat
from tests.fakes import World
from tests.sockets import untimed


@attrs.define(eq=False)
class Caller:
    """One connection to the door, and what it was sent."""

    protocol: LineProtocol
    transport: Any

    def send(self, data: bytes) -> None:
        """Send bytes in one segment."""
        self.protocol.dataReceived(data)

    def take(self) -> str:
        """What was sent since the last call."""
        sent: bytes = self.transport.value()
        self.transport.clear()
        return untimed(sent.decode("latin-1"))


def accepted(reception: Reception, address: IAddress | None) -> Caller:
    """A connection that has come to the door."""
    protocol = LineFactory(reception, LineFormat()).buildProtocol(address)
    caller = Caller(protocol, StringTransport(lenient=True))
    protocol.makeConnection(caller.transport)  # type: ignore[no-untyped-call]
    return caller


@attrs.define(eq=False)
class Doorway:
    """A line door, with callers."""

    world: World
    channel: Channel | None = None
    gate: Gate = attrs.field(factory=lambda: Gate(3, 2))
    backlog: int = 17

    def call(self, host: str = "10.0.0.1") -> Caller:
        """A new connection."""
        reception = Reception(self.world.hub, self.gate, "line", self.backlog, self.channel)
        return accepted(reception, IPv4Address("TCP", host, 1234))

    def login(self, name: str) -> Caller:
        """Somebody who has logged in, and has read everything so far."""
        self.world.account(name)
        caller = self.call()
        caller.send(f"{name}\nsecret\n".encode())
        self.world.turn()
        caller.take()
        return caller


@pytest.fixture
def door(world: World) -> Doorway:
    """A door into the lobby."""
    return Doorway(world)


@pytest.fixture
def general(world: World) -> Doorway:
    """A door into a channel."""
    return Doorway(world, world.channel(), Gate(0, 0))


def test_typed_ahead(general: Doorway) -> None:
    """Name, password and a line may come in one piece: all of them count, in their order."""
    general.world.account("bob")
    bob = general.call()
    bob.send(b"bob\nsecret\nhello\n")
    general.world.turn()
    assert bob.take() == (
        "chatd: channel general, 0 of 100 here.\r\nName: Password: "
        "[Server message (TIME)] Welcome to the general channel, bob.\r\n"
        "[Server message (TIME)] bob has joined the channel.\r\n"
        "[bob (TIME)] hello\r\n"
    )


def test_lines_in_pieces(general: Doorway) -> None:
    """A line may come byte by byte, and a character of two bytes in two segments."""
    bob = general.login("bob")
    for byte in "größe\r\n".encode():
        bob.send(bytes([byte]))
    general.world.turn()
    assert bob.take().encode("latin-1").decode() == "[bob (TIME)] größe\r\n"


def test_line_above_the_limit(general: Doorway) -> None:
    """A line that is too long is refused, and the next one is read as ever."""
    bob = general.login("bob")
    bob.send(b"x" * 5000)
    bob.send(b"x" * 5000 + b"\nhello\n")
    general.world.turn()
    assert bob.take() == (
        "[Server message (TIME)] That line is longer than 4096 bytes and was not sent.\r\n"
        "[bob (TIME)] hello\r\n"
    )


def test_telnet_hides_the_password(door: Doorway) -> None:
    """A telnet client, which ends lines in CR LF, is told not to show the password."""
    door.world.account("bob")
    caller = door.call()
    caller.take()
    caller.send(b"bob\r\n")
    assert caller.take() == "\xff\xfb\x01Password: "
    caller.send(b"\xff\xfd\x01secret\r\n")
    door.world.turn()
    assert caller.take() == (
        "\r\n\xff\xfc\x01[Server message (TIME)] "
        "Welcome to chatd, bob. Type help for the commands.\r\n"
    )


def test_telnet_asks_for_an_option(door: Doorway) -> None:
    """A telnet client that negotiates is answered, and not taken for typing."""
    caller = door.call()
    caller.take()
    caller.send(b"\xff\xfd\x03\xff\xfb\x1f")
    assert caller.take() == "\xff\xfb\x03\xff\xfd\x1f"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (
            b"GET / HTTP/1.1\r\nHost: chat\r\n\r\n",
            "This port is for chat by telnet or nc; it does not speak HTTP.\r\n",
        ),
        (
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            "This port is for chat by telnet or nc; it does not speak SSH.\r\n",
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00", ""),
    ],
)
def test_another_protocol(door: Doorway, data: bytes, answer: str) -> None:
    """A client of another protocol is told so, if it can read that, and sent away."""
    caller = door.call()
    caller.take()
    caller.send(data)
    assert (caller.take(), caller.transport.disconnecting) == (answer, True)


def test_end_of_input(general: Doorway) -> None:
    """A client that closes its side is answered every line, ended or not, and then closed."""
    bob = general.login("bob")
    bob.send(b"one\n/list\ntwo")
    bob.protocol.readConnectionLost()
    assert bob.transport.disconnecting is False
    general.world.turn()
    assert bob.take() == (
        "[bob (TIME)] one\r\n[Channel] general 1/100/0.\r\n[bob (TIME)] two\r\n"
        "[Server message (TIME)] Goodbye, bob.\r\n"
    )
    assert bob.transport.disconnecting


def test_end_of_input_before_the_name(door: Doorway) -> None:
    """A client that sends nothing at all and closes its side is closed too."""
    caller = door.call()
    caller.protocol.readConnectionLost()
    caller.protocol.writeConnectionLost()
    assert caller.take() == (
        "chatd: lobby, 0 online.\r\nName: [Server message (TIME)] Goodbye.\r\n"
    )
    assert caller.transport.disconnecting


def test_end_of_input_while_lines_wait(door: Doorway) -> None:
    """The end of the input waits behind the lines before it, while a password is being checked."""
    door.world.account("bob")
    caller = door.call()
    caller.take()
    caller.send(b"bob\nslow\nwho\n")
    caller.protocol.readConnectionLost()
    assert caller.transport.disconnecting is False
    door.world.passwords.proceed()
    door.world.turn()
    assert caller.take() == (
        "Password: [Server message (TIME)] Welcome to chatd, bob. Type help for the commands.\r\n"
        "[Server message (TIME)] You are in no channel. "
        "Type /switch and a channel's name to enter one.\r\n"
        "[Server message (TIME)] Goodbye, bob.\r\n"
    )
    assert caller.transport.disconnecting


def test_a_flood_while_a_password_is_checked(door: Doorway) -> None:
    """More typed ahead than may wait is not read, and not lost: it is read later."""
    door.world.account("bob")
    caller = door.call()
    caller.take()
    caller.send(b"bob\nslow\n" + b"nonsense\n" * 70)
    assert caller.transport.producerState == "paused"
    door.world.passwords.proceed()
    door.world.turn()
    assert caller.transport.producerState == "producing"
    assert caller.take().count("There is no command nonsense.") == 70


def test_end_of_input_behind_a_flood(door: Doorway) -> None:
    """The end of the input is not read before what was sent ahead of it."""
    door.world.account("bob")
    caller = door.call()
    caller.take()
    caller.send(b"bob\nslow\n" + b"nonsense\n" * 70)
    caller.protocol.readConnectionLost()
    door.world.passwords.proceed()
    door.world.turn()
    told = caller.take()
    assert told.count("There is no command nonsense.") == 70
    assert told.endswith("[Server message (TIME)] Goodbye, bob.\r\n")


def test_too_many_connections_from_one_address(door: Doorway) -> None:
    """One address has so many connections at once and no more; another's still get in."""
    door.call()
    second = door.call()
    third = door.call()
    assert third.take() == (
        "[Server message (TIME)] There are too many connections from your address.\r\n"
    )
    assert third.transport.disconnecting
    third.send(b"bob\n")
    third.protocol.readConnectionLost()
    third.protocol.connectionLost()
    assert door.call("10.0.0.2").take() == "chatd: lobby, 0 online.\r\nName: "
    second.protocol.connectionLost()
    assert door.call().take() == "chatd: lobby, 0 online.\r\nName: "


def test_too_many_connections(door: Doorway) -> None:
    """The server has so many connections in all and no more, until one is closed."""
    callers = [door.call(f"10.0.0.{n}") for n in range(4)]
    assert callers[3].take() == (
        "[Server message (TIME)] The server is full, please try again later.\r\n"
    )
    callers[3].protocol.connectionLost()
    callers[0].protocol.connectionLost()
    assert door.call("10.0.0.9").take() == "chatd: lobby, 0 online.\r\nName: "


def test_refused_connection_that_stays(door: Doorway, clock: Clock) -> None:
    """A refused client that never goes, as in an endless TLS handshake, is cut after a while."""
    refused = [door.call(), door.call(), door.call()][-1]
    clock.advance(4.9)
    assert not refused.transport.disconnected
    clock.advance(0.2)
    assert refused.transport.disconnected
    refused.protocol.connectionLost()


def test_login_takes_too_long(door: Doorway, clock: Clock) -> None:
    """Whoever hasn't logged in after a minute is sent away, whatever was typed meanwhile."""
    caller = door.call()
    caller.take()
    clock.advance(59)
    caller.send(b"bob\n")
    caller.take()
    clock.advance(0.9)
    assert caller.take() == ""
    clock.advance(0.1)
    assert caller.take() == "[Server message (TIME)] That took too long. Goodbye.\r\n"
    assert caller.transport.disconnecting


def test_slow_reader(general: Doorway) -> None:
    """Who leaves too much unread is cut, and the others are told; their lines are not harmed."""
    alice, bob = general.login("alice"), general.login("bob")
    general.world.turn()
    alice.take()
    bob.protocol._outbox.pauseProducing()
    line = "x" * 90
    for _ in range(10):
        alice.send(f"{line}\n".encode())
        general.world.turn()
    general.world.turn()
    assert bob.transport.disconnected
    heard = alice.take().splitlines()
    assert [text for text in heard if text.endswith(line)] == [f"[alice (TIME)] {line}"] * 10
    assert heard[-2:] == [
        "[Server message (TIME)] bob was dropped: too much was left unread.",
        "[Server message (TIME)] bob has left the channel.",
    ]
    assert bob.take() == ""


def test_slow_reader_before_the_login(door: Doorway) -> None:
    """Somebody without a name who doesn't read is cut as well."""
    caller = door.call()
    caller.protocol._outbox.pauseProducing()
    for _ in range(50):
        caller.send(b"?\n")
    assert caller.transport.disconnected


def test_silent_client_is_cut(general: Doorway, clock: Clock) -> None:
    """A client that was told goodbye but never closes is cut after a while."""
    bob = general.login("bob")
    bob.protocol._outbox.pauseProducing()
    bob.send(b"/quit\n")
    general.world.turn()
    assert not bob.transport.disconnecting
    clock.advance(5)
    assert bob.transport.disconnected


def test_unix_socket(world: World) -> None:
    """A client of a unix socket has no address; it is let in all the same."""
    caller = accepted(Reception(world.hub, Gate(0, 0), "line", 0, None), None)
    assert caller.take() == "chatd: lobby, 0 online.\r\nName: "
