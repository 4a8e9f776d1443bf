"""Other names of the commands: the seeds' own, as their users type them."""

from collections.abc import Callable

import pytest

from chatd.commands import TABLE
from chatd.domain.errors import UnknownCommand
from chatd.domain.events import Told
from chatd.domain.ports import Request
from chatd.wire.lines import Dialogue, LineFormat
from tests.fakes import World, refused, told

SEEDS = [
    ("viewRequests", "requests", ""),
    ("approveRequest bob", "approve", "bob"),
    ("allMembers", "members", ""),
    ("onlineMembers", "online", ""),
    ("changeAdmin bob", "transfer", "bob"),
    ("whoAdmin", "admin", ""),
    ("kickMember bob", "expel", "bob"),
    ("create group team bob carol", "create", "team bob carol"),
    ("message group team hi all", "group", "team hi all"),
    ("grouplist", "groups", ""),
    ("message bob hi there", "message", "bob hi there"),
    ("broadcast hi all", "broadcast", "hi all"),
    ("whoelse", "whoelse", ""),
    ("wholasthr", "wholasthr", ""),
    ("block bob", "block", "bob"),
    ("unblock bob", "unblock", "bob"),
    ("ping bob", "ping", "bob"),
    ("offline", "offline", ""),
    ("fileTransfer bob notes.pdf", "send", "bob notes.pdf"),
    ("logout", "quit", ""),
    ("disconnect", "quit", ""),
    ("w bob hi", "whisper", "bob hi"),
    ("m bob hi", "message", "bob hi"),
    ("r hi", "r", "hi"),
]
"""What is typed, and the command and the arguments that it means."""

OTHER_NAMES = {
    "requests": ["viewRequests"],
    "approve": ["approveRequest"],
    "members": ["allMembers"],
    "online": ["onlineMembers"],
    "transfer": ["changeAdmin"],
    "admin": ["whoAdmin"],
    "expel": ["kickMember"],
    "create": ["create group"],
    "group": ["message group"],
    "groups": ["grouplist"],
    "whisper": ["w"],
    "message": ["m"],
    "send": ["fileTransfer"],
    "quit": ["logout", "disconnect"],
}


def asked(line: str, *, bare: bool) -> Request:
    """The request that a line is at the line door; ``bare`` in the lobby."""
    sent: list[bytes] = []
    request = Dialogue(LineFormat(), 4096, sent.append).request(line, bare=bare)
    assert request is not None
    assert sent == []
    return request


def meaning(line: str, *, bare: bool) -> tuple[str, str]:
    """The command that a line is, and its arguments."""
    command, text = TABLE.meant(asked(line, bare=bare))
    assert command is not None
    return command.name, text


@pytest.mark.parametrize("case", [str, str.lower, str.upper, str.swapcase])
@pytest.mark.parametrize(("line", "name", "text"), SEEDS)
def test_the_seeds_own_names(line: str, name: str, text: str, case: Callable[[str], str]) -> None:
    """What users of the seeds type works, in any case: with a slash, and in the lobby without."""
    typed = case(line)
    assert meaning(f"/{typed}", bare=False) == (name, case(text))
    assert meaning(f"/{typed}", bare=True) == (name, case(text))
    assert meaning(typed, bare=True) == (name, case(text))


@pytest.mark.parametrize("line", [line for line, _, _ in SEEDS])
def test_only_in_the_lobby_without_a_slash(line: str) -> None:
    """In a channel or a group a line without a slash is said, whatever it reads like."""
    assert asked(line, bare=False) == Request("say", line)
    assert meaning(line, bare=False) == ("say", line)


@pytest.mark.parametrize(
    ("line", "name", "text"),
    [
        ("create", "create", ""),
        ("create group", "create", ""),
        ("create group ", "create", ""),
        ("create  group   team", "create", "team"),
        ("create\tgroup team", "create", "team"),
        ("create group\tteam", "create", "team"),
        ("  Create   GROUP team  bob ", "create", "team  bob "),
        ("create groups bob", "create", "groups bob"),
        ("create group group", "create", "group"),
        ("create group create group", "create", "create group"),
        ("create team group", "create", "team group"),
        ("create 'group team", "create", "'group team"),
        ("create group\x00 team", "create", "group\ufffd team"),
        ("message", "message", ""),
        ("message group", "group", ""),
        ("message groupie hi", "message", "groupie hi"),
        ("message bob group hi", "message", "bob group hi"),
        ("m group hi", "message", "group hi"),
        ("group group hi", "group", "group hi"),
        ("say group hi", "say", "group hi"),
    ],
)
def test_names_of_two_words(line: str, name: str, text: str) -> None:
    """A name of two words is both of them, with any space between; else the first one counts."""
    assert meaning(f"/{line.lstrip()}", bare=False)[0] == name
    assert meaning(line, bare=True)[0] == name
    assert meaning(line, bare=True)[1].rstrip() == text.rstrip()


@pytest.mark.parametrize(
    "line", ["creategroup team", "group-list", "create-group", "view requests"]
)
def test_what_is_nearly_another_name(world: World, line: str) -> None:
    """What only looks like one of the names is no command."""
    error = UnknownCommand(line.split()[0], "help")
    assert world.ask(world.login("bob"), line) == refused(error)


def test_other_names_are_shown() -> None:
    """Every other name of a command is in the table, and these are all."""
    shown = {c.name: list(c.aliases) for c in TABLE.commands if c.aliases}
    assert shown == OTHER_NAMES


@pytest.mark.parametrize(
    ("name", "alias"), [(name, alias) for name, also in OTHER_NAMES.items() for alias in also]
)
def test_other_names_are_explained(world: World, name: str, alias: str) -> None:
    """Help for another name, of two words too, explains the command and says "also"."""
    bob = world.login("bob")
    (answer,) = world.ask(bob, f"help {name}")
    assert isinstance(answer, Told)
    also = ", ".join(f"/{other}" for other in OTHER_NAMES[name])
    assert answer.lines[0].partition(": ")[0].endswith(f" (also {also})")
    assert answer.lines[0].startswith(f"/{name}")
    for asked_for in (alias, f"/{alias}", alias.upper(), f" /{alias.replace(' ', '   ')} "):
        assert world.ask(bob, f"help {asked_for}") == told(*answer.lines)


def test_help_for_what_is_no_name(world: World) -> None:
    """Help for words that are no name says that there is no such command."""
    bob = world.login("bob")
    error = UnknownCommand("create team", "/help")
    assert world.ask(bob, "help  create  team") == refused(error)
