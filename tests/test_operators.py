"""What operators do to people and channels, and to the server: who hears what, in which order."""

import pytest

from chatd.commands import TABLE
from chatd.domain.errors import (
    BadArguments,
    BadName,
    ChatError,
    NoSuchChannel,
    NotAllowed,
    NotInChannel,
    NotOnline,
    NotSanctioned,
    NotYourself,
)
from chatd.domain.events import ASK_NAME, Farewell, Queued, Told, Welcomed
from chatd.domain.names import Name
from chatd.domain.records import Role
from chatd.domain.session import State
from tests.crowd import GENERAL, People, announced, came_in, gather, joined, left
from tests.fakes import World, link_of, refused, result_of, sent_to, told


@pytest.fixture
def people(world: World) -> People:
    """An operator with people around her."""
    return gather(world)


OPERATORS_LINES = [
    *("kick bob", "mute general:bob 30", "unmute general:bob", "empty general", "ban bob"),
    *("unban bob", "bans", "announce hi", "watch", "shutdown", "shutdown cancel", "rehash"),
    *("stats", "accounts", "account add eve", "account remove bob", "account passwd bob"),
    "account role bob operator",
]


@pytest.mark.parametrize("line", OPERATORS_LINES)
def test_only_operators(world: World, people: People, line: str) -> None:
    """Nobody else can do any of it, wherever he is, and nobody hears that he tried."""
    before = dict(world.store.accounts)
    for one in (people.alice, people.carol, people.dave):
        assert world.ask(one, line) == refused(NotAllowed("That is for operators."))
    assert sent_to(people.bob) == sent_to(people.olga) == []
    assert (world.store.accounts, world.store.bans, world.store.mutes) == (before, {}, {})
    assert not world.server.stopped
    assert len(world.audit.acts) == 3


@pytest.mark.parametrize("line", OPERATORS_LINES)
def test_only_after_the_login(world: World, people: People, line: str) -> None:
    """Who has not logged in is told that, and nothing is written down."""
    stranger = world.connect()
    assert world.ask(stranger, line)[-1] == ASK_NAME
    assert world.audit.acts == []


@pytest.mark.parametrize("line", ["bans", "stats", "accounts"])
def test_everywhere(world: World, people: People, line: str) -> None:
    """An operator is one in a channel, in the queue, and in the lobby."""
    for one in (people.olga, people.carol, people.dave):
        assert one.account is not None
        world.hub.watch.appoint(one, Role.OPERATOR)
        assert isinstance(world.ask(one, line)[0], Told)


def test_a_mistake_is_written_down_as_one(world: World, people: People) -> None:
    """What goes wrong in the server itself is told by its number, and is in the audit log."""
    del world.hub.server
    (refusal,) = world.ask(people.olga, "stats")
    assert "The operator can look it up: 1." in str(refusal)
    assert [act.result for act in world.audit.acts] == ["incident"]


@pytest.mark.parametrize("name", ["olga", "bob"])
def test_help(world: World, people: People, name: str) -> None:
    """An operator finds all that operators can do in the list of commands, and nobody else does."""
    ours = {row.usage for row in TABLE.commands if row.needs is Role.OPERATOR}
    session = people.olga if name == "olga" else people.bob
    (answer,) = world.ask(session, "help")
    assert isinstance(answer, Told)
    listed = {line.partition(":")[0] for line in answer.lines}
    assert ours & listed == (ours if name == "olga" else set())
    assert len(ours) == 18


# Kick.


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kick bob", "You have been kicked off this server."),
        ("kick BOB be nice", "You have been kicked off this server: be nice"),
        ("kick general:bob", "You have been kicked from the general channel."),
        ("kick GENERAL:Bob be nice", "You have been kicked from the general channel: be nice"),
    ],
)
def test_kick(world: World, people: People, line: str, words: str) -> None:
    """Who is kicked hears so and is cut off; the others hear him go, and the next one comes in."""
    assert world.ask(people.olga, line) == [
        left("bob"),
        joined("carol"),
        Told(("Kicked bob.",), 0.0),
    ]
    assert sent_to(people.bob) == [Farewell(words, 0.0)]
    assert link_of(people.bob).closed
    assert sent_to(people.alice) == [left("bob"), joined("carol")]
    assert sent_to(people.carol) == came_in("carol")
    assert world.login("bob").state is State.LOBBY


def test_kick_who_waits(world: World, people: People) -> None:
    """Who only waits is in no channel, but can be put off the server; nobody hears it."""
    assert world.ask(people.olga, "kick general:carol") == refused(NotInChannel("carol", "general"))
    assert world.ask(people.olga, "kick carol") == told("Kicked carol.")
    assert link_of(people.carol).closed
    assert sent_to(people.alice) == []


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("kick general:dave", NotInChannel("dave", "general")),
        ("kick general:nobody", NotInChannel("nobody", "general")),
        ("kick work:bob", NotInChannel("bob", "work")),
        ("kick play:bob", NoSuchChannel("play")),
        ("kick nobody", NotOnline("nobody")),
        ("kick general:", BadArguments("Write the channel and the name as general:bob.")),
        ("kick general:1bob", BadName("A name begins with a letter.")),
        ("kick 10.0.0.1", BadName("A name begins with a letter.")),
        ("kick", BadArguments("Usage: /kick TARGET [REASON]")),
        ("kick olga", NotYourself("You can't kick yourself; /quit leaves.")),
        ("kick general:OLGA", NotYourself("You can't kick yourself; /quit leaves.")),
    ],
)
def test_nobody_is_kicked(world: World, people: People, line: str, error: ChatError) -> None:
    """A name or a channel that isn't there is refused, and nobody is put out."""
    assert world.ask(people.olga, line) == refused(error)
    assert [act.result for act in world.audit.acts] == [error.code]
    assert sent_to(people.alice) == sent_to(people.bob) == sent_to(people.dave) == []


# Empty.


def test_empty(world: World, people: People) -> None:
    """Everybody is put out, the operator too, and then the queue comes in."""
    assert world.ask(people.olga, "empty GENERAL new paint") == [
        Told(("general has been emptied.",), 0.0),
        Farewell("The general channel has been emptied: new paint", 0.0),
    ]
    for one in (people.alice, people.bob):
        assert sent_to(one) == [Farewell("The general channel has been emptied: new paint", 0.0)]
        assert link_of(one).closed
    assert sent_to(people.carol) == came_in("carol")
    assert sent_to(people.dave) == []
    (row, _) = result_of(world.hub.channels.rows())
    assert (row.here, row.capacity, row.waiting) == (1, 3, 0)


def test_empty_with_a_long_queue(world: World, people: People) -> None:
    """As many come in as there are places, in their order; the others move up once."""
    world.ask(people.olga, "switch work")
    general = world.hub.channels.find("general")
    late = [world.login(name, general) for name in ("eve", "fay", "gus", "hal")]
    people.quiet()
    for one in late:
        sent_to(one)
    assert world.ask(people.olga, "empty general") == told("general has been emptied.")
    names = ["eve", "fay", "gus"]
    for number, one in enumerate(late[:3]):
        assert sent_to(one) == [
            Welcomed(Name(names[number]), GENERAL, "chatd", 0.0),
            *map(joined, names[number:]),
        ]
    assert sent_to(late[3]) == [Queued(0, 0.0)]
    assert sent_to(people.carol) == [Farewell("The general channel has been emptied.", 0.0)]


def test_empty_what_is_empty(world: World, people: People) -> None:
    """A channel that nobody is in can be emptied; nobody hears it."""
    assert world.ask(people.olga, "empty work") == told("work has been emptied.")
    assert sent_to(people.alice) == sent_to(people.dave) == []


def test_what_cannot_be_emptied(world: World, people: People) -> None:
    """Only a channel can be emptied."""
    assert world.ask(people.olga, "empty play") == refused(NoSuchChannel("play"))
    assert world.ask(people.olga, "empty") == refused(BadArguments("Usage: /empty TARGET [REASON]"))


# Everybody, and the server.


def test_announce(world: World, people: People) -> None:
    """Everybody online hears it, in a channel, in a queue or in the lobby, and nobody else."""
    stranger = world.connect()
    sent_to(stranger)
    assert world.ask(people.olga, "announce new   disk") == [
        announced("new   disk"),
        *told("Announced to 5 online."),
    ]
    for one in (people.alice, people.carol, people.dave):
        assert sent_to(one) == [announced("new   disk")]
    assert sent_to(stranger) == []
    assert world.ask(people.olga, "announce  ") == refused(BadArguments("Usage: /announce TEXT"))


@pytest.mark.parametrize(
    ("line", "answer", "words"),
    [
        ("shutdown 30", "The server stops in 30 seconds.", "in 30 seconds."),
        ("shutdown 30 new disk", "The server stops in 30 seconds.", "in 30 seconds: new disk"),
        ("shutdown 2m", "The server stops in 2 minutes.", "in 2 minutes."),
        ("shutdown", "The server stops now.", "now."),
        ("shutdown 0", "The server stops now.", "now."),
        ("shutdown new disk", "The server stops now.", "now: new disk"),
    ],
)
def test_shutdown(world: World, people: People, line: str, answer: str, words: str) -> None:
    """The operator is answered, everybody hears it, and the server stops in time."""
    heard = announced(f"The server shuts down {words}")
    assert world.ask(people.olga, line) == [*told(answer), heard]
    assert sent_to(people.dave) == [heard]
    assert world.server.stopped is (answer == "The server stops now.")
    world.clock.advance(120)
    world.clock.pump([0.0] * 20)
    assert world.server.stopped


@pytest.mark.parametrize("time", ["-1", "5min", "1e3", "9" * 10, "\u0663"])
def test_no_time_to_shut_down(world: World, people: People, time: str) -> None:
    """A time that is none isn't taken for the reason, or the server would stop at once."""
    error = BadArguments(f"{time} is not a time; write it as 90, 15m, 12h, 7d or 2w.")
    assert world.ask(people.olga, f"shutdown {time}") == refused(error)
    world.clock.advance(1)
    assert not world.server.stopped


def test_shutdown_cancel(world: World, people: People) -> None:
    """A shutdown that is taken back is announced as that; where there is none, it is refused."""
    nothing = refused(NotSanctioned("No shutdown is under way."))
    assert world.ask(people.olga, "shutdown cancel") == nothing
    world.ask(people.olga, "shutdown 30 new disk")
    people.quiet()
    heard = announced("The shutdown is cancelled.")
    answer = told("The shutdown is cancelled.")
    assert world.ask(people.olga, "shutdown cancel") == [heard, *answer]
    assert sent_to(people.dave) == [heard]
    assert world.ask(people.olga, "shutdown cancel") == nothing
    world.clock.advance(60)
    assert not world.server.stopped


def test_rehash(world: World, people: People) -> None:
    """What a rehash changed is told line by line; a mistake as it stands, and nothing else."""
    world.server.changes = ("limits.burst: 50, now 100", "name: chatd, now talk")
    assert world.ask(people.olga, "rehash") == told(*world.server.changes)
    world.server.wrong = "chatd.toml:3: no such setting"
    (refusal,) = world.ask(people.olga, "rehash")
    assert "chatd.toml:3: no such setting\\nNothing was changed." in str(refusal)
    assert [act.result for act in world.audit.acts] == ["done", "bad_configuration"]


def test_stats(world: World, people: People) -> None:
    """What the server counts is listed, one number a line."""
    assert world.ask(people.olga, "stats") == told("online 3", "uptime 1.500")
