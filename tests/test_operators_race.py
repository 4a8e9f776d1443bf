"""What operators do while somebody is just logging in, or has just done something else."""

import attrs
import pytest
from twisted.internet.defer import Deferred

from chatd.domain.errors import StillMuted
from chatd.domain.events import Farewell, Refused
from chatd.domain.names import Key, inbox_room
from chatd.domain.records import Mute, Role
from chatd.domain.session import Session, State
from tests.fakes import World, link_of, refused, sent_to, told
from tests.memory import MemoryStore


@attrs.define(eq=False)
class SlowStore(MemoryStore):
    """A store that takes its time over a mute."""

    proceed: Deferred[None] = attrs.field(factory=Deferred)

    def save_mute(self, mute: Mute) -> Deferred[None]:
        """Store it after ``proceed``."""
        return self.proceed


@pytest.fixture
def alice(world: World) -> Session:
    """An operator who is online."""
    world.account("alice", role=Role.OPERATOR)
    return world.login("alice")


@pytest.fixture
def bob(world: World) -> Session:
    """Somebody, so far an operator, whose right password is being checked."""
    world.account("bob", "slow", Role.OPERATOR)
    session = world.connect()
    session.receive("login bob|slow")
    world.turn()
    return session


def proceed(world: World, session: Session) -> None:
    """Let the password be checked."""
    link_of(session).take()
    world.passwords.proceed()
    world.turn()


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("account passwd bob", "Your account has been changed just now; please log in again."),
        ("account role bob user", "Your account has been changed just now; please log in again."),
        ("account remove bob", "There is no user bob."),
        ("ban bob", "bob is banned from this server."),
        ("shutdown 9", "The server shuts down in 9 seconds; nobody can log in now."),
    ],
)
def test_during_the_login(world: World, alice: Session, bob: Session, line: str, text: str) -> None:
    """What is done to somebody while his password is checked counts at once."""
    world.ask(alice, line)
    proceed(world, bob)
    world.clock.advance(0.01)
    refusal = sent_to(bob)[0]
    assert isinstance(refusal, Refused)
    assert refusal.text == text
    assert bob.state is State.LOGIN
    assert not bob.identified
    world.ask(alice, "shutdown cancel")


@pytest.mark.parametrize("line", ["account passwd bob", "account role bob user"])
def test_login_after_a_change(world: World, alice: Session, bob: Session, line: str) -> None:
    """Who logs in after his account was changed is let in, as what he is now."""
    world.ask(alice, line)
    proceed(world, bob)
    password = world.store.accounts[Key("bob")].password
    bob.receive(f"login bob|{password}")
    world.passwords.proceed()
    world.turn()
    assert bob.identified
    assert bob.role is (Role.USER if "role" in line else Role.OPERATOR)


def test_kick_during_the_login(world: World, alice: Session, bob: Session) -> None:
    """Somebody who has not logged in yet can't be kicked; a moment later he can."""
    world.ask(alice, "kick bob")
    proceed(world, bob)
    assert bob.identified
    world.ask(alice, "kick bob")
    assert Farewell("You have been kicked off this server.", 0.0) in sent_to(bob)


def test_banned_address_during_the_login(world: World, alice: Session, bob: Session) -> None:
    """A banned address' connections close at once, and a password that is right changes nothing."""
    alice.address = "192.0.2.1"
    world.ask(alice, "ban 10.0.0.1")
    assert Farewell("You have been banned from this server.", 0.0) in sent_to(bob)
    world.passwords.proceed()
    world.turn()
    assert bob.state is State.CLOSING
    assert not bob.identified


def test_watching_and_no_operator_any_more(world: World, alice: Session) -> None:
    """Who asks to watch just before he is no operator any more doesn't watch."""
    world.account("olga", role=Role.OPERATOR)
    olga = world.login("olga")
    olga.receive("watch")
    alice.receive("account role olga user")
    world.turn()
    assert world.hub.watch.audience not in olga.link.audiences


def test_muted_while_he_comes_back(world: World, alice: Session) -> None:
    """Who has left and come back while his mute was being stored is muted, and told so."""
    channel, slow = world.channel(), SlowStore(accounts=world.store.accounts)
    bob = world.login("bob", channel)
    world.hub.store = slow
    world.ask(alice, "mute general:bob 30")
    bob.receive("quit")
    again = world.login("bob", channel)
    sent_to(again)
    slow.proceed.callback(None)
    world.turn()
    assert sent_to(again) == told("You have been muted for 30 seconds.")
    assert world.ask(again, "say hello") == refused(StillMuted(30))


def test_places_of_an_account_that_is_gone(world: World, alice: Session) -> None:
    """How far somebody had read is not noted any more once his account is gone."""
    bob = world.login("bob")
    world.ask(alice, "message bob hello")
    world.ask(bob, "whoelse")
    world.ask(alice, "account remove bob")
    world.clock.advance(10)
    assert (inbox_room(Key("bob")), Key("bob")) not in world.store.read
