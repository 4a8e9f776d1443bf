"""What operators do to accounts, and what becomes of whoever is logged in with one."""

import attrs
import pytest
from twisted.internet.task import Clock

from chatd.domain.errors import (
    BadArguments,
    BadName,
    ChatError,
    NameTaken,
    NoSuchUser,
    NotAllowed,
    NotNow,
    NotStored,
    NotYourself,
    WrongPassword,
)
from chatd.domain.events import ASK_NAME, Event, Farewell, Mailed, Told, Welcomed
from chatd.domain.names import Key, Name
from chatd.domain.records import Role
from chatd.domain.session import Session, State
from chatd.journal import StoreJournal
from tests.conftest import LoggedErrors
from tests.crowd import BOB, People, gather, joined, left
from tests.fakes import World, link_of, refused, result_of, sent_to, spawn, told
from tests.memory import MemoryStore
from tests.stored import everybody_goes, now, stored_world

DAY = 86_400.0
TAKEN = "{} is taken, or looks like {}. Please choose another name."
REMOVED = "Your account has been removed. Goodbye."


@pytest.fixture
def people(world: World) -> People:
    """An operator with people around her."""
    return gather(world)


@attrs.define
class FakeMembers:
    """A members file that remembers the hashes that were written into it."""

    members: frozenset[Key] = frozenset()
    hashes: dict[Key, str] = attrs.field(factory=dict)

    async def look(self) -> None:
        """Nothing else is written there."""

    async def set_password(self, key: Key, hashed: str) -> None:
        """Remember it."""
        self.hashes[key] = hashed


# The list.


def listed(world: World, people: People, line: str) -> tuple[str, ...]:
    """What the operator is answered, line by line."""
    (answer,) = world.ask(people.olga, line)
    assert isinstance(answer, Told)
    return answer.lines


def test_accounts(world: World, people: People) -> None:
    """Accounts are listed by name, each with its role, its dates and whether it is online."""
    for name in ("alice", "bob", "carol"):
        del world.store.accounts[Key(name)]
    world.account("Straße")
    eve = world.account("Eve")
    world.store.accounts[eve.key] = attrs.evolve(eve, created=DAY, last_login=3 * DAY)
    world.change(operators=frozenset({Key("dave")}))
    assert world.ask(people.olga, "accounts") == told(
        "4 accounts.",
        "dave, operator; opened 1970-01-01; last login 1970-01-01, online.",
        "Eve, user; opened 1970-01-02; last login 1970-01-04.",
        "olga, operator; opened 1970-01-01; last login 1970-01-01, online.",
        "Straße, user; opened 1970-01-01; last login never.",
    )


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("LI", ["alice"]),
        ("A", ["alice", "carol", "dave", "olga", "Straße"]),
        ("zz", []),
        ("STRAßE", ["Straße"]),
    ],
)
def test_accounts_that_are_looked_for(
    world: World, people: People, typed: str, found: list[str]
) -> None:
    """Accounts are looked for by a part of the name, in any case."""
    world.account("Straße")
    count, *rows = listed(world, people, f"accounts {typed}")
    assert count == f"{len(found)} account{'' if len(found) == 1 else 's'}."
    assert [row.partition(",")[0] for row in rows] == found


def test_many_accounts(world: World, people: People) -> None:
    """Of very many accounts the first hundred are listed, and the others counted."""
    for number in range(100):
        world.account(f"user{number:03}")
    lines = listed(world, people, "accounts")
    assert (lines[0], len(lines), lines[-1]) == ("105 accounts.", 102, "and 5 more.")


# A new account.


def test_add(world: World, people: People) -> None:
    """A new account is opened with a password that is shown once, and that lets its owner in."""
    world.clock.advance(5)
    assert world.ask(people.olga, "account add Eve") == told(
        "Opened the account Eve; its password is invented", at=5.0
    )
    eve = world.store.accounts[Key("eve")]
    assert (eve.name, eve.role, eve.created, eve.last_login) == ("Eve", Role.USER, 5.0, None)
    assert world.ask(world.connect(), "login eve|invented")[0] == Welcomed(
        Name("Eve"), None, "chatd", 5.0
    )
    assert "invented" not in str(world.audit.acts)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("account add GAST", NameTaken("gast is online as a guest, who can /register.")),
        ("account add Server", BadName("Server is a reserved word, please choose another name.")),
        ("account add kick", BadName("kick is a reserved word, please choose another name.")),
        ("account add 1eve", BadName("A name begins with a letter.")),
        ("account add frank", NameTaken(TAKEN.format("frank", "frank"))),
        ("account add PAYPAI", NameTaken(TAKEN.format("PAYPAI", "paypal"))),
        ("account add olga", NameTaken(TAKEN.format("olga", "olga"))),
        ("account add", BadArguments("Usage: /account add TARGET")),
        ("account add eve secret", BadArguments("Usage: /account add TARGET")),
    ],
)
def test_no_new_account(world: World, people: People, line: str, error: ChatError) -> None:
    """A name that nobody can have, or somebody has, or that looks like one, is refused."""
    result_of(world.connect().identify(Name("gast"), None))
    world.account("frank")
    world.account("paypal")
    before = dict(world.store.accounts)
    assert world.ask(people.olga, line) == refused(error)
    assert world.store.accounts == before


# Removal.


def remove(world: World, olga: Session, line: str) -> list[bytes | Event]:
    """What an operator is told who removes somebody, with a journal that stores."""
    world.hub.journal = StoreJournal(world.clock, world.hub, world.store, spawn, {})
    heard = world.ask(olga, line)
    world.clock.advance(0.01)
    world.turn()
    return heard + sent_to(olga)


def test_remove(world: World, people: People) -> None:
    """Who is removed is cut off, the others hear him go, and his password is good for nothing."""
    assert remove(world, people.olga, "account remove BOB") == [
        left("bob"),
        joined("carol"),
        *told("Removed the account bob.", at=0.01),
    ]
    assert sent_to(people.bob) == [Farewell(REMOVED, 0.0)]
    assert link_of(people.bob).closed
    assert Key("bob") not in world.store.accounts
    stranger = world.connect()
    assert world.ask(stranger, "login bob|secret")[0] == refused(WrongPassword(2), at=0.01)[0]


def test_removed_while_his_password_is_checked(world: World, people: People) -> None:
    """Who is removed between his password and his welcome doesn't get in."""
    world.account("eve")
    stranger = world.connect()
    sent_to(stranger)
    stranger.receive("login eve|slow")
    world.ask(people.olga, "account remove eve")
    world.passwords.proceed()
    world.clock.advance(0.01)
    assert sent_to(stranger) == [*refused(NoSuchUser("eve")), ASK_NAME]
    assert stranger.state is State.LOGIN


def test_the_next_owner_of_the_name(world: World, people: People) -> None:
    """The name is free at once, for somebody who can log in with it."""
    remove(world, people.olga, "account remove bob")
    stranger = world.connect()
    assert world.ask(stranger, "signup bob|better") == [Welcomed(BOB, None, "chatd", 0.01)]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("account remove olga", NotYourself("You can't remove your own account.")),
        ("account remove Olga", NotYourself("You can't remove your own account.")),
        ("account remove nobody", NoSuchUser("nobody")),
        ("account remove", BadArguments("Usage: /account remove TARGET")),
    ],
)
def test_nobody_is_removed(world: World, people: People, line: str, error: ChatError) -> None:
    """An operator can't remove himself, nor somebody who has no account."""
    before = dict(world.store.accounts)
    assert world.ask(people.olga, line) == refused(error)
    assert world.store.accounts == before


def test_removal_that_is_not_stored(
    world: World, people: People, logged_errors: LoggedErrors
) -> None:
    """Where the store can't take it, the account is there as before and lets its owner in."""
    world.store.broken = True
    heard = remove(world, people.olga, "account remove bob")
    assert heard[-1:] == refused(NotStored(), at=0.01)
    assert Key("bob") in world.store.accounts
    logged_errors.flush()
    assert world.login("bob").state is State.LOBBY
    assert [act.result for act in world.audit.acts] == ["not_stored"]


def test_remove_the_admin_of_groups(clock: Clock) -> None:
    """Of groups the first of the other members is admin then; one without members ends."""
    stored = stored_world(clock)
    stored.account("olga", role=Role.OPERATOR)
    olga, bob, carol = (stored.login(name) for name in ("olga", "bob", "carol"))
    stored.ask(bob, "create team carol")
    stored.ask(bob, "create alone")
    for one in (olga, bob, carol):
        sent_to(one)
    stored.ask(olga, "account remove bob")
    (team,) = now(MemoryStore.groups(stored.store))
    assert (team.name, team.admin, team.members) == ("team", "carol", ("carol",))
    assert stored.ask(carol, "groups") == told("team: carol (admin).")
    everybody_goes(stored)


def test_nothing_is_left_to_the_next_owner(clock: Clock) -> None:
    """Who has the name next finds no message of the one before, and misses none of his own."""
    stored = stored_world(clock)
    stored.account("olga", role=Role.OPERATOR)
    olga, bob, carol = (stored.login(name) for name in ("olga", "bob", "carol"))
    for number in range(3):
        stored.ask(carol, f"message bob old {number}")
    bob.receive("list")  # has read them; that is noted in two seconds
    stored.ask(carol, "block bob")
    stored.ask(olga, "account remove bob")
    stored.clock.advance(0.5)
    stored.ask(olga, "account add bob")
    stored.ask(carol, "message bob new")
    stored.clock.advance(5)
    again = stored.connect()
    heard = stored.ask(again, "login bob|invented")
    (mail,) = [event for event in heard if isinstance(event, Mailed)]
    assert [said.text for said in mail.lines] == ["new"]
    everybody_goes(stored)


# A password.


def test_passwd(world: World, people: People) -> None:
    """The new password is shown once, the session with the old one ends, and the new one fits."""
    assert world.ask(people.olga, "account passwd BOB") == [
        left("bob"),
        joined("carol"),
        *told("The password of bob is invented now."),
    ]
    assert sent_to(people.bob) == [
        Farewell("Your password has been changed by an operator. Goodbye.", 0.0)
    ]
    stranger = world.connect()
    assert world.ask(stranger, "login bob|secret")[0] == refused(WrongPassword(2))[0]
    assert world.ask(stranger, "login bob|invented")[0] == Welcomed(BOB, None, "chatd", 0.0)
    assert "invented" not in str(world.audit.acts)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("account passwd olga", NotYourself("Change your own password with /password.")),
        ("account passwd nobody", NoSuchUser("nobody")),
        ("account passwd", BadArguments("Usage: /account passwd TARGET")),
    ],
)
def test_no_new_password(world: World, people: People, line: str, error: ChatError) -> None:
    """Nobody is given a password who has no account; an operator changes his own as others do."""
    assert world.ask(people.olga, line) == refused(error)
    assert {one.password for one in world.store.accounts.values()} == {"secret"}


def test_passwd_of_somebody_offline(world: World, people: People) -> None:
    """A password can be given to somebody who is away."""
    world.account("eve")
    assert world.ask(people.olga, "account passwd eve") == told(
        "The password of eve is invented now."
    )


# A role.


def test_role(world: World, people: People) -> None:
    """Who is made an operator is one at once and at the next login; and no longer, likewise."""
    assert world.ask(people.olga, "account role BOB Operator") == told("bob is an operator now.")
    assert people.bob.role is world.store.accounts[Key("bob")].role is Role.OPERATOR
    assert world.ask(people.bob, "bans") == told("Nobody is banned.")
    assert world.ask(people.bob, "account role olga user") == told("olga is a user now.")
    assert world.ask(people.olga, "bans") == refused(NotAllowed("That is for operators."))
    world.ask(people.bob, "quit")
    assert world.login("bob").role is Role.OPERATOR


def test_role_of_somebody_offline(world: World, people: People) -> None:
    """A role can be given to somebody who is away."""
    world.account("eve")
    world.ask(people.olga, "account role eve operator")
    assert world.login("eve").role is Role.OPERATOR


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("account role bob king", BadArguments("A role is user or operator.")),
        ("account role bob guest", BadArguments("A role is user or operator.")),
        ("account role nobody user", NoSuchUser("nobody")),
        ("account role bob", BadArguments("Usage: /account role TARGET ROLE")),
        ("account role carol user", NotAllowed("The configuration makes carol an operator.")),
    ],
)
def test_no_new_role(world: World, people: People, line: str, error: ChatError) -> None:
    """What is no role can't be given, nor what the configuration gives taken away."""
    world.change(operators=frozenset({Key("carol")}))
    before = dict(world.store.accounts)
    assert world.ask(people.olga, line) == refused(error)
    assert world.store.accounts == before


@pytest.mark.parametrize("line", ["account role eve user", "account passwd eve"])
def test_changed_while_his_password_is_checked(world: World, people: People, line: str) -> None:
    """Who is logging in just then gets in with what he has now, or not at all."""
    world.account("eve", role=Role.OPERATOR)
    stranger = world.connect()
    sent_to(stranger)
    stranger.receive("login eve|slow")
    world.ask(people.olga, line)
    world.passwords.proceed()
    changed = NotNow("Your account has been changed just now; please log in again.")
    assert sent_to(stranger) == [*refused(changed), ASK_NAME]
    password = world.store.accounts[Key("eve")].password
    assert world.ask(stranger, f"login eve|{password}")[0] == Welcomed(
        Name("eve"), None, "chatd", 0.0
    )
    assert stranger.role is world.store.accounts[Key("eve")].role


def test_a_guest_has_no_role(world: World, people: People) -> None:
    """A guest stays a guest, whatever role somebody of that name would have."""
    guest = world.connect()
    result_of(guest.identify(Name("eve"), None))
    world.hub.watch.appoint(guest, Role.OPERATOR)
    assert guest.role is Role.GUEST


# A closed server.


@pytest.mark.parametrize("line", ["account add eve", "account remove bob"])
def test_the_members_file_says_who_has_an_account(world: World, people: People, line: str) -> None:
    """Where a file says who gets in, accounts are opened and removed there."""
    world.hub.members = FakeMembers()
    before = dict(world.store.accounts)
    assert world.ask(people.olga, line) == refused(
        NotAllowed("The members file says who has an account here.")
    )
    assert world.store.accounts == before


def test_passwd_in_the_members_file(world: World, people: People) -> None:
    """A new password is written into the members file too, or it would be undone from there."""
    world.hub.members = members = FakeMembers()
    world.ask(people.olga, "account passwd bob")
    assert members.hashes == {Key("bob"): "invented"}
