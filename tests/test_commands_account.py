"""The commands of one's own account."""

import attrs
import pytest

from chatd.domain.errors import (
    BadArguments,
    BadMail,
    BadPassword,
    ChatError,
    LockedOut,
    NotAllowed,
    WrongPassword,
)
from chatd.domain.events import Asked, Prompt, Told, Welcomed
from chatd.domain.names import Key, Name
from chatd.domain.records import Role
from chatd.domain.session import Session
from tests.fakes import World, refused, told

KEPT = NotAllowed("bob is an operator: register it from the server's own machine.")
CLOSED = NotAllowed("Nobody can register here; the operator opens accounts.")


@pytest.fixture
def guest(world: World) -> Session:
    """Somebody who came in without a password."""
    world.hub.rules = attrs.evolve(world.rules, guests=True)
    guest = world.connect()
    world.ask(guest, "introduce bob")
    return guest


def test_only_a_guest_is_shown_how_to_register(world: World, guest: Session) -> None:
    """The list of commands has /register for a guest, and no longer once the account is there."""
    (before,) = world.ask(guest, "help")
    world.ask(guest, "register|secret")
    (after,) = world.ask(guest, "help")
    assert isinstance(before, Told)
    assert isinstance(after, Told)
    shown = "/register: Make the name that you came in with as a guest an account."
    assert (shown in before.lines, shown in after.lines) == (True, False)


def test_register(world: World, guest: Session) -> None:
    """A guest's name becomes an account of the next login."""
    assert world.ask(guest, "register") == [
        Asked("register", "", (Prompt.NEW_PASSWORD, Prompt.AGAIN))
    ]
    assert world.ask(guest, "register|secret") == told(
        "The name bob is yours; the next login asks for the password."
    )
    assert guest.account is world.store.accounts[Key("bob")]
    assert guest.role is Role.USER


def test_register_twice(world: World) -> None:
    """Whoever has an account can't open another."""
    assert world.ask(world.login("bob"), "register|secret") == refused(
        NotAllowed("You have an account already.")
    )


def test_register_with_a_bad_password(world: World, guest: Session) -> None:
    """A guest whose password can't be taken stays a guest."""
    assert world.ask(guest, "register|abc") == refused(
        BadPassword("A password has at least 4 characters.")
    )
    assert (guest.account, world.store.accounts) == (None, {})


def test_register_where_nobody_can(world: World, guest: Session) -> None:
    """Where accounts are opened by the operator a guest stays a guest."""
    world.hub.rules = attrs.evolve(world.hub.rules, register=False)
    assert world.ask(guest, "register|secret") == refused(CLOSED)
    assert (guest.account, world.store.accounts) == (None, {})


def test_register_an_operators_name(world: World, guest: Session) -> None:
    """A guest who has the name of an operator gets no power by registering it."""
    world.hub.rules = attrs.evolve(world.hub.rules, operators=frozenset({Key("bob")}))
    assert world.ask(guest, "register|secret") == refused(KEPT)
    assert (guest.account, world.store.accounts) == (None, {})


@pytest.mark.parametrize("line", ["password", "account", "account mail bob@example.org"])
def test_a_guest_has_no_account(world: World, guest: Session, line: str) -> None:
    """What is about an account is refused to a guest, who is told how to get one."""
    assert world.ask(guest, line) == refused(
        NotAllowed("That needs an account. Type /register to open one.")
    )


def test_password(world: World) -> None:
    """A password is changed with the old one, and the next login needs the new one."""
    bob = world.login("bob")
    assert world.ask(bob, "password") == [
        Asked("password", "", (Prompt.OLD_PASSWORD, Prompt.NEW_PASSWORD, Prompt.AGAIN))
    ]
    assert world.ask(bob, "password|secret|better") == told("Your password is changed.")
    assert world.ask(bob, "password|secret|other") == refused(WrongPassword(2))
    assert world.ask(bob, "password|better|best") == told("Your password is changed.")
    world.ask(bob, "quit")
    stranger = world.connect()
    assert world.ask(stranger, "login bob|better")[0] == refused(WrongPassword(2))[0]
    assert world.ask(stranger, "login bob|best") == [Welcomed(Name("bob"), None, "chatd", 0.0)]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("password|wrong|better", WrongPassword(2)),
        ("password|last|better", LockedOut("bob", 60, first=True)),
        ("password|secret|abc", BadPassword("A password has at least 4 characters.")),
        ("password secret better", BadArguments("Usage: /password")),
    ],
)
def test_password_that_is_not_changed(world: World, line: str, error: ChatError) -> None:
    """A wrong old password, or a bad new one, changes nothing."""
    bob = world.login("bob")
    assert world.ask(bob, line) == refused(error)
    assert world.store.accounts[Key("bob")].password == "secret"


def test_account(world: World) -> None:
    """An account shows what is stored of it, but never the password."""
    world.account("bob")
    world.clock.advance(3 * 86_400)
    bob = world.login("bob")
    assert world.ask(bob, "account") == told(
        "Account bob, user; mail: none; opened 1970-01-01; last login never.", at=3 * 86_400
    )
    world.ask(bob, "quit")
    world.clock.advance(86_400)
    world.hub.rules = attrs.evolve(world.rules, operators=frozenset({Key("bob")}))
    assert world.ask(world.login("bob"), "account") == told(
        "Account bob, operator; mail: none; opened 1970-01-01; last login 1970-01-04.",
        at=4 * 86_400,
    )


def test_account_mail(world: World) -> None:
    """A mail address is set, shown, used for the login, and removed again."""
    shown = "Account bob, user; mail: {}; opened 1970-01-01; last login never."
    bob = world.login("bob")
    assert world.ask(bob, "account MAIL Bob@Example.org") == told(shown.format("bob@example.org"))
    assert world.ask(bob, "account") == told(shown.format("bob@example.org"))
    assert world.store.accounts[Key("bob")].mail == "bob@example.org"
    assert world.ask(bob, "account mail None") == told(shown.format("none"))
    assert world.store.accounts[Key("bob")].mail is None


@pytest.mark.parametrize(
    "address",
    [
        *("bob", "@example.org", "bob@", "bob@localhost", "bob@example", "b\x1b@example.org"),
        f"{'b' * 243}@example.org",
    ],
)
def test_account_mail_that_is_none(world: World, address: str) -> None:
    """What can't be a mail address is not stored as one."""
    assert world.ask(world.login("bob"), f"account mail {address}") == refused(
        BadMail("That is not a mail address.")
    )


def test_the_longest_mail_address(world: World) -> None:
    """An address of 254 characters, the most that mail can have, is taken."""
    address = f"{'b' * 242}@example.org"
    world.ask(world.login("bob"), f"account mail {address}")
    assert world.store.accounts[Key("bob")].mail == address


def test_account_mail_of_somebody_else(world: World) -> None:
    """One mail address is one account's."""
    bob, carol = world.login("bob"), world.login("carol")
    world.ask(bob, "account mail bob@example.org")
    assert world.ask(carol, "account mail bob@example.org") == refused(
        BadMail("That address belongs to another account.")
    )


@pytest.mark.parametrize("line", ["account mail", "account post bob@example.org", "account bob"])
def test_account_is_asked_wrongly(world: World, line: str) -> None:
    """What /account doesn't understand is refused with how it is typed."""
    assert world.ask(world.login("bob"), line) == refused(
        BadArguments("Usage: /account, /account mail ADDRESS, /account mail none")
    )
