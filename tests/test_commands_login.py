"""The commands of a login: who somebody is, and whether it is true."""

import attrs
import pytest
from twisted.internet.defer import Deferred

from chatd.domain.errors import (
    AlreadyLoggedIn,
    BadMail,
    BadName,
    BadPassword,
    ChatError,
    LockedOut,
    NameTaken,
    NotAllowed,
    WrongPassword,
)
from chatd.domain.events import ASK_NAME, Asked, Event, Farewell, Invited, Prompt, Welcomed
from chatd.domain.names import Key, Name
from chatd.domain.ports import Mark
from chatd.domain.records import Account, Role
from chatd.domain.session import State
from tests.fakes import World, link_of, refused, sent_to, told
from tests.memory import MemoryStore

BOB = Name("bob")
WELCOME = [Welcomed(BOB, None, "chatd", 0.0)]
LOCAL = "127.0.0.1"
KEPT = NotAllowed("bob is an operator: register it from the server's own machine.")
CLOSED = NotAllowed("Nobody can register here; the operator opens accounts.")


def again(error: ChatError) -> list[bytes | Event]:
    """What is told to somebody whose login goes back to the name."""
    return [*refused(error), ASK_NAME]


def new_password(name: str) -> Asked:
    """The question for the password of a new account."""
    return Asked("signup", name, (Prompt.NEW_PASSWORD, Prompt.AGAIN))


def password(who: str) -> Asked:
    """The question for the password of an account."""
    return Asked("login", who, (Prompt.PASSWORD,))


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("introduce", [ASK_NAME]),
        ("introduce bob", [password("bob")]),
        ("introduce  BOB ", [password("BOB")]),
        ("introduce Bob@Example.org", [password("Bob@Example.org")]),
        ("introduce no@example.org", [password("no@example.org")]),
        ("introduce carol", [Invited(Name("carol")), new_password("carol")]),
        ("introduce Zoë", [Invited(Name("Zoë")), new_password("Zoë")]),
        (f"introduce {'a' * 251}@b.c", again(BadMail("That is not a mail address."))),
    ],
)
def test_introduce(world: World, typed: str, answer: list[bytes | Event]) -> None:
    """A known name or mail address is asked for its password, a new name is invited."""
    world.store.accounts[Key("bob")] = attrs.evolve(world.account("bob"), mail="bob@example.org")
    assert world.ask(world.connect(), typed) == answer


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("introduce 1bob", BadName("A name begins with a letter.")),
        ("introduce server", BadName("server is a reserved word, please choose another name.")),
        ("introduce Quit", BadName("Quit is a reserved word, please choose another name.")),
        (
            "introduce bob smith",
            BadName("A name is made of letters, digits, '_', '-' and '.' only."),
        ),
        (
            "introduce b ob@example.org",
            BadName("A name is made of letters, digits, '_', '-' and '.' only."),
        ),
        (
            "introduce b0b",
            NameTaken("b0b is taken, or looks like bOb. Please choose another name."),
        ),
    ],
)
def test_introduce_by_a_name_nobody_can_have(world: World, typed: str, error: ChatError) -> None:
    """What can't be a name is refused for what is wrong with it, and asked for again."""
    world.account("bOb")
    assert world.ask(world.connect(), typed) == again(error)


def test_introduce_where_nobody_can_register(world: World) -> None:
    """Where accounts are opened by the operator, an unknown name looks like a known one."""
    world.hub.rules = attrs.evolve(world.rules, register=False)
    world.account("bob")
    assert world.ask(world.connect(), "introduce bob") == [password("bob")]
    assert world.ask(world.connect(), "introduce eve") == [password("eve")]


def test_introduce_somebody_who_is_online(world: World) -> None:
    """A name that is online is refused at once, or where it may be taken over, after a password."""
    world.login("bob")
    stranger = world.connect()
    assert world.ask(stranger, "introduce bob") == again(AlreadyLoggedIn("bob"))
    world.hub.rules = attrs.evolve(world.rules, replace=True)
    assert world.ask(stranger, "introduce bob") == [password("bob")]


def test_login(world: World) -> None:
    """The right password lets somebody in, and the login is noted."""
    account = world.account("bob")
    world.clock.advance(90)
    stranger = world.connect()
    assert world.ask(stranger, "login BOB|secret") == [Welcomed(BOB, None, "chatd", 90.0)]
    assert (stranger.name, stranger.account) == (BOB, account)
    assert world.ask(stranger, "wholasthr") == told("1 person in the last hour: bob.", at=90.0)


def test_login_by_mail(world: World) -> None:
    """A mail address in any case serves as well as the name."""
    world.store.accounts[Key("bob")] = attrs.evolve(world.account("bob"), mail="bob@example.org")
    assert world.ask(world.connect(), "login Bob@Example.org|secret") == WELCOME


@pytest.mark.parametrize("who", ["bob", "eve", "bob@example.org"])
def test_login_with_a_wrong_password(world: World, who: str) -> None:
    """A wrong password and an unknown name are refused alike, and the password is asked again."""
    world.account("bob")
    stranger = world.connect()
    assert world.ask(stranger, f"login {who}|wrong") == [*refused(WrongPassword(2)), password(who)]
    assert stranger.state is State.LOGIN


def test_login_without_a_password(world: World) -> None:
    """Whoever types the command for a login is asked for the password, and then let in."""
    world.account("bob")
    stranger = world.connect()
    assert world.ask(stranger, "login bob") == [password("bob")]
    assert world.ask(stranger, "login bob|secret") == WELCOME


def test_login_while_locked(world: World) -> None:
    """While a name is locked it is refused, and another may be given."""
    stranger = world.connect()
    assert world.ask(stranger, "login bob|locked") == again(LockedOut("bob", 42))
    assert not link_of(stranger).closed


def test_login_with_the_last_wrong_password(world: World) -> None:
    """The wrong password that locks a name ends the connection."""
    stranger = world.connect()
    text = "Too many wrong passwords: bob is locked for 60 seconds."
    assert world.ask(stranger, "login bob|last") == [Farewell(text, 0.0)]
    assert link_of(stranger).closed


def test_login_where_somebody_else_was_faster(world: World) -> None:
    """Two logins at once under one name: the first has it, the second is refused."""
    world.account("bob")
    first, second = world.connect(), world.connect()
    for session in (first, second):
        assert world.ask(session, "login bob|slow") == []
    world.passwords.proceed()
    world.turn()
    assert link_of(first).take() == WELCOME
    assert link_of(second).take() == again(AlreadyLoggedIn("bob"))


def test_login_of_somebody_who_has_gone(world: World) -> None:
    """Whoever hangs up while the password is being checked is not online afterwards."""
    world.account("bob")
    stranger = world.connect()
    assert world.ask(stranger, "login bob|slow") == []
    world.hub.spawn(stranger.lost())
    world.passwords.proceed()
    assert world.ask(world.login("carol"), "ping bob") == told("bob is offline.")


def test_signup(world: World) -> None:
    """A new account is stored, and its owner is in."""
    world.clock.advance(90)
    stranger = world.connect()
    assert world.ask(stranger, "signup Bob|secret") == [Welcomed(Name("Bob"), None, "chatd", 90.0)]
    assert stranger.account is world.store.accounts[Key("bob")]
    assert attrs.asdict(stranger.account) == {
        "id": 1,
        "key": "bob",
        "name": "Bob",
        "skeleton": stranger.account.skeleton,
        "mail": None,
        "password": "secret",
        "role": Role.USER,
        "created": 90.0,
        "last_login": 90.0,
    }


def test_signup_with_a_bad_password(world: World) -> None:
    """A password that can't be taken is asked for again."""
    stranger = world.connect()
    assert world.ask(stranger, "signup bob|abc") == [
        *refused(BadPassword("A password has at least 4 characters.")),
        new_password("bob"),
    ]
    assert world.store.accounts == {}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("carol", NameTaken("carol is taken, or looks like carol. Please choose another name.")),
        ("all", BadName("all is a reserved word, please choose another name.")),
        ("1st", BadName("A name begins with a letter.")),
    ],
)
def test_signup_with_a_name_nobody_can_have(world: World, name: str, error: ChatError) -> None:
    """A name that is taken, reserved or no name at all opens no account."""
    world.account("carol")
    assert world.ask(world.connect(), f"signup {name}|secret") == again(error)
    assert list(world.store.accounts) == ["carol"]


def test_signup_where_nobody_can_register(world: World) -> None:
    """Where accounts are opened by the operator, typing the command opens none either."""
    world.hub.rules = attrs.evolve(world.rules, register=False)
    assert world.ask(world.connect(), "signup bob|secret") == again(CLOSED)
    assert world.store.accounts == {}


@pytest.mark.parametrize("guests", [False, True])
@pytest.mark.parametrize("line", ["introduce bob", "signup bob|secret"])
def test_an_operators_name_is_kept(world: World, line: str, guests: bool) -> None:
    """A stranger can't take the name that the configuration gives power to, not even as a guest."""
    world.hub.rules = attrs.evolve(world.rules, operators=frozenset({Key("bob")}), guests=guests)
    assert world.ask(world.connect(address="192.0.2.1"), line) == again(KEPT)
    assert world.store.accounts == {}


def test_an_operator_registers_on_the_servers_own_machine(world: World) -> None:
    """The name of an operator can be registered from the machine itself, and has the power."""
    world.hub.rules = attrs.evolve(world.rules, operators=frozenset({Key("bob")}))
    local = world.connect(address=LOCAL)
    assert world.ask(local, "signup bob|secret") == WELCOME
    assert local.role is Role.OPERATOR


def test_a_guest_comes_in_at_once(world: World) -> None:
    """Where guests are welcome, a free name needs no password; a registered one does."""
    world.hub.rules = attrs.evolve(world.rules, guests=True)
    guest = world.connect()
    assert world.ask(guest, "introduce bob") == WELCOME
    assert (guest.name, guest.role) == (BOB, Role.GUEST)
    world.account("carol")
    assert world.ask(world.connect(), "introduce carol") == [password("carol")]
    assert world.ask(world.connect(), "introduce b0b") == again(
        NameTaken("b0b is taken, or looks like bob. Please choose another name.")
    )


@attrs.define
class Listed:
    """Only bob is a member, from the moment that his line is looked at; passwords are noted."""

    members: frozenset[Key] = frozenset()
    hashes: list[tuple[Key, str]] = attrs.field(factory=list)

    async def look(self) -> None:
        """Find bob's line."""
        self.members = frozenset({Key("bob")})

    async def set_password(self, key: Key, hashed: str) -> None:
        """Note another password's hash."""
        self.hashes.append((key, hashed))


def test_a_closed_server_lets_only_its_members_in(world: World) -> None:
    """Where there is a list of members, anybody else's account is like none at all."""
    world.account("bob")
    world.account("eve")
    world.change(register=False)
    world.hub.members = Listed()
    stranger = world.connect()
    assert world.ask(stranger, "introduce eve") == [password("eve")]
    wrong = WrongPassword(2)
    assert world.ask(stranger, "login eve|secret") == [*refused(wrong), password("eve")]
    assert world.ask(stranger, "login bob|secret") == WELCOME
    # Somebody who is no member learns nothing of who is there, either.
    assert world.ask(world.connect(), "introduce nobody") == [password("nobody")]


def test_a_member_changes_his_password(world: World) -> None:
    """The new password of a member is written where the members are listed, and it is a hash."""
    world.account("bob")
    world.hub.members = members = Listed()
    bob = world.login("bob")
    assert world.ask(bob, "password|secret|better") == told("Your password is changed.")
    assert members.hashes == [(Key("bob"), "better")]


def test_taken_out_while_the_password_is_checked(world: World) -> None:
    """Whoever is taken off the list while his password is being checked doesn't get in."""
    world.account("bob")
    world.hub.members = members = Listed()
    bob = world.connect()
    world.ask(bob, "login bob|slow")
    members.members = frozenset()
    world.passwords.proceed()
    assert sent_to(bob) == again(NotAllowed("You are not a member of this server any more."))


def test_a_password_typed_ahead_is_no_name(world: World) -> None:
    """Where guests get in, a password typed ahead for a refused name is no name."""

    class Slow(MemoryStore):
        """A store that answers when it is told to."""

        asked: Deferred[None] = Deferred()

        async def account(self, key: Key) -> Account | None:  # type: ignore[override]
            """Wait for it."""
            await self.asked
            return self.accounts.get(key)

    world.change(guests=True)
    world.account("bob")
    world.login("bob")
    world.hub.store = Slow(accounts=world.store.accounts)
    session = world.connect()
    for line in ("introduce bob", "introduce secret", Mark.END):
        session.receive(line)
    sent_to(session)
    Slow.asked.callback(None)
    assert sent_to(session) == [
        *refused(AlreadyLoggedIn(Name("bob"))),
        ASK_NAME,
        Farewell("Goodbye.", 0.0),
    ]
    assert not session.identified
