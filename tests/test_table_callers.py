"""Who may ask for a command: a session, or an operator at a console; and what is written down."""

import sys
from typing import Final

import attrs
import pytest

from chatd.commands import TABLE, basics
from chatd.commands.table import (
    LOGGED_IN,
    Caller,
    CommandTable,
    Duration,
    Word,
    command,
)
from chatd.domain.errors import BadArguments, ChatError, NotAllowed, NotNow, NotYourself
from chatd.domain.events import Event, Told
from chatd.domain.hub import Hub
from chatd.domain.names import Key, Name
from chatd.domain.ports import Request
from chatd.domain.records import Act, Role
from chatd.domain.session import Session, State
from chatd.domain.text import Text
from tests.fakes import FakeLink, World, refused, result_of, told

DAY: Final = 86_400
NO_TIME: Final = "{} is not a time; write it as 90, 15m, 12h, 7d or 2w."
_AT_ONCE: Final = Duration(0)
_NO_REASON: Final = Text("")


@command("nap", when=LOGGED_IN)
def nap(caller: Caller, time: Duration) -> None:
    """Sleep for some time."""
    caller.answer(f"{time}")


@command("stop", needs=Role.OPERATOR, when=LOGGED_IN)
async def stop(
    caller: Caller, target: Word, time: Duration = _AT_ONCE, reason: Text = _NO_REASON
) -> None:
    """Stop something after some time."""
    caller.answer(f"{target}, {time}, {reason}")


@command("look", needs=Role.OPERATOR, when=LOGGED_IN)
def look(session: Session, what: Word) -> None:
    """Look at something, in the chat."""
    session.answer(what)


@command("burn", needs=Role.OPERATOR, when=LOGGED_IN)
def burn(caller: Caller, target: Word) -> None:
    """Make a mistake."""
    raise ZeroDivisionError(target)


ROOT: Final = Name("root")
OURS: Final = CommandTable.collect(basics, sys.modules[__name__])


@attrs.define(eq=False)
class Desk:
    """A console: an operator who isn't in the chat."""

    hub: Hub
    door: str = "desk"
    address: str = "10.0.0.7"
    name: Name = ROOT
    key: Key | None = None
    role: Role = Role.OPERATOR
    state: State = State.LOBBY
    bare: bool = True
    link: FakeLink = attrs.field(factory=FakeLink)
    told: list[str] = attrs.field(factory=list)

    def tell(self, event: Event) -> None:
        """Remember an answer."""
        assert isinstance(event, Told)
        self.answer(*event.lines)

    def answer(self, *lines: str) -> None:
        """Remember it."""
        self.told.extend(lines)

    def ask(self, verb: str, text: str = "", table: CommandTable = OURS) -> list[str]:
        """What is answered to a request."""
        work = table.run(self, Request(verb, text))
        if work is not None:
            result_of(work)
        told, self.told = self.told, []
        return told


@pytest.fixture
def desk(world: World) -> Desk:
    """A console."""
    return Desk(world.hub)


@pytest.fixture
def olga(world: World) -> Session:
    """An operator in the lobby, where the commands of this file can be used."""
    world.account("olga", role=Role.OPERATOR)
    olga = world.login("olga")
    world.hub.commands = OURS
    return olga


def test_a_command_needs_a_caller() -> None:
    """Nobody can add a command that doesn't say who may ask for it."""
    with pytest.raises(TypeError, match=r"^/odd: its first parameter is a Session or a Caller, "):

        @command("odd")
        def odd(who: Name) -> None:
            """Take somebody."""

    with pytest.raises(TypeError, match=r"^/lone: its first parameter is a Session or a Caller, "):

        @command("lone")
        def lone() -> None:
            """Take nobody."""


def test_what_a_console_can_ask_for(desk: Desk) -> None:
    """A console has the commands that are about the server; a chat's are refused there."""
    assert desk.ask("nap", "5") == ["5"]
    assert desk.ask("stop", "it 5 now") == ["it, 5, now"]
    with pytest.raises(NotNow, match=r"^help works only in the chat\.$"):
        desk.ask("help")
    with pytest.raises(NotNow, match=r"^look works only in the chat\.$"):
        desk.ask("look", "there")


def test_the_real_commands_at_a_console(world: World, desk: Desk) -> None:
    """All that operators do can be done from a console; of the rest, what needs no chat."""
    anywhere = {one.name for one in TABLE.commands if one.anywhere}
    assert anywhere == {"list", "whoelse"} | {
        one.name for one in TABLE.commands if one.needs is Role.OPERATOR
    }
    world.login("bob")
    assert desk.ask("whoelse", table=TABLE) == ["1 online: bob."]
    assert desk.ask("kick", "bob", table=TABLE) == ["Kicked bob."]
    with pytest.raises(NotYourself, match=r"^That would ban you too\.$"):
        desk.ask("ban", "10.0.0.7", table=TABLE)
    assert [(act.who, act.door, act.act, act.result) for act in world.audit.acts] == [
        ("root", "desk", "kick", "done"),
        ("root", "desk", "ban", "not_yourself"),
    ]


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        *(("0", 0), ("90", 90), ("90s", 90), ("15m", 900), ("12h", 43_200), ("7d", 7 * DAY)),
        *(("2w", 14 * DAY), ("1D", DAY), ("007M", 420), ("999999999w", 999_999_999 * 7 * DAY)),
    ],
)
def test_times(world: World, olga: Session, typed: str, seconds: int) -> None:
    """A time is seconds, or has a unit."""
    assert world.ask(olga, f"nap {typed}") == told(str(seconds))
    assert world.ask(olga, f"stop it {typed} now") == told(f"it, {seconds}, now")


@pytest.mark.parametrize(
    "typed",
    ["-1", "+1", ".5", "1.5", "1e5", "5min", "1y", "9" * 10, "9" * 5000, "\u0663", "10\u017f"],
)
def test_no_times(world: World, olga: Session, typed: str) -> None:
    """What looks like a time and is none is refused, wherever a time may stand."""
    error = BadArguments(NO_TIME.format(typed))
    assert world.ask(olga, f"nap {typed}") == refused(error)
    assert world.ask(olga, f"stop it {typed}") == refused(error)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("stop it", "it, 0, "),
        ("stop it at once", "it, 0, at once"),
        ("stop it -- now", "it, 0, -- now"),
        ("stop it  5   at  once ", "it, 5, at  once"),
        ("stop it 5", "it, 5, "),
    ],
)
def test_a_time_may_be_left_out(world: World, olga: Session, line: str, answer: str) -> None:
    """Where no time is given, what comes next is the reason."""
    assert world.ask(olga, line) == told(answer)


@pytest.mark.parametrize("line", ["nap", "nap  ", "nap soon", "nap 5 6", "stop"])
def test_a_time_that_is_missing(world: World, olga: Session, line: str) -> None:
    """Where a time is needed and there is none, or too much, the usage is told."""
    usage = "/nap TIME" if "nap" in line else "/stop TARGET [TIME] [REASON]"
    assert world.ask(olga, line) == refused(BadArguments(f"Usage: {usage}"))


# What is written down.


def act(name: str, target: str, arguments: str = "", reason: str = "", result: str = "done") -> Act:
    """An act at the console."""
    return Act(0.0, "root", "desk", "10.0.0.7", name, target, arguments, reason, result)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("it", act("stop", "it")),
        ("it 5", act("stop", "it", "5")),
        ("it 5 at once", act("stop", "it", "5", "at once")),
        ("it at once", act("stop", "it", "", "at once")),
    ],
)
def test_acts_are_written_down(world: World, desk: Desk, text: str, written: Act) -> None:
    """An operator's command is written down with what was given of its arguments."""
    desk.ask("stop", text)
    assert world.audit.acts == [written]


def test_other_commands_are_not(world: World, desk: Desk) -> None:
    """What everybody may do is nobody's business."""
    desk.ask("nap", "5")
    assert world.audit.acts == []


@pytest.mark.parametrize(
    ("verb", "text", "role", "error", "written"),
    [
        ("stop", "", Role.OPERATOR, BadArguments, act("stop", "", result="bad_arguments")),
        (
            "stop",
            "it 5min now",
            Role.OPERATOR,
            BadArguments,
            act("stop", "", "it 5min now", result="bad_arguments"),
        ),
        ("stop", "it", Role.USER, NotAllowed, act("stop", "", "it", result="not_allowed")),
        ("look", "there", Role.OPERATOR, NotNow, act("look", "", "there", result="not_now")),
        (
            "look",
            "there secret word",
            Role.OPERATOR,
            NotNow,
            act("look", "", "there", result="not_now"),
        ),
        (
            "burn",
            "it",
            Role.OPERATOR,
            ZeroDivisionError,
            act("burn", "it", result="incident"),
        ),
    ],
)
def test_refusals_are_written_down(
    world: World,
    desk: Desk,
    verb: str,
    text: str,
    role: Role,
    error: type[Exception],
    written: Act,
) -> None:
    """What was refused is written down with the reason, and what went wrong as that."""
    desk.role = role
    with pytest.raises(error) as raised:
        desk.ask(verb, text)
    assert world.audit.acts == [written]
    assert getattr(raised.value, "audited", None) is (
        True if isinstance(raised.value, ChatError) else None
    )
