"""The session's patience: how long it waits for a client, and how many lines for it."""

from typing import Final

import pytest

from chatd.domain.events import Farewell, Left, Refused, Said, WentAfk
from chatd.domain.names import ChannelName, Name
from chatd.domain.ports import Mark
from chatd.domain.session import Session, State
from chatd.domain.text import Text
from chatd.journal import MemoryJournal, size
from tests.fakes import Notes, World, link_of, result_of, said, sent_to, wire

GENERAL: Final = ChannelName("general")
TOO_FAST: Final = "You are sending too fast: lines are refused for now."
TOO_LATE: Final = "That took too long. Goodbye."
SILENT: Final = "You were silent for 100 seconds. Goodbye."


def refusals(session: Session) -> list[str]:
    """What a client has been refused since the last call."""
    return [event.text for event in sent_to(session) if isinstance(event, Refused)]


def farewells(session: Session) -> list[str]:
    """The words with which a client has been sent away since the last call."""
    return [event.text for event in sent_to(session) if isinstance(event, Farewell)]


def numbers(first: int, last: int) -> list[str]:
    """The numbers from one to another, as they are typed."""
    return [str(number) for number in range(first, last + 1)]


def send(session: Session, *texts: str, verb: str = "do") -> None:
    """Type lines, all at once."""
    for text in texts:
        session.receive(f"{verb} {text}")


def fill(world: World, most: int) -> None:
    """Give the journal so little room that ``most`` events fill it, and fill it."""
    events = [Said(GENERAL, Name("alice"), Text(str(number)), 0.0) for number in range(most)]
    room = sum(map(size, events))
    world.journal = world.hub.journal = MemoryJournal(world.clock, world.hub, room)
    for event in events:
        world.journal.append(event)


# Time to log in.


@pytest.mark.parametrize("typed", [[], ["introduce bob"], ["", "nonsense"], ["login bob|slow"]])
def test_login_takes_too_long(world: World, typed: list[str]) -> None:
    """Who isn't in after 60 seconds is sent away, whatever was typed or is being checked."""
    world.account("bob")
    session = world.connect()
    world.clock.advance(30)
    for line in typed:
        session.receive(line)
    world.clock.advance(29.5)
    assert farewells(session) == []
    world.clock.advance(0.5)
    assert (farewells(session), link_of(session).closed) == ([TOO_LATE], True)
    world.passwords.proceed()
    assert (session.state, sent_to(session)) == (State.CLOSING, [])


def test_login_in_time(world: World) -> None:
    """Who is in stays in."""
    session = world.login("bob")
    world.clock.advance(1000)
    assert (session.state, farewells(session)) == (State.LOBBY, [])


def test_login_without_a_limit(world: World) -> None:
    """Where the limit is off, a login may take for ever."""
    world.change(login_seconds=0)
    session = world.connect()
    world.clock.advance(100_000)
    assert (session.state, farewells(session)) == (State.LOGIN, [])


def test_login_throttled(world: World, notes: Notes) -> None:
    """Sending too fast doesn't give more time to log in."""
    world.change(lines_per_second=0.01, burst=1)
    session = world.connect()
    send(session, "1", "2")
    world.clock.advance(60)
    assert farewells(session) == [TOO_LATE]


# Silence.


def test_afk(world: World) -> None:
    """Who is silent in a channel for 100 seconds is sent away, and the others hear it."""
    general = world.channel()
    alice, bob = world.login("alice", general), world.login("bob", general)
    world.clock.advance(99.5)
    alice.receive("list")
    sent_to(alice)
    assert farewells(bob) == []
    world.clock.advance(0.5)
    assert (farewells(bob), link_of(bob).closed) == ([SILENT], True)
    assert sent_to(alice)[1:] == [wire(WentAfk(GENERAL, Name("bob"), 100.0))]


@pytest.mark.parametrize("line", ["say hi", "list", "", "nonsense"])
def test_any_line_breaks_the_silence(world: World, line: str) -> None:
    """Any line, command or mistake is a sign of life, each for another 100 seconds."""
    bob = world.login("bob", world.channel())
    for _ in range(3):
        world.clock.advance(99)
        bob.receive(line)
    world.clock.advance(99.5)
    assert farewells(bob) == []
    world.clock.advance(0.5)
    assert farewells(bob) == [SILENT]


def test_no_afk(world: World) -> None:
    """Where the limit is off, one may be silent for ever."""
    bob = world.login("bob", world.channel(afk=0))
    world.clock.advance(100_000)
    assert bob.state is State.IN_ROOM


def test_waiting_is_no_silence(world: World) -> None:
    """The time in the queue doesn't count; the time in the channel begins with the place."""
    general = world.channel(capacity=1)
    alice, bob = world.login("alice", general), world.login("bob", general)
    world.clock.advance(100)
    assert (alice.state, bob.state) == (State.CLOSING, State.IN_ROOM)
    world.clock.advance(99.5)
    assert farewells(bob) == []
    world.clock.advance(0.5)
    assert farewells(bob) == [SILENT]


def test_slow_server_is_no_silence(world: World, notes: Notes) -> None:
    """Who waits for the server's answer isn't silent: the time begins when the answer is there."""
    bob = world.login("bob", world.channel())
    send(bob, "it", verb="slowly")
    world.clock.advance(250)
    assert farewells(bob) == []
    notes.proceed()
    world.clock.advance(100)
    assert (farewells(bob), notes.done) == ([SILENT], ["it"])


def test_delayed_lines_are_no_silence(world: World, notes: Notes) -> None:
    """Who sent too fast isn't silent as long as the server says the lines one by one."""
    world.change(lines_per_second=0.0625, burst=1)  # one in 16 seconds
    bob = world.connect(world.channel())
    result_of(bob.identify(Name("bob"), None))
    send(bob, *numbers(1, 12))
    world.clock.pump([16] * 12)
    assert (notes.done, bob.state) == (numbers(1, 12), State.IN_ROOM)


# Too many lines.


def test_too_fast(world: World, notes: Notes) -> None:
    """A burst goes through, more is delayed, still more is refused, and its number told."""
    world.change(lines_per_second=4, burst=10, waiting_requests=3)
    session = world.connect()
    sent_to(session)
    send(session, *numbers(1, 20))
    assert (notes.done, refusals(session)) == (numbers(1, 10), [TOO_FAST])
    for number in (11, 12, 13):
        world.clock.advance(0.125)
        assert notes.done[-1] == str(number - 1)
        world.clock.advance(0.125)
        assert notes.done[-1] == str(number)
    assert refusals(session) == ["7 lines were not sent."]
    assert not link_of(session).paused
    world.clock.advance(0.25)
    send(session, "21")
    assert (notes.done, refusals(session)) == ([*numbers(1, 13), "21"], [])


def test_one_too_many(world: World, notes: Notes) -> None:
    """Room that comes free is used, and each refusal is told once."""
    world.change(lines_per_second=4, burst=1, waiting_requests=1)
    session = world.connect()
    sent_to(session)
    send(session, "1", "2", "3")
    assert refusals(session) == [TOO_FAST]
    world.clock.advance(0.25)
    assert (notes.done, refusals(session)) == (["1", "2"], ["1 line was not sent."])
    send(session, "4", "5", "6")
    world.clock.advance(0.25)
    assert notes.done == ["1", "2", "4"]
    assert refusals(session) == [TOO_FAST, "2 lines were not sent."]


def test_paste(world: World) -> None:
    """A paste of 50 lines arrives whole, and 50 more a little later, at the default limits."""
    world.change(lines_per_second=10)
    general = world.channel()
    alice, bob = world.login("alice", general), world.login("bob", general)
    world.clock.advance(5)
    sent_to(alice)
    send(bob, *numbers(1, 50), verb="say")
    world.turn()
    assert sent_to(alice) == [said("bob", str(n), n, at=5.0) for n in range(1, 51)]
    send(bob, *numbers(51, 100), verb="say")
    world.clock.pump([0.125] * 50)
    assert len(sent_to(alice)) == 50
    assert refusals(bob) == []


@pytest.mark.parametrize("rate", [0.1, 0.3, 3, 7, 10, 1000])
def test_delay_is_no_silence_at_any_rate(world: World, notes: Notes, rate: float) -> None:
    """However fast lines may come, waiting for one's turn is never taken for silence."""
    world.change(lines_per_second=rate, burst=1, waiting_requests=0)
    bob = world.connect(world.channel(afk=1))
    result_of(bob.identify(Name("bob"), None))
    send(bob, *numbers(1, 50))
    for _ in range(1000):
        if len(notes.done) < 50:
            world.clock.advance(min(0.5, 0.5 / rate))
    assert (notes.done, farewells(bob)) == (numbers(1, 50), [])


def test_last_line_is_never_refused(world: World, notes: Notes) -> None:
    """The end of the input stands in line, so that what came before is still done."""
    world.change(lines_per_second=4, burst=1, waiting_requests=2)
    session = world.connect()
    send(session, *numbers(1, 5))
    session.receive(Mark.END)
    assert link_of(session).paused
    world.clock.pump([0.25] * 3)
    assert notes.done == ["1", "2", "3"]
    assert (farewells(session), link_of(session).closed) == (["Goodbye."], True)


# Lines that wait for a slow request.


def test_typed_ahead(world: World) -> None:
    """Lines that come while a password is being checked wait, and are done in order."""
    general = world.channel()
    alice = world.login("alice", general)
    world.account("bob")
    bob = world.connect(general)
    sent_to(alice)
    bob.receive("login bob|slow")
    send(bob, *numbers(1, 3), verb="say")
    bob.receive(Mark.END)
    world.turn()
    assert (sent_to(alice), bob.state) == ([], State.LOGIN)
    world.passwords.proceed()
    world.turn()
    assert sent_to(alice)[1:] == [
        *(said("bob", str(n), n) for n in range(1, 4)),
        wire(Left(GENERAL, Name("bob"), 0.0)),
    ]
    assert link_of(bob).closed


def test_one_slow_request_after_another(world: World, notes: Notes) -> None:
    """Each slow request holds those behind it back."""
    session = world.connect()
    send(session, "1", "2", verb="slowly")
    send(session, "3")
    assert (notes.done, len(notes.waiting)) == ([], 1)
    notes.proceed()
    assert (notes.done, len(notes.waiting)) == (["1"], 1)
    notes.proceed()
    assert notes.done == ["1", "2", "3"]


def test_reading_stops_while_too_many_wait(world: World, notes: Notes) -> None:
    """While a request is slow, no more is read than may wait; nothing is refused or lost."""
    world.change(waiting_requests=3)
    session = world.connect()
    link = link_of(session)
    send(session, "1", verb="slowly")
    send(session, "2", "3", "4")
    assert not link.paused
    send(session, "5")
    assert link.paused
    send(session, "6")  # was on its way when reading stopped
    notes.proceed()
    assert (notes.done, link.paused, refusals(session)) == (numbers(1, 6), False, [])


def test_reading_goes_on_when_the_waiting_is_for_speed(world: World, notes: Notes) -> None:
    """After a slow request, what is too fast is delayed and refused as ever."""
    world.change(waiting_requests=2, lines_per_second=4, burst=1)
    session = world.connect()
    link = link_of(session)
    sent_to(session)
    send(session, "1", verb="slowly")
    send(session, "2", "3", "4")
    assert link.paused
    notes.proceed()
    assert (notes.done, link.paused) == (["1"], False)
    send(session, "5")
    world.clock.pump([0.25] * 3)
    assert (notes.done, refusals(session)) == (numbers(1, 4), [TOO_FAST, "1 line was not sent."])


def test_nothing_is_done_after_the_end(world: World, notes: Notes) -> None:
    """What still waits when the session ends is not done, and a delay ends with it."""
    world.change(lines_per_second=4, burst=2)
    session = world.connect()
    send(session, "1", verb="slowly")
    session.receive("quit")
    send(session, "2", "3")
    notes.proceed()
    world.clock.advance(1)
    assert (notes.done, farewells(session)) == (["1"], ["Goodbye."])


# A journal that is full.


def test_full_journal(world: World, notes: Notes) -> None:
    """While the journal is full lines wait in order, and go on when it has room."""
    session = world.connect()
    world.channel()
    fill(world, 2)
    send(session, "1", "2")
    assert notes.done == []
    world.turn()
    assert notes.done == ["1", "2"]


def test_journal_full_again(world: World) -> None:
    """Who is held goes on only as far as there is room, then waits again; no line is lost."""
    general = world.channel()
    alice = world.login("alice", general)
    fill(world, 2)
    sent_to(alice)
    link_of(alice).writes = 0
    send(alice, *numbers(1, 5), verb="say")
    world.turn()
    lines = ["0", "1", *numbers(1, 5)]
    assert sent_to(alice) == [said("alice", text, n) for n, text in enumerate(lines, 1)]
    assert link_of(alice).writes == 4  # two by two


def test_full_journal_stops_the_reading(world: World, notes: Notes) -> None:
    """While the journal is full no more is read than may wait."""
    world.change(waiting_requests=2)
    session = world.connect()
    world.channel()
    fill(world, 1)
    send(session, *numbers(1, 3))
    assert link_of(session).paused
    world.turn()
    assert (notes.done, link_of(session).paused) == (numbers(1, 3), False)


def test_full_journal_when_the_turn_comes(world: World, notes: Notes) -> None:
    """A delayed line whose turn comes while the journal is full waits for that too."""
    world.change(lines_per_second=4, burst=1)
    session = world.connect()
    world.channel()
    send(session, "1", "2")
    world.clock.advance(0.125)
    world.clock.callLater(0.125, fill, world, 1)
    world.clock.advance(0.125)
    world.turn()
    assert notes.done == ["1", "2"]


@pytest.mark.parametrize("way", ["lost", "end"])
def test_gone_while_the_journal_is_full(world: World, notes: Notes, way: str) -> None:
    """Who goes while the journal is full is not waited for, and nothing more is done."""
    session = world.connect()
    world.channel()
    fill(world, 1)
    send(session, "1")
    result_of(session.lost() if way == "lost" else session.end("Goodbye."))
    world.turn()
    assert (notes.done, session.state) == ([], State.CLOSING)
