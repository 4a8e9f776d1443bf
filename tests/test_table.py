"""The command table: how a command is declared, found, checked and carried out."""

import sys

import pytest

from chatd.commands import TABLE, basics
from chatd.commands.table import (
    IN_ROOM,
    LOGGED_IN,
    LOGIN,
    CommandTable,
    NewPassword,
    OldPassword,
    Password,
    Word,
    as_rst,
    command,
)
from chatd.domain.errors import BadArguments, BadName, NotAllowed, NotNow, UnknownCommand
from chatd.domain.events import Asked, Event, Prompt
from chatd.domain.names import Name
from chatd.domain.ports import Request
from chatd.domain.records import Role
from chatd.domain.session import Session
from chatd.domain.text import Text
from tests.fakes import World, refused, told

_NOTHING = Word("")


@command("add", "plus", "sum", when=LOGGED_IN)
def add(session: Session, first: int, second: int = 2) -> None:
    """Add two numbers.

    This part is for programmers.
    """
    session.answer(f"{first + second}")


@command("echo", when=LOGGED_IN)
async def echo(session: Session, to: Name, text: Text) -> None:
    """Repeat a text."""
    session.answer(f"{to}: {text}")


@command("look", when=LOGGED_IN)
def look(session: Session, what: Word = _NOTHING) -> None:
    """Look at something."""
    session.answer(what or "nothing")


@command("vault", needs=Role.OPERATOR)
def vault(session: Session) -> None:
    """Open the vault."""
    session.answer("open")


@command("mine", needs=Role.USER, when=LOGGED_IN)
def mine(session: Session) -> None:
    """Show what is yours."""
    session.answer("yours")


@command("here", when=IN_ROOM)
def here(session: Session) -> None:
    """Tell whether this is a channel."""
    session.answer("here")


@command("change", when=LOGGED_IN)
def change(session: Session, what: Word, old: OldPassword, new: NewPassword) -> None:
    """Change a password."""
    session.answer(f"{what}: {old} to {new}")


@command("open", when=LOGIN)
def open_(session: Session, what: Word, password: Password) -> None:
    """Open something."""
    session.answer(f"{what}: {password}")


THIS = sys.modules[__name__]
OURS = CommandTable.collect(basics, THIS)


@pytest.fixture
def bob(world: World) -> Session:
    """Somebody in the lobby, where the commands of this file can be used."""
    bob = world.login("bob")
    world.hub.commands = OURS
    return bob


def test_a_command_needs_help() -> None:
    """Nobody can add a command that /help could not explain."""
    with pytest.raises(TypeError, match=r"^/silent has no docstring, and so no help$"):

        @command("silent")
        def silent(session: Session) -> None:
            pass


def test_a_command_needs_arguments_that_can_be_read() -> None:
    """Nobody can add a command with an argument of a kind that nothing reads."""
    with pytest.raises(TypeError, match=r"^/odd: nothing reads number: <class 'float'>$"):

        @command("odd")
        def odd(session: Session, number: float) -> None:
            """Take a fraction."""


def test_a_command_needs_arguments_with_a_kind() -> None:
    """Nobody can add a command with an argument that has no annotation."""
    with pytest.raises(TypeError, match=r"^/vague: nothing reads what: None$"):

        @command("vague")
        def vague(session: Session, what) -> None:  # type: ignore[no-untyped-def]
            """Take anything."""


def test_nothing_can_follow_the_rest_of_the_line() -> None:
    """Nobody can add a command whose last argument would never get anything."""
    with pytest.raises(TypeError, match=r"^/greedy: nothing is left for to$"):

        @command("greedy")
        def greedy(session: Session, text: Text, to: Name) -> None:
            """Say something to somebody."""


def test_what_is_asked_for_comes_last() -> None:
    """Nobody can add a command whose line would begin with a password."""
    with pytest.raises(TypeError, match=r"^/inverted: nothing is left for who$"):

        @command("inverted")
        def inverted(session: Session, password: Password, who: Word) -> None:
            """Log in the wrong way round."""


def test_a_name_is_declared_once() -> None:
    """Nobody can add a command under a name that another one has."""
    with pytest.raises(TypeError, match=r"^/add is declared twice$"):
        CommandTable.collect(THIS, THIS)


def test_the_table_keeps_the_order_of_modules_and_files() -> None:
    """Commands are listed in the order in which they stand in the source."""
    names = [c.name for c in OURS.commands]
    assert " ".join(names) == "help quit add echo look vault mine here change open"
    assert OURS.words == {*names, "plus", "sum", "logout", "disconnect"}


def test_a_module_gives_only_its_own_commands() -> None:
    """What a module has imported from another is not declared again."""
    assert [c.name for c in CommandTable.collect(basics).commands] == ["help", "quit"]


@pytest.mark.parametrize("verb", ["add", "ADD", "Add", "plus", "SuM"])
def test_a_command_is_found_in_any_case(world: World, bob: Session, verb: str) -> None:
    """Every name of a command works, in capitals too."""
    assert OURS.find(verb) is OURS.commands[2]
    assert world.ask(bob, f"{verb} 1 3") == told("4")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("add 1", "3"),
        ("add  1   5 ", "6"),
        ("add 007 0", "7"),
        ("add 999999999 0", "999999999"),
        ("echo bob hello  there ", "bob: hello  there"),
        ("echo bob \x1b[2Jhi\x07", "bob: \ufffd[2Jhi\ufffd"),
        ("echo  bob\thi", "bob: hi"),
        ("look", "nothing"),
        ("look   ", "nothing"),
        ("look \u202ex", "\ufffdx"),
    ],
)
def test_arguments_are_read(world: World, bob: Session, line: str, answer: str) -> None:
    """Words are split at spaces, a text is the rest of the line, and both are made harmless."""
    assert world.ask(bob, line) == told(answer)


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        ("add", "/add FIRST [SECOND]"),
        ("add 1 2 3", "/add FIRST [SECOND]"),
        ("echo", "/echo TO TEXT"),
        ("echo bob", "/echo TO TEXT"),
        ("echo bob  ", "/echo TO TEXT"),
        ("look here there", "/look [WHAT]"),
        ("mine now", "/mine"),
        ("change", "/change WHAT"),
        ("change this now", "/change WHAT"),
        ("change this now|old|new", "/change WHAT"),
    ],
)
def test_wrong_arguments_are_answered_by_the_usage(
    world: World, bob: Session, line: str, usage: str
) -> None:
    """Too few or too many arguments are refused with how the command is typed."""
    assert world.ask(bob, line) == refused(BadArguments(f"Usage: {usage}"))


@pytest.mark.parametrize("number", ["one", "-1", "1.5", "+1", "\u0663", "\u00b2", "0x1"])
def test_a_number_is_made_of_digits(world: World, bob: Session, number: str) -> None:
    """What isn't a whole number is refused as that."""
    assert world.ask(bob, f"add {number}") == refused(
        BadArguments(f"{number} is not a whole number.")
    )


def test_a_number_has_its_limit(world: World, bob: Session) -> None:
    """A number of more than nine digits is refused, not cut off."""
    assert world.ask(bob, "add 1000000000") == refused(BadArguments("That number is too large."))


def test_a_name_is_checked(world: World, bob: Session) -> None:
    """A name that nobody can have is refused for what is wrong with it."""
    assert world.ask(bob, "echo 1bob hi") == refused(BadName("A name begins with a letter."))


@pytest.mark.parametrize(
    ("line", "text"),
    [("change this", "this"), ("CHANGE this|old", "this"), ("change  \x1bthis ", " \ufffdthis ")],
)
def test_secrets_are_asked_for(world: World, bob: Session, line: str, text: str) -> None:
    """A password is never typed in the command's line; what else it was about is kept."""
    prompts = (Prompt.OLD_PASSWORD, Prompt.NEW_PASSWORD, Prompt.AGAIN)
    assert world.ask(bob, line) == [Asked("change", text, prompts)]


def test_secrets_complete_the_command(world: World, bob: Session) -> None:
    """The answers reach the command exactly as typed, in their order."""
    assert world.ask(bob, "change this| o\x1bld |new") == told("this:  o\x1bld  to new")


def test_secrets_can_be_asked_for_before_the_login(world: World) -> None:
    """Whoever types a command for logging in is asked only for what is missing."""
    stranger = world.connect()
    world.hub.commands = OURS
    assert world.ask(stranger, "open door") == [Asked("open", "door", (Prompt.PASSWORD,))]
    assert world.ask(stranger, "open door|x")[0] == told("door: x")[0]


@pytest.mark.parametrize(
    ("line", "shown"), [("frob", "frob"), ("FROB x", "FROB"), ("\x1bfrob", "\ufffdfrob")]
)
def test_an_unknown_command_in_the_lobby(world: World, bob: Session, line: str, shown: str) -> None:
    """A line that is no command is refused with a hint, in the lobby without slashes."""
    assert world.ask(bob, line) == refused(UnknownCommand(shown, "help"))


def test_a_lone_slash_is_no_command(world: World, bob: Session) -> None:
    """A slash by itself is refused like any other command that doesn't exist."""
    text = "There is no command /. Type help for a list."
    with pytest.raises(UnknownCommand, match=rf"^{text}$"):
        OURS.run(bob, Request(""))


def test_an_unknown_command_in_a_channel(world: World) -> None:
    """In a channel an unknown command is refused with its slash, and not said aloud."""
    alice = world.login("alice", world.channel())
    assert world.ask(alice, "frob") == refused(UnknownCommand("/frob", "/help"))


@pytest.mark.parametrize(
    ("operator", "line", "answer"),
    [
        (False, "vault", refused(NotAllowed("That is for operators."))),
        (True, "vault", told("open")),
        (False, "mine", told("yours")),
        (True, "mine", told("yours")),
    ],
)
def test_some_commands_are_for_operators(
    world: World, operator: bool, line: str, answer: list[bytes | Event]
) -> None:
    """An operator may what a user may, and more."""
    world.account("carol", role=Role.OPERATOR if operator else Role.USER)
    carol = world.login("carol")
    world.hub.commands = OURS
    assert world.ask(carol, line) == answer


def test_some_commands_need_an_account(world: World, bob: Session) -> None:
    """A guest is told how to get the account that a command needs."""
    bob.account = None
    assert world.ask(bob, "mine") == refused(
        NotAllowed("That needs an account. Type /register to open one.")
    )


def test_a_command_has_its_places(world: World, bob: Session) -> None:
    """A command that makes no sense where somebody is gets refused, and says where it would."""
    room = world.channel("general", capacity=1)
    world.hub.commands = TABLE
    alice, carol = world.login("alice", room), world.login("carol", room)
    stranger = world.connect()
    world.hub.commands = OURS
    assert world.ask(alice, "here") == told("here")
    assert world.ask(alice, "open x") == refused(NotNow("You are logged in already."))
    assert world.ask(bob, "here") == refused(
        NotNow("You are in no channel. Type /switch and a channel's name to enter one.")
    )
    assert world.ask(carol, "here") == refused(
        NotNow("You are in the waiting queue; /list, /switch, /help and /quit work here.")
    )
    assert world.ask(stranger, "here")[0] == refused(NotNow("Please log in first."))[0]


def test_the_place_counts_before_the_permission(world: World, bob: Session) -> None:
    """Somebody who has yet to log in is told that, not that a command is for operators."""
    stranger = world.connect()
    assert world.ask(stranger, "vault")[0] == refused(NotNow("Please log in first."))[0]


EXPLAINED = (
    "/help [COMMAND]: List the commands, or explain one.",
    "/quit (also /logout, /disconnect): Leave the server.",
    "/add FIRST [SECOND] (also /plus, /sum): Add two numbers.",
    "/echo TO TEXT: Repeat a text.",
    "/look [WHAT]: Look at something.",
    "/mine: Show what is yours.",
    "/here: Tell whether this is a channel.",
    "/change WHAT: Change a password.",
)


def test_help_lists_the_commands(world: World, bob: Session) -> None:
    """/help lists what somebody may type: not what clients ask for, nor what operators do."""
    assert world.ask(bob, "help") == told(*EXPLAINED)


def test_help_lists_everything_to_an_operator(world: World) -> None:
    """An operator finds the operators' commands in the list, in their place."""
    world.account("carol", role=Role.OPERATOR)
    carol = world.login("carol")
    world.hub.commands = OURS
    lines = [*EXPLAINED[:5], "/vault: Open the vault.", *EXPLAINED[5:]]
    assert world.ask(carol, "help") == told(*lines)


@pytest.mark.parametrize("asked", ["add", "/add", "PLUS"])
def test_help_explains_a_command(world: World, bob: Session, asked: str) -> None:
    """A command is explained under each of its names, with or without its slash."""
    assert world.ask(bob, f"help {asked}") == told(EXPLAINED[2])


@pytest.mark.parametrize("asked", ["frob", "/frob", "open"])
def test_help_knows_no_other_commands(world: World, bob: Session, asked: str) -> None:
    """What can't be typed can't be explained."""
    assert world.ask(bob, f"help {asked}") == refused(UnknownCommand(asked, "/help"))


def test_the_table_makes_a_page_of_documentation() -> None:
    """The README's list of commands is made of the same table as /help."""
    assert as_rst(CommandTable.collect(basics)) == (
        ".. list-table::\n"
        "   :header-rows: 1\n"
        "\n"
        "   * - type\n"
        "     - also\n"
        "     - for\n"
        "   * - ``/help [COMMAND]``\n"
        "     -\n"
        "     - List the commands, or explain one.\n"
        "   * - ``/quit``\n"
        "     - ``/logout``, ``/disconnect``\n"
        "     - Leave the server.\n"
    )
    assert "/open" not in as_rst(OURS)
