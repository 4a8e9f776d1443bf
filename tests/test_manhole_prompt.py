"""The Python prompt: what it runs, what it shows, and how a line is edited."""

from typing import Any

import pytest
from twisted.conch.insults.helper import TerminalBuffer
from twisted.conch.insults.insults import ClientProtocol, ServerProtocol
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from chatd.domain.errors import NotHere
from chatd.domain.names import Name
from chatd.domain.records import Act
from chatd.doors.console import Console, Ear
from chatd.doors.prompt import Prompt
from tests.conftest import LoggedErrors
from tests.fakes import World, sent_to

UP, DOWN, RIGHT, LEFT, HOME, END = (f"\x1b[{key}" for key in ("A", "B", "C", "D", "1~", "4~"))
DELETE = "\x1b[3~"
ROWS = 200  # so that nothing leaves the screen within a test


class Teletype:
    """A terminal with the prompt on it."""

    def __init__(self, world: World, columns: int = 80) -> None:
        self.left = 0
        ear = Ear(lambda text: self.prompt.interject(text), lambda: None)
        console = Console(world.hub, Name("alice"), "10.0.0.9", ear)
        self.prompt = Prompt(console, (columns, ROWS), self._leave)
        self._keys: Any = ServerProtocol(lambda: self.prompt)
        self._buffer = TerminalBuffer()
        self._buffer.width, self._buffer.height = columns, ROWS
        self._screen: Any = ClientProtocol(lambda: self._buffer)
        self._screen.makeConnection(StringTransport())
        self._transport = StringTransport()
        self._keys.makeConnection(self._transport)

    def _leave(self) -> None:
        self.left += 1
        self.prompt.over = True

    def type(self, text: str) -> None:
        """Press keys, as the bytes that a terminal sends for them, one at a time."""
        for byte in text.encode():
            self._keys.dataReceived(bytes([byte]))

    def enter(self, *lines: str) -> list[str]:
        """Type lines; what is on the screen after the last one, up to the next prompt."""
        for line in lines:
            self.type(f"{line}\r")
        shown = self.screen()
        assert shown[-1].startswith(">>>")
        last = max(n for n, text in enumerate(shown[:-1]) if text.startswith((">>>", "...")))
        return shown[last + 1 : -1]

    def screen(self) -> list[str]:
        """The rows on the screen that are not empty."""
        self._screen.dataReceived(self._transport.value())
        self._transport.clear()
        rows = bytes(self._buffer).decode(errors="replace").splitlines()
        return [row.rstrip() for row in rows if row.strip()]

    @property
    def sent(self) -> str:
        """What was sent to the terminal since the screen was last looked at."""
        sent: bytes = self._transport.value()
        return sent.decode()

    def cursor(self) -> tuple[int, int]:
        """The column and the row of the cursor."""
        self.screen()
        return self._buffer.x, self._buffer.y

    @property
    def line(self) -> str:
        """The line being typed."""
        return b"".join(self.prompt.lineBuffer).decode()


@pytest.fixture
def tty(world: World) -> Teletype:
    """A terminal of 80 columns, just logged in."""
    return Teletype(world)


def test_welcome(tty: Teletype) -> None:
    """Whoever logs in is told what this is."""
    assert tty.screen() == [
        "chatd 0.1.0: the server's own Python. help() lists what there is.",
        ">>>",
    ]


def test_python(tty: Teletype) -> None:
    """What is typed is Python: values are shown, and names kept."""
    assert tty.enter("x = 6") == []
    assert tty.enter("x * 7") == ["42"]
    assert tty.enter("_ + 1") == ["43"]
    assert tty.enter("None") == []
    assert tty.enter("print('as', 'printed')") == ["as printed"]
    assert tty.enter("for n in range(2):", "    n", "") == ["0", "1"]
    assert tty.enter("hub.rules.server") == ["'chatd'"]


def test_function(world: World, tty: Teletype) -> None:
    """A command is a function; its answer is shown as it is, and so is a refusal."""
    bob = world.login("bob", world.channel())
    sent_to(bob)
    assert tty.enter("kick('general:bob', 'much too loud')") == ["Kicked bob."]
    assert world.audit.acts[-1].reason == "much too loud"
    assert tty.enter("kick('bob')") == ["bob is not online."]
    assert tty.enter("who()") == ["Nobody is online."]
    assert tty.enter("rooms()") == ["[Channel] general 0/100/0."]
    assert tty.enter("mute('general:bob', 5)") == ["bob is not here."]
    assert tty.enter("shutdown_cancel()") == ["No shutdown is under way."]
    assert tty.enter("stats()") == ["{'online': 3, 'uptime': 1.5}"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("kick('a b', 'c')", "'a b': only the last argument can have spaces, or be empty."),
        ("kick('', 'c')", "'': only the last argument can have spaces, or be empty."),
        ("kick('bob', why='c')", "kick takes no why besides that."),
        ("kick('bob', 'c', reason='d')", "kick takes no reason besides that."),
        ("kick(2.5)", "2.5 is no text and no whole number."),
        ("kick()", "Usage: /kick TARGET [REASON]"),
    ],
)
def test_wrong_call(tty: Teletype, call: str, told: str) -> None:
    """Arguments that make no line are refused in a sentence."""
    assert tty.enter(call) == [told]


def test_named_arguments(world: World, tty: Teletype) -> None:
    """Arguments can be given by their names."""
    assert tty.enter("ban(reason='spam', target='bob')") == ["Banned bob for ever."]
    assert world.audit.acts[-1].reason == "spam"
    assert tty.enter("unban(target='bob')") == ["bob is no longer banned."]


def test_help(tty: Teletype) -> None:
    """Functions explain themselves."""
    (kick,) = {row for row in tty.prompt.interpreter.locals["help"]().lines if "kick" in row}
    assert kick.startswith("kick(target, reason=...): Close somebody's connection")
    assert "".join(tty.enter("help(kick)")) == "".join(tty.enter("kick")) == kick
    assert tty.enter("help(help)") == tty.enter("help")
    assert tty.enter("help(stats)") == [
        "Show what the server counts, as a dict; times are in seconds."
    ]
    assert tty.enter("def f(): pass", "", "help(f)")[0].startswith("<function f")


def test_names_of_python(tty: Teletype) -> None:
    """No command takes the place of what Python has itself, but for help and leaving."""
    names = tty.prompt.interpreter.locals
    assert tty.enter("list('ab')") == ["['a', 'b']"]
    assert not {"list", "print", "dict"} & set(names)


def test_deferred(tty: Teletype) -> None:
    """A result that has yet to come is shown when it comes, whatever is being typed."""
    waiting: Deferred[int] = Deferred()
    tty.prompt.interpreter.locals["d"] = waiting
    assert tty.enter("d") == ["<Deferred #1>"]
    tty.type("half a line")
    waiting.callback(42)
    assert tty.screen()[-2:] == ["<Deferred #1>: 42", ">>> half a line"]
    tty.type("\x15")
    assert tty.enter("d") == ["42"]
    assert tty.enter("from twisted.internet.defer import *", "succeed(7)") == ["7"]


def test_coroutine(tty: Teletype) -> None:
    """A coroutine is run, and its result shown."""
    waiting: Deferred[str] = Deferred()
    tty.prompt.interpreter.locals["d"] = waiting
    tty.enter("async def f():", "    return [await d]", "")
    assert tty.enter("f()") == ["<Deferred #1>"]
    waiting.callback("done")
    assert tty.screen()[-2:] == ["<Deferred #1>: ['done']", ">>>"]


def test_late_answer(world: World, tty: Teletype) -> None:
    """A command's late answer is shown in plain lines, like any other."""

    class Slow:
        """A server that takes its time."""

        waiting: Deferred[None] = Deferred()

        async def rehash(self) -> tuple[str, ...]:
            """Wait."""
            await self.waiting
            return ("Nothing has changed.",)

    world.hub.server = Slow()  # type: ignore[assignment]
    assert tty.enter("rehash()") == ["<Deferred #1>"]
    Slow.waiting.callback(None)
    assert tty.screen()[-2:] == ["Nothing has changed.", ">>>"]


def test_failures(tty: Teletype) -> None:
    """What fails is told here, now or later, and not in the server's log."""
    assert tty.enter("1/0")[-1] == "ZeroDivisionError: division by zero"
    assert "SyntaxError" in tty.enter("1 +* 2")[-1]
    assert "RecursionError" in tty.enter("-" * 3000 + "1")[-1]
    tty.enter("async def f(): raise KeyError('gone')", "")
    assert "KeyError" in tty.enter("f()")[-1]
    for number, error, shown in (
        (1, ValueError("bad"), "Failure: builtins.ValueError: bad"),
        (2, NotHere("bob"), "<Deferred #2>: bob is not here."),
    ):
        waiting: Deferred[None] = Deferred()
        tty.prompt.interpreter.locals["d"] = waiting
        assert tty.enter("d") == [f"<Deferred #{number}>"]
        waiting.errback(Failure(error))
        assert tty.screen()[-2:] == [shown, ">>>"]


def test_repr_that_fails(tty: Teletype) -> None:
    """An object that can't be shown is told as a mistake like any other."""
    tty.enter("class Bad:", "    def __repr__(self): return 1/0", "")
    assert "ZeroDivisionError" in tty.enter("Bad()")[-1]


def test_failure_after_the_end(tty: Teletype, logged_errors: LoggedErrors) -> None:
    """What fails once nobody is there to see it any more is logged, and not lost."""
    waiting: Deferred[None] = Deferred()
    tty.prompt.interpreter.locals["d"] = waiting
    tty.enter("d")
    tty.type("\x04")
    waiting.errback(ValueError("too late"))
    del waiting
    tty.prompt.interpreter.locals.clear()
    assert "too late" in str(logged_errors.flush()[-1]["log_failure"])


def test_audit(world: World, tty: Teletype) -> None:
    """Every line typed is in the audit log, as it was typed, before it runs."""
    tty.enter("if True:", "    1/0", "", "print('käse')")
    typed = ["if True:", "    1/0", "print('käse')"]
    assert world.audit.acts == [
        Act(0.0, "alice", "manhole", "10.0.0.9", "python", "", line, "", "typed") for line in typed
    ]


@pytest.mark.parametrize(
    "typed", ["\x04", "exit()\r", "quit()\r", "raise SystemExit\r", "x = 1; exit()\rprint(2)\r"]
)
def test_leave(tty: Teletype, typed: str) -> None:
    """Ctrl-D and exit() leave; what was typed ahead is not run any more."""
    tty.type(typed)
    assert tty.left == 1
    tty.type("more\r")
    tty.prompt.interject("nothing\n")
    assert "nothing" not in "".join(tty.screen())


def test_ctrl_d_in_a_line(tty: Teletype) -> None:
    """Ctrl-D within a line does not leave."""
    tty.type("abc\x04")
    assert (tty.left, tty.line) == (0, "abc")


def test_ctrl_c(tty: Teletype) -> None:
    """Ctrl-C forgets the line, and those before it that it belongs to."""
    tty.type("def f():\r    return 1 +\x03")
    assert tty.screen()[-2:] == ["KeyboardInterrupt", ">>>"]
    assert tty.enter("2") == ["2"]


@pytest.mark.parametrize(
    ("typed", "line", "column"),
    [
        ("abc", "abc", 3),
        (f"ac{LEFT}b", "abc", 2),
        (f"bc{HOME}a", "abc", 1),
        (f"bc{LEFT}{LEFT}{LEFT}a{END}d{RIGHT}e", "abcde", 5),
        (f"abx{LEFT}{DELETE}c", "abc", 3),
        ("abx\x7fc", "abc", 3),
        ("abx\x08c", "abc", 3),
        (f"\x7f{DELETE}a", "a", 1),
        (f"xyzabc{LEFT * 3}\x15", "abc", 0),
        (f"abcxyz{LEFT * 3}\x0b", "abc", 3),
        ("bc\x01a\x05d", "abcd", 4),
        ("a\x07\x1b[15~\x1bxb\x1b[2~c", "abc", 3),
        ("a\u202eb\xa0c", "abc", 3),
    ],
)
def test_edit(tty: Teletype, typed: str, line: str, column: int) -> None:
    """A line is edited with the usual keys; what is no character of it is ignored."""
    tty.type(typed)
    assert tty.line == line
    assert tty.cursor() == (4 + column, 1)


@pytest.mark.parametrize(
    ("typed", "columns"), [("grün", 3), ("日本", 2), ("ee\u0301x", 2), ("naïve", 4)]
)
def test_other_letters(tty: Teletype, typed: str, columns: int) -> None:
    """Letters beyond ASCII are characters like others, each as wide as a terminal shows it."""
    tty.type(typed)
    assert tty.line == typed
    tty.type(LEFT)
    assert tty.sent.endswith(f"\x1b[{4 + columns}C")
    tty.type("\x7f")
    assert tty.line == typed[:-2] + typed[-1]


def test_wide_line(world: World) -> None:
    """A line wider than the window is drawn whole, and edited anywhere."""
    tty = Teletype(world, columns=20)
    line = "".join(str(n % 10) for n in range(50))
    tty.screen()
    top = tty.cursor()[1]
    tty.type(line)
    assert tty.screen()[-3:] == [f">>> {line[:16]}", line[16:36], line[36:]]
    assert tty.cursor() == (14, top + 2)
    tty.type(LEFT * 30 + "\x7f")
    assert tty.screen()[-3:] == [f">>> {line[:16]}", line[16:19] + line[20:37], line[37:]]
    assert tty.cursor() == (3, top + 1)
    tty.type("\x15")
    assert tty.screen()[-2:] == [f">>> {line[20:36]}", line[36:]]
    assert tty.cursor() == (4, top)
    tty.prompt.interject("late\n")
    assert tty.screen()[-3:] == ["late", f">>> {line[20:36]}", line[36:]]
    tty.type("\x0b" + "x" * 16)
    assert tty.cursor() == (0, top + 2)
    tty.type("\x7f")
    assert tty.screen()[-2:] == ["late", f">>> {'x' * 15}"]


def test_resize(tty: Teletype) -> None:
    """The prompt knows how wide the window is now."""
    tty.enter("d = dict.fromkeys(range(9))")
    assert len(tty.enter("d")) == 9
    tty.type("half a line")
    tty.prompt.terminalSize(100, ROWS)
    assert tty.line == "half a line"
    tty.type("\x15")
    assert len(tty.enter("d")) == 2


def test_history(tty: Teletype) -> None:
    """The arrows bring back what was typed."""
    tty.enter("a = 1", "ä = 2")
    tty.type(f"new{UP}")
    assert tty.line == "ä = 2"
    tty.type(UP)
    assert tty.line == "a = 1"
    tty.type(DOWN + DOWN)
    assert tty.line == "new"
    tty.type(DOWN)
    assert tty.line == ""
    assert tty.screen()[-1] == ">>>"


def test_clear(tty: Teletype) -> None:
    """Ctrl-L clears the screen, and leaves the line."""
    tty.type("abc\x0c")
    assert tty.screen() == [">>> abc"]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("ki\t", "kick("),
        ("hub.ros\t", "hub.roster"),
        ("print(hub.ros\t", "print(hub.roster"),
        ("zzz\t", "zzz"),
        ("\tx", "    x"),
        (f"ki + 1{LEFT * 4}\t", "kick( + 1"),
    ],
)
def test_completion(tty: Teletype, typed: str, line: str) -> None:
    """Tab completes the word before the cursor, or indents."""
    tty.type(typed)
    assert tty.line == line


def test_several_completions(tty: Teletype) -> None:
    """Where a word can become several, they are listed, and it goes as far as they agree."""
    tty.type("account\t")
    assert tty.line == "account"
    *_, listed, line = tty.screen()
    assert (listed.split()[:2], line) == (["account_add(", "account_passwd("], ">>> account")
    tty.type("_\t")
    assert tty.line == "account_"
    tty.type("r\t\t")
    assert tty.line == "account_r"


def test_completion_that_fails(tty: Teletype) -> None:
    """An object that fails when it is looked into is told of, and completes to nothing."""
    tty.enter("class Never:", "    def __get__(self, *args): return 1/0", "")
    tty.enter("class Bad: foot = Never()", "", "bad = Bad()")
    tty.type("bad.fo\t")
    assert tty.screen()[-2:] == [
        "builtins.ZeroDivisionError: division by zero",
        ">>> bad.fo",
    ]
