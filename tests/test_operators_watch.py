"""What operators see of others, and what is written down of them: /watch, the log, the audit."""

import pytest

from chatd.domain.errors import BadArguments, NotAllowed, WrongPassword
from chatd.domain.events import Event, Farewell, Seen, Watched
from chatd.domain.names import WATCHERS, Key
from chatd.domain.records import Act, Role
from chatd.domain.session import Session
from tests.crowd import People, gather
from tests.fakes import FakeLink, World, refused, result_of, sent_to, spawn, told, wire

LOGIN = "from 10.0.0.1 by line"


@pytest.fixture
def people(world: World) -> People:
    """An operator with people around her."""
    made = gather(world)
    world.seen.clear()
    return made


@pytest.fixture
def dana(world: World, people: People) -> Session:
    """An operator in the lobby, who watches and hears nothing else."""
    world.account("dana", role=Role.OPERATOR)
    dana = world.login("dana")
    assert world.ask(dana, "watch") == told("You are watching.")
    world.seen.clear()
    return dana


def seen(what: Seen, who: str, text: str = "", at: float = 0.0) -> Watched:
    """Something that happened."""
    return Watched(WATCHERS, what, who, text, at)


def shown(*events: Watched) -> list[bytes | Event]:
    """How those who watch read it."""
    return [wire(event) for event in events]


def act(words: str, *, who: str = "olga", result: str = "done", **more: str) -> Act:
    """An act of olga's in the channel, as the audit log has it."""
    fields = {"target": "", "arguments": "", "reason": "", **more}
    return Act(0.0, who, "line", "10.0.0.1", words, result=result, **fields)


# Watching.


def test_watch_logins(world: World, people: People, dana: Session) -> None:
    """Who comes and goes is seen, with where from and where to; only the login is logged."""
    eve = world.login("eve", world.hub.channels.find("work"))
    world.ask(eve, "switch general")
    world.ask(eve, "quit")
    log = [seen(Seen.LOGIN, "eve", LOGIN), seen(Seen.LOGOUT, "eve")]
    assert sent_to(dana) == shown(
        log[0],
        seen(Seen.JOIN, "eve", "work"),
        seen(Seen.LEAVE, "eve", "work"),
        log[1],
    )
    assert world.seen == log


def test_watch_the_queue(world: World, people: People, dana: Session) -> None:
    """Who only waits has not joined; he has when there is a place."""
    world.ask(people.bob, "switch work")
    assert sent_to(dana) == shown(
        seen(Seen.LEAVE, "bob", "general"),
        seen(Seen.JOIN, "carol", "general"),
        seen(Seen.JOIN, "bob", "work"),
    )
    assert world.seen == []


def test_watch_a_unix_socket(world: World, people: People, dana: Session) -> None:
    """Who comes from the server's own machine has no address to show."""
    world.account("eve")
    eve = world.connect(address="")
    world.ask(eve, "login eve|wrong")
    world.ask(eve, "login eve|secret")
    assert sent_to(dana) == shown(
        seen(Seen.REFUSAL, "somebody here", "wrong_password at line"),
        seen(Seen.LOGIN, "eve", "from here by line"),
    )


def test_watch_refusals(world: World, people: People, dana: Session) -> None:
    """Refusals are seen with their code; those before a login are logged, by the address."""
    world.ask(people.bob, "whisper nobody hi")
    stranger = world.connect()
    assert world.ask(stranger, "login bob|wrong")[0] == refused(WrongPassword(2))[0]
    log = [seen(Seen.REFUSAL, "10.0.0.1", "wrong_password at line")]
    assert sent_to(dana) == shown(seen(Seen.REFUSAL, "bob", "not_here at line"), *log)
    assert world.seen == log


def test_watch_locks(world: World, people: People, dana: Session) -> None:
    """The wrong password that locks an account is seen with the account and the address."""
    stranger = world.connect()
    world.ask(stranger, "login bob|last")
    lock = seen(Seen.REFUSAL, "bob", "locked_out from 10.0.0.1")
    assert sent_to(dana) == shown(lock)
    local = world.connect(address="")
    world.ask(local, "login bob|last")
    assert sent_to(dana) == shown(seen(Seen.REFUSAL, "bob", "locked_out from here"))
    assert len(world.seen) == 2


def test_watch_drops(world: World, people: People, dana: Session) -> None:
    """Whose connection is cut is seen with the reason, before he is gone."""
    result_of(people.bob.dropped("too much was left unread"))
    world.turn()
    drop = seen(Seen.DROP, "bob", "too much was left unread")
    logout = seen(Seen.LOGOUT, "bob")
    assert sent_to(dana) == shown(
        drop,
        seen(Seen.LEAVE, "bob", "general"),
        seen(Seen.JOIN, "carol", "general"),
        logout,
    )
    assert world.seen == [drop, logout]


def test_watch_acts(world: World, people: People, dana: Session) -> None:
    """What operators do is seen by those who watch, and so is what others try to, once."""
    world.ask(people.olga, "ban eve 10m rude")
    world.ask(people.olga, "bans")
    world.ask(people.bob, "ban olga")
    log = [
        seen(Seen.ACT, "olga", "ban eve 600 done"),
        seen(Seen.ACT, "olga", "bans done"),
        seen(Seen.ACT, "bob", "ban olga not_allowed"),
    ]
    assert sent_to(dana) == shown(*log)
    assert world.seen == log


def test_watch_no_longer(world: World, people: People, dana: Session) -> None:
    """Who has seen enough sees nothing more, and may look again."""
    assert world.ask(dana, "watch") == told("You are no longer watching.")
    world.login("eve")
    assert sent_to(dana) == []
    assert world.ask(dana, "watch") == told("You are watching.")


def test_gone_while_watching(world: World, people: People, dana: Session) -> None:
    """Who is gone sees nothing more."""
    world.ask(dana, "quit")
    world.login("eve")
    assert sent_to(dana) == []
    assert len(world.hub.watch.audience) == 0


def test_no_operator_any_more(world: World, people: People, dana: Session) -> None:
    """Whose role is taken away sees nothing more, even where he has only now asked to."""
    world.ask(people.olga, "watch")
    people.olga.receive("account role dana user")
    world.turn()
    sent_to(dana)
    sent_to(people.olga)
    world.ask(people.bob, "switch work")
    assert sent_to(dana) == []
    assert shown(seen(Seen.LEAVE, "bob", "general"))[0] in sent_to(people.olga)
    assert world.ask(dana, "watch") == refused(NotAllowed("That is for operators."))
    world.hub.watch.appoint(dana, Role.OPERATOR)
    dana.receive("watch")
    world.hub.watch.appoint(dana, Role.USER)
    world.turn()
    assert dana.link not in world.hub.watch.audience


def test_the_configuration_takes_operators_away(
    world: World, people: People, dana: Session
) -> None:
    """Who is an operator by the configuration watches no longer than he stands in it."""
    world.change(operators=frozenset({Key("bob")}))
    world.ask(people.bob, "watch")
    world.change(operators=frozenset())
    world.hub.watch.only_operators(world.hub.sessions)
    world.turn()
    assert people.bob.link not in world.hub.watch.audience
    assert dana.link in world.hub.watch.audience


def test_an_ear_of_another_door(world: World, people: People) -> None:
    """Somebody who isn't in the chat can watch too, until he doesn't want to any more."""
    link = FakeLink()
    world.hub.watch.let(link, on=True)
    world.turn()
    world.login("eve")
    world.hub.watch.let(link, on=False)
    world.login("fay")
    assert link.take() == shown(seen(Seen.LOGIN, "eve", LOGIN))


def test_stopping_is_not_watched(world: World, people: People, dana: Session) -> None:
    """When the server stops, nobody's farewell is buried under everybody's going."""
    spawn(world.hub.close("The server is stopping. Goodbye."))
    world.turn()
    assert sent_to(dana) == [Farewell("The server is stopping. Goodbye.", 0.0)]
    assert [one.what for one in world.seen] == [Seen.LOGOUT] * 6


# What is written down.


def test_nobody_fills_the_log(world: World, people: People) -> None:
    """Of refusals a hundred are logged at once, and then one a second; a watcher sees all."""
    world.ask(people.olga, "watch")
    world.seen.clear()
    stranger = world.connect()
    for _ in range(150):
        stranger.receive("login bob|wrong")
    assert len(world.seen) == 100
    world.turn()
    assert len(sent_to(people.olga)) == 150
    world.clock.advance(2)
    for _ in range(10):
        stranger.receive("login bob|wrong")
    assert len(world.seen) == 102


def test_audit(world: World, people: People) -> None:
    """Every act is written down: who, from where, what, to whom, why, and what came of it."""
    for line in (
        "kick general:bob be nice",
        "mute general:alice 30 too loud",
        "ban eve 10m rude",
        "ban 10.9.0.0/16",
        "ban fay just so",
        "unban fay",
        "announce new disk",
        "shutdown 30 new disk",
        "shutdown cancel",
        "shutdown cancel",
        "account role alice operator",
        "kick nobody",
    ):
        world.ask(people.olga, line)
    assert world.audit.acts == [
        act("kick", target="general:bob", reason="be nice"),
        act("mute", target="general:alice", arguments="30", reason="too loud"),
        act("ban", target="eve", arguments="600", reason="rude"),
        act("ban", target="10.9.0.0/16"),
        act("ban", target="fay", reason="just so"),
        act("unban", target="fay"),
        act("announce", arguments="new disk"),
        act("shutdown", arguments="30", reason="new disk"),
        act("shutdown cancel"),
        act("shutdown cancel", result="not_sanctioned"),
        act("account role", target="alice", arguments="operator"),
        act("kick", target="nobody", result="not_online"),
    ]
    assert world.hub.counts.acts == 12


def test_audit_of_refused_attempts(world: World, people: People) -> None:
    """What others try to do is written down too, as far as it can hold no secret."""
    long = "x" * 500
    for line in ("ban olga", "account passwd bob secret word", f"kick bob {long}", "bans now"):
        world.ask(people.alice, line)
    assert world.audit.acts == [
        act("ban", who="alice", arguments="olga", result="not_allowed"),
        act("account passwd", who="alice", arguments="bob", result="not_allowed"),
        act("kick", who="alice", arguments=f"bob {long}"[:200], result="not_allowed"),
        act("bans", who="alice", result="not_allowed"),
    ]


def test_audit_of_mistakes(world: World, people: People) -> None:
    """What an operator mistypes is written down, but no password that stands in it."""
    assert world.ask(people.olga, "account passwd bob secret") == refused(
        BadArguments("Usage: /account passwd TARGET")
    )
    assert world.audit.acts == [act("account passwd", arguments="bob", result="bad_arguments")]


def test_nobody_fills_the_audit_log(world: World, people: People) -> None:
    """Of refused attempts only so many are written down; what operators do always is."""
    for _ in range(150):
        people.bob.receive("kick alice")
    assert len(world.audit.acts) == 100
    world.ask(people.olga, "bans")
    assert len(world.audit.acts) == 101
    assert world.hub.counts.acts == 151
    world.clock.advance(1)
    for _ in range(5):
        people.bob.receive("kick alice")
    assert len(world.audit.acts) == 102


def test_counts(world: World, people: People, dana: Session) -> None:
    """The server counts connections, logins, refusals and drops."""
    counts = world.hub.counts
    before = (counts.connections, counts.logins, counts.refusals, counts.drops)
    world.ask(world.connect(), "login bob|wrong")
    world.login("eve")
    result_of(people.bob.dropped("too slow"))
    after = (counts.connections, counts.logins, counts.refusals, counts.drops)
    assert [n - m for m, n in zip(before, after, strict=True)] == [2, 1, 1, 1]


def test_told_bytes(world: World, people: People) -> None:
    """What rooms were told is counted in bytes, times the people in them."""
    before = world.hub.counts.told_bytes, world.hub.counts.events
    line = world.ask(people.bob, "say hi")[0]
    assert isinstance(line, bytes)
    assert world.hub.counts.told_bytes - before[0] == 3 * len(line)
    assert world.hub.counts.events - before[1] == 1
