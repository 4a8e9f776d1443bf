"""Telnet commands, taken out of the stream and answered (RFC 854, 855, 857, 858, 1073, 1091, 1143).

The rule: a client that never sends IAC never gets one, unless :meth:`TelnetFilter.hide` is told to
ask it, and no sequence of bytes makes the two ends answer each other for ever: an option is
answered only when it changes, and a refusal is never answered at all (RFC 1143).
"""

from enum import Enum, auto
from typing import Final

import attrs

IAC: Final = 255
DONT, DO, WONT, WILL, SB = 254, 253, 252, 251, 250
EL, EC, AYT, SE = 248, 247, 246, 240
ECHO, SGA, TTYPE, NAWS = 1, 3, 24, 31

_OURS: Final = frozenset({SGA})  # what we do when a client asks; ECHO only when we offer it
_THEIRS: Final = frozenset({SGA, TTYPE, NAWS})  # what a client may do
_LONGEST_COMMAND: Final = 512  # bytes of a subnegotiation that we wait for


class _Echo(Enum):
    """Who shows what is typed: RFC 1143's states of our side of the option ECHO."""

    NO = auto()  # the client
    WANT_YES = auto()  # we have offered to, and wait for the answer
    YES = auto()  # we do, which means that nothing is shown
    WANT_NO = auto()  # we have said that we don't any more, and wait for the answer


@attrs.define(eq=False)
class TelnetFilter:
    """One connection's telnet side. ``speaks``: the client has shown that it knows telnet."""

    speaks: bool = False
    _partial: bytes = b""
    _skipping: bool = False
    _echo: _Echo = _Echo.NO
    _opposite: bool = False  # once the answer is there, ask for the opposite (RFC 1143)
    _ours: frozenset[int] = frozenset()
    _theirs: frozenset[int] = frozenset()

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Split what was received into the text and the answers to the commands in it."""
        if IAC not in data and not self._partial and not self._skipping:
            return data, b""
        data, self._partial = self._partial + data, b""
        text, answers, at = bytearray(), bytearray(), 0
        while at < len(data):
            if self._skipping:
                at = self._skip(data, at)
                continue
            start = data.find(IAC, at)
            if start < 0:
                text += data[at:]
                break
            text += data[at:start]
            end = self._command(data, start, text, answers)
            if end is None:
                self._partial = data[start:]
                break
            at = end
        return bytes(text), bytes(answers)

    @property
    def hidden(self) -> bool:
        """Whether the client doesn't show what is typed, as far as it has been told."""
        return self._echo in {_Echo.WANT_YES, _Echo.YES}

    def hide(self) -> bytes:
        """What to send so that the client doesn't show what is typed next."""
        if not self.speaks:
            return b""
        self._opposite = self._echo is _Echo.WANT_NO
        if self._echo is not _Echo.NO:
            return b""
        self._echo = _Echo.WANT_YES
        return bytes((IAC, WILL, ECHO))

    def show(self) -> bytes:
        """What to send so that the client shows again what is typed."""
        self._opposite = self._echo is _Echo.WANT_YES
        if self._echo is not _Echo.YES:
            return b""
        self._echo = _Echo.WANT_NO
        return bytes((IAC, WONT, ECHO))

    def _command(self, data: bytes, start: int, text: bytearray, answers: bytearray) -> int | None:
        """Carry out the command at ``start``; return where it ends, None if more is to come."""
        if start + 1 >= len(data):
            return None
        self.speaks, code = True, data[start + 1]
        if code == IAC:
            text.append(IAC)
        elif code == EC:
            text += b"\b"
        elif code == EL:
            # Not as many backspaces as there are bytes: each EL would double what is there.
            text += b"\x15"
        elif code == AYT:
            answers += b"[yes]\r\n"
        elif code == SB:
            return self._subnegotiation(data, start)
        elif code in {WILL, WONT, DO, DONT}:
            if start + 2 >= len(data):
                return None
            answers += self._negotiate(code, data[start + 2])
            return start + 3
        return start + 2

    def _subnegotiation(self, data: bytes, start: int) -> int | None:
        """A window size or a terminal's name: nothing that a line of chat depends on."""
        end, found = _subnegotiation_end(data, start + 2)
        if found:
            return end
        if len(data) - start <= _LONGEST_COMMAND:
            return None
        self._skipping = True
        return self._skip(data, start + 2)

    def _skip(self, data: bytes, at: int) -> int:
        """Pass over a subnegotiation too long to wait for."""
        end, found = _subnegotiation_end(data, at)
        if found:
            self._skipping = False
            return end
        self._partial = data[end:]
        return len(data)

    def _negotiate(self, code: int, option: int) -> bytes:
        if option == ECHO and code in {DO, DONT}:
            return self._negotiate_echo(code)
        if code in {DO, DONT}:
            able, now, yes, no = _OURS, self._ours, WILL, WONT
        else:
            able, now, yes, no = _THEIRS, self._theirs, DO, DONT
        wanted = code in {DO, WILL}
        if wanted == (option in now):
            return b""
        if wanted and option not in able:
            return bytes((IAC, no, option))
        changed = now | {option} if wanted else now - {option}
        if able is _OURS:
            self._ours = changed
        else:
            self._theirs = changed
        return bytes((IAC, yes if wanted else no, option))

    def _negotiate_echo(self, code: int) -> bytes:
        """Take the client's word on ECHO; what it asks for by itself is refused."""
        was, opposite, self._opposite = self._echo, self._opposite, False
        if was is _Echo.WANT_YES:
            self._echo = _Echo.YES if code == DO else _Echo.NO
            return self.show() if opposite else b""
        if was is _Echo.WANT_NO:
            self._echo = _Echo.NO
            return self.hide() if opposite else b""
        if (code == DO) == (was is _Echo.YES):
            return b""
        self._echo = _Echo.NO
        return bytes((IAC, WONT, ECHO))


def _subnegotiation_end(data: bytes, at: int) -> tuple[int, bool]:
    """Where IAC SE ends, and whether it is there; if not, from where on to look again.

    IAC IAC is a byte 255 of the subnegotiation's own (RFC 855), so pairs are passed over whole.
    """
    while (start := data.find(IAC, at)) >= 0 and start + 1 < len(data):
        at = start + 2
        if data[start + 1] == SE:
            return at, True
    return (len(data) if start < 0 else start), False
