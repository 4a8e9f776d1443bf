"""Mail: direct messages, and what was said while somebody was away."""

from collections.abc import Iterator

import attrs
import pytest
from twisted.internet.task import Clock

from chatd.domain.errors import MailboxFull
from chatd.domain.events import Event, Mailed, Messaged, MessageSent, Refused, Said, Told, Welcomed
from chatd.domain.mail import CHUNK, MOST_HELD, Held
from chatd.domain.names import Key, Name, inbox_room, read_name
from chatd.domain.ports import Mark
from chatd.domain.session import Session
from chatd.domain.text import Text
from tests.conftest import LoggedErrors
from tests.fakes import FakeLink, World, link_of, result_of, told
from tests.stored import (
    TEAM,
    away,
    direct,
    everybody_goes,
    heard,
    line,
    no,
    now,
    quit_,
    slow_store,
    stored_world,
    take,
    team,
)

BOX = inbox_room(Key("bob"))


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    """A world whose journal stores, where bob has an account."""
    made = stored_world(clock)
    made.account("bob")
    yield made
    everybody_goes(made)


def sent(to: str, text: str, at: float = 0.0) -> MessageSent:
    """How an author sees his message."""
    return MessageSent(Name(to), Text(text), at)


def comes(world: World, name: str = "bob") -> tuple[Session, list[bytes | Event]]:
    """Somebody who logs in, and what he is told after the welcome."""
    session = world.login(name)
    events = take(session)[0]
    welcome = next(n for n, event in enumerate(events) if isinstance(event, Welcomed))
    return session, events[welcome + 1 :]


def mailed(world: World, *lines: Said) -> list[bytes | Event]:
    """How mail is announced and told."""
    at = world.clock.seconds()
    count = f"{len(lines)} message{'s' if len(lines) > 1 else ''}"
    return [away(count, at), Mailed(lines, at)]


def fill(world: World, count: int) -> list[Said]:
    """So many lines in bob's inbox."""
    lines = [direct("alice", "bob", str(n), n) for n in range(1, count + 1)]
    world.store.lines[BOX] = lines
    return lines


def test_online(world: World) -> None:
    """A message to somebody online reaches him at once, and its author sees that."""
    alice, bob = world.login("alice"), world.login("bob")
    take(bob)
    assert world.ask(alice, "message BOB hi") == [sent("bob", "hi")]
    assert take(bob) == [[direct("alice", "bob", "hi", 1)]]


def test_offline(world: World) -> None:
    """Messages to somebody offline are announced at his login, and told in order with dates."""
    alice = world.login("alice")
    later = "bob is offline; the message will be delivered when bob is back."
    assert world.ask(alice, "message bob one") == [sent("bob", "one"), *told(later)]
    world.clock.advance(86400)
    world.ask(alice, "message bob two")
    world.clock.advance(5)
    _, events = comes(world)
    lines = direct("alice", "bob", "one", 1), direct("alice", "bob", "two", 2, 86400.0)
    assert events == mailed(world, *lines)


def test_unknown_and_guests(world: World) -> None:
    """Nobody's name is refused; a guest hears a message now or never."""
    alice = world.login("alice")
    nobody = Refused("no_such_user", "There is no user dave.", 0.0)
    assert world.ask(alice, "message dave hi") == [nobody]
    guest = world.connect()
    result_of(guest.identify(read_name("gast"), None))
    world.turn()
    take(guest)
    assert world.ask(alice, "message gast hi") == [sent("gast", "hi")]
    assert take(guest) == [[Messaged(Name("alice"), Text("hi"), 0.0)]]
    guest.mail(direct("alice", "gast", "hi", 1))
    guest.read_mail()
    assert take(guest) == [[]]
    assert world.ask(guest, "r hello") == [sent("alice", "hello")]


@pytest.mark.parametrize("says", [True, False])
def test_at_least_once(world: World, says: bool) -> None:
    """Mail is told again until the client has sent something after it."""
    alice = world.login("alice")
    world.ask(alice, "message bob hi")
    bob, first = comes(world)
    if says:
        bob.receive("groups")
        world.clock.advance(2)
    else:
        bob.receive(Mark.END)
    quit_(world, bob)
    hi = direct("alice", "bob", "hi", 1)
    assert first == [away("1 message"), Mailed((hi,), 0.0)]
    _, second = comes(world)
    assert second == ([] if says else mailed(world, hi))
    assert comes_again(world) == ([] if says else [hi])


def comes_again(world: World) -> list[Said]:
    """What bob has not read yet, as the store has it."""
    return list(now(world.store.unread(Key("bob"), {}, CHUNK)))


def test_crash(world: World) -> None:
    """A crash before the places are stored repeats what was told, and loses nothing."""
    alice = world.login("alice")
    world.ask(alice, "message bob hi")
    bob, _ = comes(world)
    bob.receive("groups")
    later = stored_world(world.clock, world.store)
    _, events = comes(later)
    assert events == mailed(later, direct("alice", "bob", "hi", 1))
    everybody_goes(later)


def test_typed_ahead(world: World) -> None:
    """Lines that were typed before the mail was told don't make it read."""
    fill(world, 1)
    slow_store(world).slow = frozenset({"unread"})
    bob = world.connect()
    bob.receive("login bob|secret")
    bob.receive("groups")
    world.turn()
    bob.receive("groups")
    slow_store(world).proceed()
    quit_(world, bob)
    world.clock.advance(2)
    assert len(comes_again(world)) == 1


def test_group_lines(world: World) -> None:
    """What a group said meanwhile is told with the mail, and stored once for all its members."""
    alice, bob, carol = team(world, "alice", "bob", "carol")
    quit_(world, bob)
    quit_(world, carol)
    world.ask(alice, "say one")
    world.ask(alice, "message bob two")
    world.clock.advance(1)
    world.ask(alice, "say three")
    one, three = line("alice", "one", 1), line("alice", "three", 2, 1.0)
    bob, events = comes(world)
    assert events == mailed(world, one, direct("alice", "bob", "two", 1), three)
    assert comes(world, "carol")[1] == mailed(world, one, three)
    assert world.store.lines[TEAM] == [one, three]
    bob.receive("groups")
    world.clock.advance(2)
    quit_(world, bob)
    assert comes(world)[1] == []


def test_while_it_is_read(world: World) -> None:
    """What comes while the mail is being read follows it, once."""
    alice, bob = team(world, "alice", "bob")
    quit_(world, bob)
    world.ask(alice, "say one")
    slow_store(world).slow = frozenset({"unread"})
    bob = world.login("bob")
    world.ask(alice, "say two")
    world.ask(alice, "message bob three")
    take(bob)
    slow_store(world).proceed()
    assert take(bob) == [
        [
            *mailed(world, line("alice", "one", 1)),
            Mailed((direct("alice", "bob", "three", 1),), 0.0),
            *heard(line("alice", "two", 2)),
        ]
    ]
    world.ask(alice, "say four")
    assert take(bob) == [heard(line("alice", "four", 3))]


def test_many(world: World) -> None:
    """Much mail comes in parts, and a client that is behind is waited for."""
    lines = fill(world, CHUNK + 1)
    slow_store(world).slow = frozenset({"unread"})
    bob = world.login("bob")
    take(bob)
    link_of(bob).busy = True
    slow_store(world).proceed()
    first = [away("many messages"), Mailed(tuple(lines[:CHUNK]), 0.0)]
    assert take(bob) == [first]
    world.clock.advance(0.1)
    assert take(bob) == [[]]
    link_of(bob).busy = False
    world.clock.advance(0.1)
    assert take(bob) == [[Mailed((lines[-1],), 0.1 + 0.1)]]


@pytest.mark.parametrize("when", ["reading", "waiting"])
def test_gone_meanwhile(world: World, when: str) -> None:
    """A client that goes while its mail is being told is told no more, and all of it next time."""
    alice, bob = team(world, "alice", "bob")
    quit_(world, bob)
    fill(world, CHUNK)
    slow_store(world).slow = frozenset({"unread"})
    bob = world.login("bob")
    take(bob)
    link_of(bob).busy = True
    if when == "waiting":
        slow_store(world).proceed()
        take(bob)
    quit_(world, bob)
    slow_store(world).proceed()
    world.ask(alice, "say secret")
    world.clock.advance(0.1)
    assert take(bob) == [[]]
    assert len(comes_again(world)) == CHUNK
    assert len(world.hub.groups.find("team").audience) == 1


def test_unreadable(world: World, logged_errors: LoggedErrors) -> None:
    """Mail that can't be read now is told so and not lost; what is new is heard."""
    alice, bob = team(world, "alice", "bob")
    quit_(world, bob)
    world.ask(alice, "message bob one")
    slow_store(world).unreadable = True
    bob, events = comes(world)
    assert events == told("What you missed could not be read; it comes at your next login.")
    world.ask(alice, "message bob two")
    world.ask(alice, "say three")
    two = direct("alice", "bob", "two", 2)
    assert take(bob) == [[two, *heard(line("alice", "three", 1))]]
    bob.receive("groups")
    world.clock.advance(2)
    slow_store(world).unreadable = False
    logged_errors.flush()
    one = direct("alice", "bob", "one", 1)
    assert comes_again(world) == [line("alice", "three", 1), one, two]


def test_unreadable_and_gone(world: World, logged_errors: LoggedErrors) -> None:
    """A client that is gone when its mail can't be read is told nothing."""
    reader_store = slow_store(world)
    reader_store.slow = frozenset({"unread"})
    bob = world.login("bob")
    quit_(world, bob)
    take(bob)
    reader_store.waiting.pop().errback(OSError("disk error"))
    logged_errors.flush()
    assert take(bob) == [[]]


def test_full(clock: Clock) -> None:
    """A full mailbox takes no more messages and no more notices of groups."""
    world = stored_world(clock, mailbox_lines=1)
    (alice,) = team(world, "alice")
    world.account("bob")
    world.ask(alice, "message bob one")
    assert world.ask(alice, "message bob two") == [no(MailboxFull("bob"))]
    world.ask(alice, "add bob")
    assert comes_again(world) == [direct("alice", "bob", "one", 1)]
    everybody_goes(world)


def test_reply(world: World) -> None:
    """The answer goes to the author of the last message, also one that was missed."""
    alice = world.login("alice")
    world.ask(alice, "message bob hi")
    world.ask(alice, "create team bob")
    world.ask(alice, "enter team")
    world.ask(alice, "expel bob")
    bob, _ = comes(world)
    assert world.ask(bob, "r hello") == [sent("alice", "hello")]


def test_quick_return(world: World) -> None:
    """Who returns before his first login was stored hears his groups, each line once."""
    alice, bob = team(world, "alice", "bob")
    quit_(world, bob)
    slow_store(world).slow = frozenset({"append"})
    alice.receive("say one")
    world.turn()
    first = world.login("bob")
    quit_(world, first)
    bob = world.login("bob")
    take(first, bob)
    slow_store(world).proceed()
    world.turn()
    world.ask(alice, "say two")
    one, two = line("alice", "one", 1), line("alice", "two", 2)
    told_first, told_bob = (
        [event for event in events if not isinstance(event, Welcomed)]
        for events in take(first, bob)
    )
    assert (told_first, told_bob) == ([], [*mailed(world, one), *heard(two)])


def test_gone_while_registering(world: World) -> None:
    """A guest who goes while his account is being made hears nothing of what comes later."""
    guest = world.connect()
    result_of(guest.identify(read_name("gast"), None))
    quit_(world, guest)
    take(guest)
    account = attrs.evolve(world.account("gast"))
    guest.open_account(account)
    world.turn()
    assert take(guest) == [[]]


def test_nobody_to_read_it(world: World) -> None:
    """A login that is gone before it is delivered has its mail told to nobody."""
    fill(world, 1)
    bob = world.connect()
    bob.receive("login bob|secret")
    result_of(bob.lost())
    world.turn()
    assert [event for event in take(bob)[0] if isinstance(event, Told | Mailed)] == []


def test_too_much_held() -> None:
    """A client that takes too long over its mail is cut, and no longer costs memory."""
    link = FakeLink()
    held = Held(link)
    for _ in range(17):
        held.write(bytes(1024 * 1024))
    assert link.aborted
    held.release()
    assert link.writes == 0
    assert MOST_HELD == 16 * 1024 * 1024


def test_settle(world: World) -> None:
    """When the server stops, what was read is stored at once."""
    fill(world, 1)
    bob, _ = comes(world)
    bob.receive("groups")
    now(world.hub.mail.settle())
    assert comes_again(world) == []
