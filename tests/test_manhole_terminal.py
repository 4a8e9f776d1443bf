"""One session of an SSH connection: what can be asked for, and what it may cost."""

import struct
from typing import Any

import attrs
import pytest
from twisted.conch.ssh.common import NS

from chatd.domain.limits import Gate
from chatd.domain.names import Name
from chatd.doors.outbox import AT_ONCE
from chatd.doors.reception import Reception
from chatd.doors.terminal import Terminal
from tests.fakes import World
from tests.test_console import SlowServer

GENEROUS = 1_000_000
PLENTY = 100_000
ALICE = Name("alice")


@attrs.define(eq=False)
class Peer:
    """The other side of the session: the connection, its transport and its operator in one."""

    name: Name = ALICE
    address: str = "10.0.0.9"
    out: bytes = b""
    err: bytes = b""
    status: int | None = None
    closed: bool = False
    cuts: list[str] = attrs.field(factory=list)

    @property
    def transport(self) -> "Peer":
        """Itself."""
        return self

    @property
    def operator(self) -> "Peer":
        """Itself."""
        return self

    def sendData(self, channel: Terminal, data: bytes) -> None:
        """Remember it."""
        self.out += data

    def sendExtendedData(self, channel: Terminal, kind: int, data: bytes) -> None:
        """Remember it."""
        self.err += data

    def sendRequest(self, channel: Terminal, what: bytes, data: bytes) -> None:
        """Remember the status."""
        assert what == b"exit-status"
        (self.status,) = struct.unpack(">L", data)

    def sendClose(self, channel: Terminal) -> None:
        """Remember it."""
        self.closed = True

    def cut(self, reason: str) -> None:
        """Remember why."""
        self.cuts.append(reason)


@attrs.define(eq=False)
class Sitting:
    """A session and its other side."""

    terminal: Terminal
    peer: Peer

    def ask(self, what: bytes, data: bytes = b"") -> bool:
        """Ask for something; whether it was granted."""
        begin = self.terminal.asked(what, data)
        if begin is not None:
            begin()
        return begin is not None


def sit(world: World, backlog: int = 0, window: int = GENEROUS, packet: int = PLENTY) -> Sitting:
    """A new session."""
    peer: Any = Peer()
    reception = Reception(world.hub, Gate(0, 0), "manhole", backlog, None)
    return Sitting(Terminal(reception, peer, window, packet), peer)


def size(columns: int, rows: int) -> bytes:
    """A window's size, as a client sends it."""
    return struct.pack(">4L", columns, rows, 0, 0)


@pytest.fixture
def sitting(world: World) -> Sitting:
    """A session in which nothing was asked for yet."""
    return sit(world)


def test_act(world: World, sitting: Sitting) -> None:
    """An act is answered, and then ends the session."""
    assert sitting.ask(b"exec", NS(b"rooms\xff"))
    assert sitting.peer.err == "There is no command roomsÿ. Type help for a list.\n".encode()
    assert not sitting.peer.closed
    world.turn()
    assert (sitting.peer.status, sitting.peer.closed) == (1, True)


def test_only_one_use(world: World, sitting: Sitting) -> None:
    """A session is used once, and for nothing that isn't offered."""
    for what in (
        b"subsystem",
        b"env",
        b"x11-req",
        b"auth-agent-req@openssh.com",
        b"signal",
        b"\xff",
    ):
        assert not sitting.ask(what, NS(b"x"))
    assert not sitting.ask(b"window-change", size(80, 24))
    assert sitting.ask(b"exec", NS(b"who"))
    for what in (b"exec", b"shell", b"pty-req"):
        assert not sitting.ask(what, NS(b"who") + size(80, 24))
    world.turn()
    assert sitting.peer.out == b"Nobody is online.\n"


@pytest.mark.parametrize(
    ("columns", "rows", "width"),
    [(100, 30, 100), (0, 0, 80), (1, 1, 1), (2**32 - 1, 2**32 - 1, 80), (80, 0, 80)],
)
def test_size(sitting: Sitting, columns: int, rows: int, width: int) -> None:
    """A window of an impossible size counts as the usual one."""
    assert sitting.ask(b"pty-req", NS(b"xterm") + size(columns, rows))
    assert sitting.ask(b"shell")
    sitting.terminal.dataReceived(b"__import__('sys').stdout.o.width\r")
    assert f"\r\n{width}\r\n".encode() in sitting.peer.out
    assert sitting.ask(b"window-change", size(rows, columns))
    sitting.terminal.eofReceived()
    assert (sitting.peer.status, sitting.peer.closed) == (0, True)


@pytest.mark.parametrize("data", [b"", b"\0\0", NS(b"xterm"), NS(b"xterm") + b"\0\0\0\1"])
def test_garbled_request(sitting: Sitting, data: bytes) -> None:
    """What is garbled is an error of the connection, which ends it."""
    with pytest.raises(struct.error):
        sitting.ask(b"pty-req", data)


def test_resized_act(world: World, sitting: Sitting) -> None:
    """An act at a terminal doesn't mind the window, nor what is typed."""
    assert sitting.ask(b"pty-req", NS(b"xterm") + size(80, 24))
    assert sitting.ask(b"exec", NS(b"watch"))
    world.turn()
    assert sitting.ask(b"window-change", size(100, 24))
    sitting.terminal.dataReceived(b"hello")
    sitting.terminal.eofReceived()
    world.login("bob")
    assert sitting.peer.out.endswith(b"login: bob, from 10.0.0.1 by line\r\n")
    sitting.terminal.closed()
    world.turn()
    assert len(world.hub.watch.audience) == 0


def test_script(world: World, sitting: Sitting) -> None:
    """A script runs its lines in their order, and hears what it watches meanwhile."""
    assert sitting.ask(b"shell")
    sitting.terminal.dataReceived(b"watch\nnonse")
    world.turn()
    world.login("bob")
    assert b"login: bob" in sitting.peer.out
    sitting.terminal.dataReceived(b"nse\nwho")
    sitting.terminal.eofReceived()
    world.turn()
    assert sitting.peer.out.endswith(b"1 online: bob.\n")
    assert sitting.peer.err == b"There is no command nonsense. Type help for a list.\n"
    assert (sitting.peer.status, sitting.peer.closed) == (1, True)
    heard = sitting.peer.out
    world.login("carol")
    assert sitting.peer.out == heard


def test_script_cut_short(world: World, sitting: Sitting) -> None:
    """Of a script whose client is gone, no further line is run."""
    assert sitting.ask(b"shell")
    sitting.terminal.closed()
    sitting.terminal.dataReceived(b"announce hello\n")
    sitting.terminal.eofReceived()
    sitting.terminal.closed()
    world.turn()
    assert world.audit.acts == []


def test_goodbye(world: World) -> None:
    """When the server stops, a session ends with the status of what was carried out by then."""
    told = (b"Goodbye.\n", 1)
    idle, answered, script, complete = (sit(world) for _ in range(4))
    assert answered.ask(b"exec", NS(b"who"))
    assert script.ask(b"shell")
    assert complete.ask(b"shell")
    complete.terminal.eofReceived()
    for sitting in (idle, answered, script, complete):
        sitting.terminal.goodbye("Goodbye.")
        sitting.terminal.goodbye("Goodbye.")
        assert sitting.peer.closed
    assert (idle.peer.err, idle.peer.status) == (b"", 1)
    assert (answered.peer.err, answered.peer.status) == (b"", 0)
    assert (script.peer.err, script.peer.status) == told
    assert (complete.peer.err, complete.peer.status) == (b"", 0)
    world.hub.server = server = SlowServer()
    unanswered = sit(world)
    assert unanswered.ask(b"exec", NS(b"rehash"))
    unanswered.terminal.goodbye("Goodbye.")
    assert (unanswered.peer.err, unanswered.peer.status) == told
    server.waiting.callback(None)
    world.turn()
    assert unanswered.peer.out == b""


def test_unread(world: World) -> None:
    """Who leaves too much unread loses the connection."""
    sitting = sit(world, backlog=10, window=100, packet=0)
    sitting.terminal.put("x" * (100 + 10 * AT_ONCE))
    assert len(sitting.peer.out) == 100
    assert sitting.peer.cuts == []
    sitting.terminal.put("x")
    assert sitting.peer.cuts == ["too much was left unread"]


def test_closed_by_the_client(world: World) -> None:
    """A client that closes has read all it wants to; what waits for it is dropped."""
    sitting = sit(world, window=10)
    assert sitting.ask(b"exec", NS(b"who"))
    world.turn()
    assert not sitting.peer.closed
    sitting.terminal.closeReceived()
    assert sitting.peer.closed
