"""The Python prompt: conch's manhole, for a console.

The rule: every line is in the audit log before it runs, and shows its results and its mistakes here
and nowhere else. It is the server's own Python: what is typed has all of the server's rights, and
while it runs the server does nothing else.

Conch's manhole is mended where today's terminals need it. Whatever changes in the line being typed,
all of it is drawn again: conch moves within one row, and so loses its place in a line that is wider
than the window; besides, it takes ASCII only, and stumbles over output that comes while somebody
types. The screen is left as it was found.
"""

import codecs
import inspect
import os
import re
import unicodedata
from collections.abc import Callable
from itertools import count
from pprint import pformat
from rlcompleter import Completer
from types import CodeType
from typing import Any, Final

from twisted.conch.manhole import Manhole, ManholeInterpreter
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from chatd import __version__
from chatd.domain.errors import ChatError
from chatd.domain.records import Act
from chatd.doors.console import Console, Outcome
from chatd.doors.functions import names_for

_WELCOME: Final = f"chatd {__version__}: the server's own Python. help() lists what there is.\n"
_WORD: Final = re.compile(r"[\w.]*$")
_INDENT: Final = "    "
_BACKSPACE, _KILL_AFTER, _KILL_BEFORE = b"\x08", b"\x0b", b"\x15"  # Ctrl-H, Ctrl-K, Ctrl-U


class Interpreter(ManholeInterpreter):
    """Runs what is typed, and shows what comes of it, now or later."""

    handler: "Prompt"
    locals: dict[str, Any]

    def __init__(self, prompt: "Prompt", names: dict[str, Any]) -> None:
        ManholeInterpreter.__init__(self, prompt, names)
        self._numbers = count(1)

    def push(self, line: bytes) -> bool:
        """Take a line; whether more of them belong to it."""
        try:
            return bool(ManholeInterpreter.push(self, line))
        except Exception:  # noqa: BLE001 (what the compiler gives up on: a MemoryError, for one)
            self.buffer = []
            self.handler.addOutput(Failure().getTraceback())
            return False

    def runcode(self, code: CodeType) -> None:
        """Run what is complete; whoever raises SystemExit leaves."""
        try:
            ManholeInterpreter.runcode(self, code)
        except SystemExit:
            self.handler.handle_QUIT()

    def displayhook(self, obj: Any) -> None:
        """Show a value; a coroutine is run, and what has yet to come is shown when it comes."""
        if obj is None:
            return
        if inspect.iscoroutine(obj):
            obj = Deferred.fromCoroutine(obj)
        self.locals["_"] = obj
        if isinstance(obj, Deferred):
            self._show_when_it_comes(obj)
        else:
            self.handler.addOutput(self._text(obj))

    def _show_when_it_comes(self, awaited: Deferred[Any]) -> None:
        now, label = True, ""

        def came(result: Any) -> Any:
            nonlocal now
            if now:
                self.handler.addOutput(self._text(result))
            elif isinstance(result, Outcome):
                self.handler.interject(self._text(result))
            else:
                self.handler.interject(f"{label}: {self._text(result)}")
            now = False
            return result

        def failed(failure: Failure) -> Failure | None:
            nonlocal now
            if self.handler.over:
                return failure  # nobody would see it here
            told = isinstance(failure.value, ChatError)
            text = f"{failure.value}\n" if told else failure.getTraceback()
            if now:
                self.handler.addOutput(text)
            else:
                self.handler.interject(f"{label}: {text}")
            now = False
            return None

        awaited.addCallbacks(came, failed)
        if now:
            now, label = False, f"<Deferred #{next(self._numbers)}>"
            self.handler.addOutput(f"{label}\n")

    def _text(self, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, Outcome):
            return "".join(f"{line}\n" for line in value.lines)
        try:
            return f"{pformat(value, width=self.handler.width, sort_dicts=False)}\n"
        except Exception:  # noqa: BLE001 (anything can have a repr that fails)
            return Failure().getTraceback()


class Prompt(Manhole):
    """Edits a line, and has it run. ``leave`` ends the session."""

    interpreter: Interpreter
    lineBuffer: list[bytes]  # a character each
    lineBufferIndex: int
    keyHandlers: dict[bytes, Callable[[], None]]
    terminal: Any

    def __init__(self, console: Console, size: tuple[int, int], leave: Callable[[], None]) -> None:
        Manhole.__init__(self)
        self._console = console
        self.width, self.height = size
        self._leave = leave
        self._decode = codecs.getincrementaldecoder("utf-8")("ignore").decode
        self._row = 0  # of the cursor, from the row that the line begins in
        self._running = False
        self.over = False

    def connectionMade(self) -> None:
        """Begin."""
        Manhole.connectionMade(self)
        self.interpreter = Interpreter(self, names_for(self._console))
        del self.keyHandlers[self.terminal.INSERT]
        self.keyHandlers[_BACKSPACE] = self.handle_BACKSPACE
        self.keyHandlers[_KILL_BEFORE] = self.handle_KILL_BEFORE
        self.keyHandlers[_KILL_AFTER] = self.handle_KILL_AFTER

    def initializeScreen(self) -> None:
        """Say what this is; the screen is left as it is."""
        self.mode = "insert"
        self.terminal.write(_WELCOME)
        self._redraw()

    def terminalSize(self, width: int, height: int) -> None:
        """Know the window's size. The terminal itself has broken the line anew."""
        self.width, self.height = width, height
        self._row = self._place(self.lineBufferIndex)[0]

    def keystrokeReceived(self, keyID: bytes, modifier: object) -> None:
        """Take a key, or a byte of a character; what means nothing here is ignored."""
        if self.over:
            return  # typed ahead of the end
        if keyID in self.keyHandlers:
            self.keyHandlers[keyID]()
        elif modifier is None and len(keyID) == 1:
            self._insert("".join(c for c in self._decode(keyID) if c.isprintable()))

    def lineReceived(self, line: bytes) -> None:
        """Write a line down, and run it."""
        text, console, hub = line.decode(), self._console, self._console.hub
        if text.strip():
            where = (console.name, console.door, console.address)
            hub.watch.audit.note(Act(hub.clock.seconds(), *where, "python", "", text, "", "typed"))
        self._running = True
        Manhole.lineReceived(self, line)
        self._running = False

    def addOutput(self, data: str, isAsync: object = None) -> None:
        """Show what a line that runs writes."""
        self.terminal.write(data.encode(errors="backslashreplace"))

    def interject(self, text: str) -> None:
        """Show what comes by itself, above what is being typed."""
        if self.over:
            return
        if self._running:
            self.addOutput(text)
            return
        self._go_home()
        self.addOutput(text)
        if not text.endswith("\n"):
            self.terminal.nextLine()
        self._redraw()

    # Keys, in the words of conch.

    def handle_LEFT(self) -> None:
        """Go back one character."""
        self._move(max(0, self.lineBufferIndex - 1))

    def handle_RIGHT(self) -> None:
        """Go on one character."""
        self._move(min(len(self.lineBuffer), self.lineBufferIndex + 1))

    def handle_HOME(self) -> None:
        """Go to the beginning."""
        self._move(0)

    def handle_END(self) -> None:
        """Go to the end."""
        self._move(len(self.lineBuffer))

    def handle_BACKSPACE(self) -> None:
        """Take out the character before."""
        if self.lineBufferIndex:
            del self.lineBuffer[self.lineBufferIndex - 1]
            self._edit(self.lineBufferIndex - 1)

    def handle_DELETE(self) -> None:
        """Take out the character here."""
        del self.lineBuffer[self.lineBufferIndex : self.lineBufferIndex + 1]
        self._redraw()

    def handle_KILL_BEFORE(self) -> None:
        """Take out all that is before."""
        del self.lineBuffer[: self.lineBufferIndex]
        self._edit(0)

    def handle_KILL_AFTER(self) -> None:
        """Take out all from here on."""
        del self.lineBuffer[self.lineBufferIndex :]
        self._redraw()

    def handle_DOWN(self) -> None:
        """Take the next line typed before."""
        Manhole.handle_DOWN(self)
        self._redraw()

    def handle_RETURN(self) -> None:
        """Run the line."""
        self.handle_END()
        self._row = 0
        Manhole.handle_RETURN(self)

    def handle_INT(self) -> None:
        """Forget the line, and those before it that it belongs to."""
        self.handle_END()
        self._row = 0
        Manhole.handle_INT(self)

    def handle_FF(self) -> None:
        """Clear the screen."""
        self.terminal.eraseDisplay()
        self.terminal.cursorHome()
        self._row = 0
        self._redraw()

    def handle_QUIT(self) -> None:
        """Leave."""
        self.terminal.nextLine()
        self._leave()

    def handle_TAB(self) -> None:
        """Complete the word, or list what it can become; at the beginning, indent."""
        before = b"".join(self.lineBuffer[: self.lineBufferIndex]).decode()
        found = _WORD.search(before)
        word = found[0] if found else ""
        if not word:
            self._insert(_INDENT)
            return
        choices = self._completions(word)
        common = os.path.commonprefix(choices)  # noqa: RUF071 (character by character is meant)
        if len(common) > len(word):
            self._insert(common[len(word) :])
        elif len(choices) > 1:
            self.interject("  ".join(choices))

    # Inside.

    def _completions(self, word: str) -> list[str]:
        completer = Completer(self.interpreter.locals)
        found: list[str] = []
        try:
            while (choice := completer.complete(word, len(found))) is not None:
                found.append(choice)
        except Exception:  # noqa: BLE001 (it looks into objects, which may do anything)
            self.interject(Failure().getTraceback())
        return sorted(set(found))

    def _insert(self, text: str) -> None:
        added = [character.encode() for character in text]
        at_end = self.lineBufferIndex == len(self.lineBuffer)
        self.lineBuffer[self.lineBufferIndex : self.lineBufferIndex] = added
        self.lineBufferIndex += len(added)
        row, column = self._place(self.lineBufferIndex)
        if at_end and row == self._row and column:
            self.terminal.write(text.encode())  # so that a long paste is not drawn again and again
        elif added:
            self._redraw()

    def _deliverBuffer(self, buf: bytes) -> None:
        """Put a line in the place of the one being typed (conch's name for it)."""
        self.lineBuffer = [character.encode() for character in buf.decode()]
        self._edit(len(self.lineBuffer))

    def _move(self, index: int) -> None:
        if index != self.lineBufferIndex:
            self._edit(index)

    def _edit(self, index: int) -> None:
        self.lineBufferIndex = index
        self._redraw()

    def _redraw(self) -> None:
        """Draw the line, with the cursor where it belongs."""
        self._go_home()
        self.terminal.write(self.ps[self.pn] + b"".join(self.lineBuffer))
        last, column = self._place(len(self.lineBuffer))
        if last and not column:
            self.terminal.write(b" \r")  # or the cursor would stay behind the last column
        self._row, column = self._place(self.lineBufferIndex)
        if last > self._row:
            self.terminal.cursorUp(last - self._row)
        self.terminal.write(b"\r")
        if column:
            self.terminal.cursorForward(column)

    def _go_home(self) -> None:
        """Go to where the line begins, and clear it."""
        if self._row:
            self.terminal.cursorUp(self._row)
        self.terminal.write(b"\r")
        self.terminal.eraseToDisplayEnd()
        self._row = 0

    def _place(self, index: int) -> tuple[int, int]:
        """The row and the column of a character, from where the line begins."""
        text = (self.ps[self.pn] + b"".join(self.lineBuffer[:index])).decode()
        return divmod(sum(map(_columns, text)), self.width)


def _columns(character: str) -> int:
    """How many columns of a terminal a character takes (UAX #11)."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
