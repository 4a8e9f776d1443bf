"""The session: where it stands, how it gets in, and how it ends."""

from collections.abc import Callable
from typing import Final

import pytest

from chatd.domain.errors import AlreadyLoggedIn
from chatd.domain.events import (
    ASK_NAME,
    Dropped,
    Farewell,
    Greeted,
    Joined,
    Left,
    Queued,
    Refused,
    Told,
    Welcomed,
)
from chatd.domain.names import ChannelName, Key, Name, read_name
from chatd.domain.records import Role
from chatd.domain.session import LINGER, Session, State, Step, is_local
from tests.fakes import FakeCodec, FakeLink, Notes, World, link_of, result_of, sent_to, wire

GENERAL: Final = ChannelName("general")
INCIDENT: Final = "Something went wrong here. The operator can look it up: 1."


def negotiating(world: World) -> Session:
    """A connection that is not greeted yet."""
    return Session.begin(world.hub, FakeLink(), FakeCodec(), "10.0.0.1", "line", None)


def waiting(world: World) -> Session:
    """Somebody in a full channel's queue, behind nobody."""
    channel = world.channel(capacity=1)
    world.login("alice", channel)
    return world.login("bob", channel)


def in_room(world: World) -> Session:
    """Somebody in a channel, with a listener."""
    channel = world.channel()
    world.login("alice", channel)
    return world.login("bob", channel)


def closing(world: World) -> Session:
    """Somebody who has been told farewell."""
    session = world.login("bob")
    result_of(session.end("Goodbye."))
    world.turn()
    return session


STATES: Final[dict[State, Callable[[World], Session]]] = {
    State.NEGOTIATING: negotiating,
    State.LOGIN: lambda world: world.connect(),
    State.LOBBY: lambda world: world.login("bob"),
    State.WAITING: waiting,
    State.IN_ROOM: in_room,
    State.CLOSING: closing,
}
OPEN: Final = [state for state in State if state is not State.CLOSING]
WAYS: Final[dict[tuple[State, Step], State]] = {
    (State.NEGOTIATING, Step.GREET): State.LOGIN,
    (State.LOGIN, Step.IDENTIFY): State.LOBBY,
    (State.LOBBY, Step.QUEUE): State.WAITING,
    (State.LOBBY, Step.ADMIT): State.IN_ROOM,
    (State.WAITING, Step.ADMIT): State.IN_ROOM,
    (State.WAITING, Step.LEAVE): State.LOBBY,
    (State.IN_ROOM, Step.LEAVE): State.LOBBY,
    **{(state, Step.CLOSE): State.CLOSING for state in OPEN},
}
PAIRS: Final = [(state, step) for state in State for step in Step]


def identified(session: Session) -> bool:
    """Whether somebody has logged in there, whatever became of it."""
    return session.identified


@pytest.mark.parametrize("state", State)
def test_states(world: World, state: State) -> None:
    """Every state can be reached."""
    assert STATES[state](world).state is state


@pytest.mark.parametrize(("state", "step"), [pair for pair in PAIRS if pair in WAYS])
def test_ways(world: World, state: State, step: Step) -> None:
    """A way that is in the table leads where the table says."""
    session = STATES[state](world)
    if session.place is not None:  # the step alone would leave it there
        result_of(world.hub.roster.leave(session.place.name, session))
    session.step(step)
    assert session.state is WAYS[state, step]


@pytest.mark.parametrize(("state", "step"), [pair for pair in PAIRS if pair not in WAYS])
def test_no_ways(world: World, state: State, step: Step) -> None:
    """A way that isn't in the table is a mistake, and leads nowhere."""
    session = STATES[state](world)
    with pytest.raises(KeyError):
        session.step(step)
    assert session.state is state


def test_getting_into_the_lobby(world: World) -> None:
    """The lobby's door greets, asks for a name, and welcomes to the server."""
    bob = world.login("bob")
    assert sent_to(bob) == [
        Greeted("chatd", None, 0, 0),
        ASK_NAME,
        Welcomed(Name("bob"), None, "chatd", 0.0),
    ]
    assert (bob.state, bob.place, bob.name) == (State.LOBBY, None, "bob")


def test_getting_into_a_channel(world: World) -> None:
    """A channel's door leads into the channel."""
    bob = world.login("bob", world.channel())
    assert sent_to(bob) == [
        Greeted("chatd", GENERAL, 0, 100),
        ASK_NAME,
        Welcomed(Name("bob"), GENERAL, "chatd", 0.0),
        wire(Joined(GENERAL, Name("bob"), 0.0)),
    ]
    assert bob.state is State.IN_ROOM


def test_who_one_is(world: World) -> None:
    """A guest may less than somebody with an account, and an operator most."""
    world.change(operators=frozenset({Key("olga")}))
    world.account("oskar", role=Role.OPERATOR)
    guest = world.connect()
    result_of(guest.identify(read_name("gast"), None))
    sessions = [guest, *(world.login(name) for name in ("bob", "Olga", "oskar"))]
    roles = [session.role for session in sessions]
    assert roles == [Role.GUEST, Role.USER, Role.OPERATOR, Role.OPERATOR]


def test_not_identified(world: World) -> None:
    """Before the login there is no name."""
    session = world.connect()
    assert not identified(session)
    world.account("bob")
    session.receive("login bob|secret")
    assert identified(session)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("", True),  # a unix socket
        ("10.0.0.1", False),
        ("2001:db8::1", False),
        ("0.0.0.0", False),
    ],
)
def test_local(world: World, address: str, local: bool) -> None:
    """Only the server's own machine counts as local."""
    assert (is_local(address), world.connect(address=address).local) == (local, local)


def test_refused_login(world: World) -> None:
    """A login that is refused leads back to the name, and the name stays the other's."""
    world.login("bob")
    second = world.connect()
    sent_to(second)
    second.receive("login bob|secret")
    error = AlreadyLoggedIn("bob")
    assert sent_to(second) == [Refused(error.code, str(error), 0.0), ASK_NAME]


def test_blank_line_at_the_login(world: World) -> None:
    """A line that asks for nothing is answered by the prompt."""
    session = world.connect()
    sent_to(session)
    session.receive("")
    assert sent_to(session) == [ASK_NAME]


def test_unanswered_question_is_asked_again(world: World) -> None:
    """After a refusal, what the client was asked is asked again."""
    session = world.connect()
    sent_to(session)

    class Asking(FakeCodec):
        """A codec that gets stuck at every line."""

        def request(self, line: object, *, bare: bool) -> None:
            """Fail, with the question still open."""
            raise AlreadyLoggedIn("bob")

    stuck = Session.begin(world.hub, FakeLink(), Asking(), "10.0.0.1", "line", None)
    result_of(stuck.greet())
    sent_to(stuck)
    stuck.receive("anything")
    assert sent_to(stuck) == [
        Refused("already_logged_in", "bob is already logged in.", 0.0),
        ASK_NAME,
    ]


@pytest.mark.parametrize("line", ["crash", "slow-crash"])
def test_incident(world: World, notes: Notes, line: str) -> None:
    """A mistake of the program is told with its number, and the session lives on."""
    bob = world.login("bob")
    sent_to(bob)
    bob.receive(line)
    if notes.waiting:
        notes.proceed()
    bob.receive("do it")
    world.turn()
    assert sent_to(bob) == [Refused("incident", INCIDENT, 0.0)]
    assert (world.incidents, notes.done) == ([1], ["it"])


@pytest.mark.parametrize("state", OPEN)
def test_end(world: World, state: State) -> None:
    """Whoever is sent away hears so last, is closed, and after five seconds cut off."""
    session = STATES[state](world)
    sent_to(session)
    result_of(session.end("Goodbye."))
    session.answer("too late")
    world.turn()
    link = link_of(session)
    assert sent_to(session) == [Farewell("Goodbye.", 0.0)]
    assert (session.state, session.place, link.closed) == (State.CLOSING, None, True)
    world.clock.advance(LINGER - 0.5)
    assert not link.aborted
    world.clock.advance(0.5)
    assert link.aborted


@pytest.mark.parametrize("state", State)
def test_lost(world: World, state: State) -> None:
    """A connection that is lost frees the name and the place, in whatever state it was."""
    session = STATES[state](world)
    sent_to(session)
    result_of(session.lost())
    session.receive("say into the void")
    world.turn()
    assert session.state is State.CLOSING
    assert session not in world.hub.sessions
    assert "bob" not in result_of(world.hub.roster.online())
    assert sent_to(session) == []
    assert all(row.waiting == 0 for row in result_of(world.hub.channels.rows()))


@pytest.mark.parametrize("state", State)
def test_dropped(world: World, state: State) -> None:
    """A connection that is cut leaves everything, and may still be reported lost."""
    session = STATES[state](world)
    result_of(session.dropped("too much was left unread"))
    world.turn()
    assert session.state is State.CLOSING
    assert "bob" not in result_of(world.hub.roster.online())
    assert session in world.hub.sessions
    result_of(session.lost())
    assert session not in world.hub.sessions


def test_ended_twice(world: World) -> None:
    """Whoever is sent away is told farewell only once."""
    session = closing(world)
    sent_to(session)
    result_of(session.end("And again."))
    world.turn()
    assert sent_to(session) == []


@pytest.mark.parametrize("way", ["lost", "dropped", "end", "leave"])
def test_the_others_hear(world: World, way: str) -> None:
    """Those who remain hear that somebody left; where the connection was cut, also why."""
    session = in_room(world)
    alice = next(s for s in world.hub.sessions if isinstance(s, Session) and s.name == "alice")
    sent_to(alice)
    match way:
        case "lost":
            result_of(session.lost())
        case "dropped":
            result_of(session.dropped("too slow"))
        case "end":
            result_of(session.end("Goodbye."))
        case "leave":
            result_of(session.leave())
    world.turn()
    bob = Name("bob")
    why = [wire(Dropped(GENERAL, bob, "too slow", 0.0))] if way == "dropped" else []
    assert sent_to(alice) == [*why, wire(Left(GENERAL, bob, 0.0))]


def test_lost_before_the_greeting(world: World) -> None:
    """A connection that is gone before it was greeted isn't greeted any more."""
    session = negotiating(world)
    result_of(session.lost())
    result_of(session.greet())
    assert sent_to(session) == []


def test_name_is_free_again(world: World) -> None:
    """A name is free as soon as its session ends."""
    first = world.login("bob")
    result_of(first.end("Goodbye."))
    second = world.login("bob")
    assert (second.state, second.name) == (State.LOBBY, "bob")


def test_gone_during_the_login(world: World) -> None:
    """Who is gone while the password is being checked doesn't come in later."""
    world.account("bob")
    session = world.connect()
    session.receive("login bob|slow")
    result_of(session.lost())
    world.passwords.proceed()
    assert not session.identified
    assert result_of(world.hub.roster.online()) == []


def test_switching(world: World) -> None:
    """Who switches leaves one channel and enters the other."""
    general, work = world.channel(), world.channel("work")
    alice, bob = world.login("alice", general), world.login("bob", general)
    sent_to(alice)
    sent_to(bob)
    bob.receive("switch work")
    world.turn()
    assert sent_to(alice) == [wire(Left(GENERAL, Name("bob"), 0.0))]
    assert sent_to(bob) == [
        Welcomed(Name("bob"), ChannelName("work"), "chatd", 0.0),
        wire(Joined(ChannelName("work"), Name("bob"), 0.0)),
    ]
    assert (bob.state, bob.place) == (State.IN_ROOM, work)


def test_switching_to_where_one_is(world: World) -> None:
    """Who switches to the own channel, or the queue one is in, stays put."""
    general = world.channel(capacity=1)
    for name, state in (("alice", State.IN_ROOM), ("bob", State.WAITING)):
        session = world.login(name, general)
        sent_to(session)
        session.receive("switch GENERAL")
        world.turn()
        text = "Cannot switch to the general channel."
        assert sent_to(session) == [Refused("cannot_switch", text, 0.0)]
        assert (session.state, session.place) == (state, general)


def test_answers(world: World) -> None:
    """An answer reaches the client in its sentences."""
    bob = world.login("bob")
    sent_to(bob)
    bob.answer("One.", "Two.")
    world.turn()
    assert sent_to(bob) == [Told(("One.", "Two."), 0.0)]


def test_queue(world: World) -> None:
    """Whenever somebody ahead goes, in whatever way, everyone behind hears the new number."""
    general = world.channel(capacity=2)
    world.channel("work")
    everybody = {name: world.login(name, general) for name in "abcdefgh"}
    told_now = {name: sent_to(session)[2:] for name, session in everybody.items()}
    assert [told_now[name] for name in "cdefgh"] == [[Queued(n, 0.0)] for n in range(6)]

    def numbers() -> dict[str, list[int | str]]:
        """Who was told what of the queue, "in" where it was a welcome."""
        world.turn()
        heard = {
            name: [
                event.ahead if isinstance(event, Queued) else "in"
                for event in sent_to(session)
                if isinstance(event, Queued | Welcomed)
            ]
            for name, session in everybody.items()
        }
        return {name: events for name, events in heard.items() if events}

    everybody["d"].receive("switch work")
    assert numbers() == {"d": ["in"], "e": [1], "f": [2], "g": [3], "h": [4]}
    result_of(everybody["a"].lost())
    assert numbers() == {"c": ["in"], "e": [0], "f": [1], "g": [2], "h": [3]}
    result_of(everybody["f"].dropped("too slow"))
    assert numbers() == {"g": [1], "h": [2]}
    everybody["b"].receive("quit")
    assert numbers() == {"e": ["in"], "g": [0], "h": [1]}
    everybody["h"].receive("quit")
    assert numbers() == {}
    everybody["d"].receive("switch general")
    assert numbers() == {"d": [1]}
    everybody["c"].receive("switch work")
    assert numbers() == {"c": ["in"], "g": ["in"], "d": [0]}
    world.clock.advance(90)  # e and g are silent since they came; d waits, c is in another channel
    everybody["c"].receive("list")
    world.clock.advance(10)
    assert numbers() == {"d": ["in"]}
    assert result_of(world.hub.roster.here(GENERAL)) == ["d"]
