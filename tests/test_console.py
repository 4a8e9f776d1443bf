"""The console: operators' commands for somebody who isn't in the chat."""

import pytest
from twisted.internet.defer import Deferred

from chatd.commands import TABLE
from chatd.domain.events import ChannelRow, ChannelsListed, Farewell, Refused, Told
from chatd.domain.names import ChannelName, Name
from chatd.domain.records import Act
from chatd.doors.console import Asker, Console, Ear, Outcome
from tests.fakes import FakeServer, World, result_of, sent_to, spawn


class Heard:
    """An ear's other side: what it showed, and how often it caught up."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.caught_up = 0
        self.ear = Ear(self.shown.append, self.count)

    def count(self) -> None:
        """Count."""
        self.caught_up += 1


@pytest.fixture
def heard() -> Heard:
    """What comes by itself."""
    return Heard()


@pytest.fixture
def console(world: World, heard: Heard) -> Console:
    """Alice's console."""
    return Console(world.hub, Name("alice@laptop"), "10.0.0.9", heard.ear)


def run(console: Console, line: str) -> Outcome:
    """What comes of a line that has nothing to wait for."""
    return result_of(console.run(line))


def test_own_words(world: World, console: Console) -> None:
    """Outside the chat, "who" is about everybody online, and "rooms" lists the channels."""
    assert run(console, "who") == Outcome(("Nobody is online.",), ok=True)
    world.login("bob", world.channel())
    assert run(console, "who") == Outcome(("1 online: bob.",), ok=True)
    assert run(console, "/WHO") == run(console, " whoelse ") == run(console, "who")
    assert run(console, "rooms") == Outcome(("[Channel] general 1/100/0.",), ok=True)


def test_kick(world: World, console: Console) -> None:
    """A kick closes the connection, and is written down with who did it and from where."""
    bob = world.login("bob", world.channel())
    sent_to(bob)
    assert run(console, "kick general:bob too loud") == Outcome(("Kicked bob.",), ok=True)
    world.turn()
    assert sent_to(bob) == [
        Farewell("You have been kicked from the general channel: too loud", 0.0)
    ]
    assert world.audit.acts == [
        Act(
            0.0,
            "alice@laptop",
            "manhole",
            "10.0.0.9",
            "kick",
            "general:bob",
            "",
            "too loud",
            "done",
        )
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("kick bob", "bob is not online."),
        ("kick", "Usage: /kick TARGET [REASON]"),
        ("nonsense here", "There is no command nonsense. Type help for a list."),
        ("whisper bob hi", "whisper works only in the chat. Type help for what works here."),
        ("say hi", "say works only in the chat. Type help for what works here."),
        ("help nonsense", "There is no command nonsense. Type help for a list."),
        ("help whisper", "There is no command whisper. Type help for a list."),
        ("help kick bob", "There is no command kick bob. Type help for a list."),
    ],
)
def test_refusals(world: World, console: Console, line: str, told: str) -> None:
    """What can't be done is refused in a sentence, and counted."""
    assert run(console, line) == Outcome((told,), ok=False)
    assert world.hub.counts.refusals == 1


def test_lines_of_a_refusal(world: World, console: Console) -> None:
    """A refusal of several lines is shown as several."""
    world.server.wrong = "chatd.toml:1: host: is empty\nchatd.toml:2: name: is empty"
    assert run(console, "rehash") == Outcome(
        ("chatd.toml:1: host: is empty", "chatd.toml:2: name: is empty", "Nothing was changed."),
        ok=False,
    )


def test_blank_line(console: Console) -> None:
    """A blank line asks for nothing."""
    assert run(console, "") == run(console, "  ") == run(console, "/") == Outcome((), ok=True)


def test_help(console: Console) -> None:
    """Help lists everything that works here, without slashes, and explains one command."""
    lines = run(console, "help").lines
    assert len(lines) == sum(command.anywhere for command in TABLE.commands)
    kick = next(line for line in lines if line.startswith("kick TARGET [REASON]: "))
    assert run(console, "help kick") == run(console, "help /KICK") == Outcome((kick,), ok=True)
    (cancel,) = run(console, "help shutdown cancel").lines
    assert cancel.startswith("shutdown cancel: ")
    assert run(console, "help who") == run(console, "help whoelse")


def test_incident(world: World, console: Console) -> None:
    """A mistake of the program is told by its number, and leaves the console as it was."""
    del world.hub.server
    told = "Something went wrong here. The operator can look it up: 1."
    assert run(console, "stats") == Outcome((told,), ok=False)
    assert world.incidents == [1]
    assert run(console, "who").ok


class SlowServer(FakeServer):
    """A server that takes its time to read its configuration."""

    waiting: Deferred[None]

    async def rehash(self) -> tuple[str, ...]:
        """Wait."""
        self.waiting = Deferred()
        await self.waiting
        return self.changes


def test_side_by_side(world: World, console: Console) -> None:
    """Two lines that run at the same time each have their own answer."""
    outcomes: list[Outcome] = []

    async def ask(line: str) -> None:
        outcomes.append(await console.run(line))

    world.hub.server = server = SlowServer()
    spawn(ask("rehash"))
    spawn(ask("bans"))
    assert outcomes == [Outcome(("Nobody is banned.",), ok=True)]
    server.waiting.callback(None)
    assert outcomes[1:] == [Outcome(("Nothing has changed.",), ok=True)]


def test_watch(world: World, console: Console, heard: Heard) -> None:
    """Who watches sees what happens at once, until he no longer wants to."""
    assert run(console, "watch") == Outcome(("You are watching.",), ok=True)
    world.turn()
    heard.shown.clear()
    world.login("bob")
    (shown,) = heard.shown
    assert shown.endswith(" login: bob, from 10.0.0.1 by line\n")
    assert run(console, "watch") == Outcome(("You are no longer watching.",), ok=True)
    world.turn()
    heard.shown.clear()
    world.login("carol")
    assert heard.shown == []


def test_told_late(world: World, heard: Heard) -> None:
    """What somebody is told after his line has run is shown when it comes."""
    asker = Asker(world.hub, Name("alice"), "", heard.ear, "manhole")
    asker.answer("at once")
    assert asker.finish() == Outcome(("at once",), ok=True)
    asker.tell(Told(("one", "two"), 0.0))
    asker.tell(Refused("code", "no", 0.0))
    asker.tell(ChannelsListed((ChannelRow(ChannelName("general"), 1, 2, 3),)))
    assert heard.shown == ["one\ntwo\n", "no\n", "[Channel] general 1/2/3.\n"]


def test_catch_up(world: World, heard: Heard) -> None:
    """An ear is told when all that was asked for before has happened, or could not."""
    world.journal.append(Told((), 0.0), heard.ear)
    assert heard.caught_up == 0
    world.turn()
    assert (heard.caught_up, heard.shown) == (1, [])
    heard.ear.tell(Refused("not_stored", "That could not be stored.", 0.0))
    assert (heard.caught_up, heard.shown) == (2, ["That could not be stored.\n"])
