"""Bytes to lines: LF, CRLF or CR NUL, up to a length; a longer line is skipped to its end.

The rule: what follows a line is never lost with it, however the bytes are cut into segments, and
what waits here is never more than one line and one segment. Sources: RFC 854 (CR NUL, CR LF).
"""

from typing import Final

import attrs

from chatd.domain.ports import Line, Mark
from chatd.domain.text import erase

KILL: Final = "\x15"
"""What a terminal sends for "forget this line" (Ctrl-U), and what telnet's EL becomes."""


@attrs.define(eq=False)
class LineFramer:
    """Cuts a stream into lines of at most ``limit`` bytes, ends not counted."""

    _limit: int
    _buffer: bytes = b""
    _at: int = 0
    _skipping: bool = False

    def push(self, data: bytes) -> None:
        """Add what was received."""
        buffer = self._buffer[self._at :] + data
        if b"\r\0" in buffer:
            buffer = buffer.replace(b"\r\0", b"\r\n")
        self._buffer, self._at = buffer, 0

    def take(self) -> bytes | Mark | None:
        """The next line without its end, a mark for one that was too long, None for no more."""
        while (end := self._buffer.find(b"\n", self._at)) >= 0:
            line = self._buffer[self._at : end].removesuffix(b"\r")
            self._at = end + 1
            if self._at == len(self._buffer):
                self._buffer, self._at = b"", 0
            if self._skipping:
                self._skipping = False
            elif self._limit and len(line) > self._limit:
                return Mark.TOO_LONG
            else:
                return line
        # One more byte than the limit may be the CR of an end that has yet to come.
        if self._limit and len(self._buffer) - self._at > self._limit + 1:
            told, self._skipping = self._skipping, True
            self._buffer, self._at = self._buffer[-1:], 0
            return None if told else Mark.TOO_LONG
        return None

    def finish(self) -> bytes | Mark | None:
        """What was sent after the last line's end, once nothing more will come."""
        rest, self._buffer, self._at = self._buffer[self._at :].removesuffix(b"\r"), b"", 0
        if self._skipping or not rest:
            return None
        return Mark.TOO_LONG if self._limit and len(rest) > self._limit else rest


def decode(line: bytes | Mark) -> Line:
    """A line as text: UTF-8, or Latin-1 where it isn't that; what was erased in it is gone."""
    if isinstance(line, Mark):
        return line
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode("latin-1")
    return erase(text.rpartition(KILL)[2])
