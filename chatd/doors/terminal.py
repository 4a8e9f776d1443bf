"""The terminal: what one ``ssh`` command shows of a console (RFC 4254, 6).

The rule: there are three ways to use a console, and each begins once and ends the session: an *act*
(``ssh host who``), a *script* (lines on standard input, without a terminal), and the *screen* of
the Python prompt. The answer goes to standard output, a refusal to standard error, and the exit
status is 0 only where nothing was refused.
"""

import struct
from collections.abc import Callable
from typing import Any, Final, Protocol

import attrs
from twisted.conch.insults.insults import ServerProtocol
from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import getNS
from twisted.conch.ssh.connection import EXTENDED_DATA_STDERR

from chatd.domain.errors import LineTooLong
from chatd.domain.events import Detached, Told
from chatd.domain.ports import Mark
from chatd.doors.console import Console, Ear, Outcome
from chatd.doors.outbox import AT_ONCE
from chatd.doors.prompt import Prompt
from chatd.doors.reception import Reception
from chatd.doors.ssh import Connection
from chatd.doors.sshlogin import QUIET
from chatd.wire.framing import LineFramer, decode

_MOST_PACKET: Final = 32_768  # RFC 4253, 6.1
_SIDES: Final = (80, 24)
_LONGEST_SIDE: Final = 1000

Begin = Callable[[], None]


class Use(Protocol):
    """One way to use a console."""

    def begin(self) -> None:
        """Begin; the client knows by now that it may."""

    def received(self, data: bytes) -> None:
        """Take what the client has sent."""

    def input_ended(self) -> None:
        """The client sends nothing more."""

    def resized(self, columns: int, rows: int) -> None:
        """The window has another size."""

    def heard(self, text: str) -> None:
        """Show what comes by itself."""

    def caught_up(self) -> None:
        """What was asked for has happened."""

    def goodbye(self, text: str) -> None:
        """End, as the server does."""

    def ended(self) -> None:
        """The session is over."""


class Terminal(SSHChannel):
    """One session of a connection."""

    name = b"session"
    _log = QUIET
    conn: Connection

    def __init__(
        self, reception: Reception, connection: Connection, window: int, packet: int
    ) -> None:
        super().__init__(
            remoteWindow=window,
            remoteMaxPacket=min(max(packet, 1), _MOST_PACKET),
            conn=connection,
        )
        self._hub = reception.hub
        self._most = reception.backlog_bytes * AT_ONCE
        transport = connection.transport
        self._ear = Ear(self._heard, self._caught_up)
        self.console = Console(
            reception.hub, transport.operator.name, transport.address, self._ear, reception.kind
        )
        self._size: tuple[int, int] | None = None  # None: without a terminal
        self._use: Use | None = None
        self._over = False

    # From the connection.

    def asked(self, what: bytes, data: bytes) -> Begin | None:
        """Take a request of the client; what to do once it is granted, or None where it isn't."""
        match what:
            case b"pty-req" if self._use is None:
                _kind, rest = getNS(data)
                self._size = _sides(rest)
                return _nothing
            case b"window-change" if self._use is not None and self._size is not None:
                self._size = _sides(data)
                self._use.resized(*self._size)
                return _nothing
            case b"exec" if self._use is None:
                line = decode(getNS(data)[0])
                assert isinstance(line, str)
                self._use = Act(self, line)
                return self._use.begin
            case b"shell" if self._use is None:
                self._use = Script(self) if self._size is None else Screen(self, self._size)
                return self._use.begin
        return None

    def dataReceived(self, data: bytes) -> None:
        """Take what the client has sent."""
        if self._use is not None and not self._over:
            self._use.received(data)

    def eofReceived(self) -> None:
        """The client sends nothing more, but may still read."""
        if self._use is not None and not self._over:
            self._use.input_ended()

    def closeReceived(self) -> None:
        """The client reads no more either."""
        self.buf = b""
        self.extBuf = []
        SSHChannel.closeReceived(self)

    def closed(self) -> None:
        """The session is over, or its connection gone."""
        self._end()

    def goodbye(self, text: str) -> None:
        """End the session, as the server does."""
        if self._use is None:
            self.finish(ok=False)
        elif not self._over:
            self._use.goodbye(text)

    # From the use.

    def write(self, data: bytes) -> None:
        """Send bytes as they are; what is left unread is bounded."""
        SSHChannel.write(self, data)
        if self._most and len(self.buf) > self._most:
            self.conn.transport.cut("too much was left unread")

    def show(self, outcome: Outcome) -> None:
        """Send what came of a line where it belongs."""
        data = self._encoded("".join(f"{line}\n" for line in outcome.lines))
        if self._over or not data:
            return
        if outcome.ok:
            self.write(data)
        else:
            SSHChannel.writeExtended(self, EXTENDED_DATA_STDERR, data)

    def put(self, text: str) -> None:
        """Send lines of text."""
        self.write(self._encoded(text))

    def catch_up(self) -> None:
        """Have the use told when all that was asked for so far has happened."""
        if not self._over:
            self._hub.journal.append(Told((), self._hub.clock.seconds()), self._ear)

    def finish(self, *, ok: bool) -> None:
        """End the session, and say whether all went well."""
        if not self._over:
            self._end()
            connection: Any = self.conn
            connection.sendRequest(self, b"exit-status", struct.pack(">L", 0 if ok else 1))
            SSHChannel.loseConnection(self)

    @property
    def watches(self) -> bool:
        """Whether it hears anything that may come by itself."""
        return bool(self._ear.audiences)

    # Inside.

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._hub.journal.append(Detached(), self._ear)
            if self._use is not None:
                self._use.ended()

    def _heard(self, text: str) -> None:
        if self._use is not None and not self._over:
            self._use.heard(text)

    def _caught_up(self) -> None:
        if self._use is not None and not self._over:
            self._use.caught_up()

    def _encoded(self, text: str) -> bytes:
        # A terminal is in raw mode, and needs both.
        return (text if self._size is None else text.replace("\n", "\r\n")).encode()


@attrs.define(eq=False)
class Act:
    """One line, given to ``ssh`` itself. Who only watches goes on until he leaves."""

    _terminal: Terminal
    _line: str
    _ok: bool | None = None  # not known yet

    def begin(self) -> None:
        """Carry it out."""
        self._terminal.console.hub.spawn(self._run())

    def received(self, data: bytes) -> None:
        """An act reads nothing."""

    def input_ended(self) -> None:
        """An act reads nothing."""

    def resized(self, columns: int, rows: int) -> None:
        """Lines have no width."""

    def heard(self, text: str) -> None:
        """Show what comes by itself."""
        self._terminal.put(text)

    def caught_up(self) -> None:
        """It has happened: that was all, unless it was to watch."""
        if not self._terminal.watches:
            self._terminal.finish(ok=bool(self._ok))

    def goodbye(self, text: str) -> None:
        """That was all; the answer says so itself where it is there."""
        if self._ok is None or self._terminal.watches:
            self._terminal.show(Outcome((text,), ok=False))
        self._terminal.finish(ok=bool(self._ok))

    def ended(self) -> None:
        """Nothing is left to do."""

    async def _run(self) -> None:
        outcome = await self._terminal.console.run(self._line)
        self._terminal.show(outcome)
        self._ok = outcome.ok
        self._terminal.catch_up()


@attrs.define(eq=False)
class Script:
    """Lines on standard input, one after the other."""

    _terminal: Terminal
    _framer: LineFramer = attrs.field(init=False)
    _running: bool = False
    _no_more: bool = False
    _ok: bool = True

    def __attrs_post_init__(self) -> None:
        self._framer = LineFramer(self._terminal.console.hub.rules.line_bytes)

    def begin(self) -> None:
        """Wait for the first line."""

    def received(self, data: bytes) -> None:
        """Take more lines."""
        self._framer.push(data)
        self._go_on()

    def input_ended(self) -> None:
        """The last line has come."""
        self._no_more = True
        self._go_on()

    def resized(self, columns: int, rows: int) -> None:
        """Lines have no width."""

    def heard(self, text: str) -> None:
        """Show what comes by itself."""
        self._terminal.put(text)

    def caught_up(self) -> None:
        """All of it has happened."""
        self._terminal.finish(ok=self._ok)

    def goodbye(self, text: str) -> None:
        """The lines that have not run are not carried out."""
        complete = self._no_more and not self._running
        if not complete:
            self._terminal.show(Outcome((text,), ok=False))
        self._terminal.finish(ok=self._ok and complete)

    def ended(self) -> None:
        """Run no line that has not begun."""
        self._framer = LineFramer(0)

    def _go_on(self) -> None:
        if not self._running:
            self._running = True
            self._terminal.console.hub.spawn(self._run())

    async def _run(self) -> None:
        while (line := self._next()) is not None:
            outcome = await self._outcome(line)
            self._terminal.show(outcome)
            self._ok = self._ok and outcome.ok
        self._running = False
        if self._no_more:
            self._terminal.catch_up()

    def _next(self) -> bytes | Mark | None:
        line = self._framer.take()
        return self._framer.finish() if line is None and self._no_more else line

    async def _outcome(self, line: bytes | Mark) -> Outcome:
        console, text = self._terminal.console, decode(line)
        if isinstance(text, Mark):
            return Outcome((str(LineTooLong(console.hub.rules.line_bytes)),), ok=False)
        return await console.run(text)


class Screen:
    """The Python prompt, in a terminal."""

    def __init__(self, terminal: Terminal, size: tuple[int, int]) -> None:
        self._terminal = terminal
        self._prompt = Prompt(terminal.console, size, lambda: terminal.finish(ok=True))
        self._keys: Any = ServerProtocol(lambda: self._prompt)

    def begin(self) -> None:
        """Show the prompt."""
        self._keys.makeConnection(self._terminal)

    def received(self, data: bytes) -> None:
        """Take keystrokes."""
        self._keys.dataReceived(data)

    def input_ended(self) -> None:
        """Nobody can type any more."""
        self._terminal.finish(ok=True)

    def resized(self, columns: int, rows: int) -> None:
        """Know the window's size."""
        self._prompt.terminalSize(columns, rows)

    def heard(self, text: str) -> None:
        """Show what comes by itself above what is being typed."""
        self._prompt.interject(text)

    def caught_up(self) -> None:
        """A prompt waits for nothing."""

    def goodbye(self, text: str) -> None:
        """Say so, and leave."""
        self._prompt.interject(f"{text}\n")
        self._terminal.finish(ok=True)

    def ended(self) -> None:
        """Take no more keys, and show nothing more."""
        self._prompt.over = True


def _sides(data: bytes) -> tuple[int, int]:
    """The columns and rows of a window; the usual ones for a size that no window has."""
    columns, rows = struct.unpack(">2L", data[:8])
    possible = 0 < columns <= _LONGEST_SIDE and 0 < rows <= _LONGEST_SIDE
    return (columns, rows) if possible else _SIDES


def _nothing() -> None:
    """There is nothing to do for it."""
