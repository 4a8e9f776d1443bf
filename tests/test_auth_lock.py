"""The portal: who gets in, and when a password is not checked at all."""

from collections.abc import Iterator

import attrs
import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from zope.interface import Interface

from chatd.auth import AccountPassword, Bcrypt, PortalPasswords
from chatd.domain.errors import ChatError, LockedOut, NotStored, WrongPassword
from chatd.domain.limits import Lockout
from chatd.domain.names import Name, key_of, skeleton_of
from chatd.domain.records import Account, Role
from tests.fakes import MemoryStore
from tests.threads import COST, CountingPool, in_reactor, reactor, soon

HOME, AWAY = "10.0.0.1", "10.0.0.2"


@attrs.define(eq=False)
class Door:
    """The portal, the store behind it, and people who type passwords."""

    hashing: Bcrypt
    clock: Clock
    store: MemoryStore = attrs.field(factory=MemoryStore)
    lockout: Lockout = attrs.field(init=False)
    passwords: PortalPasswords = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.start()

    def start(self, tries: int = 3) -> None:
        """Start as the server does, with what is in the store."""
        self.lockout = Lockout(self.clock, tries, 60, self.store.save_tries)
        self.lockout.restore(self.store.tries())
        self.passwords = PortalPasswords.behind(self.hashing, self.lockout, self.store)

    async def account(self, name: str = "bob", password: str = "secret") -> Account:
        """Store an account."""
        known = Name(name)
        hashed = await soon(self.passwords.hash(password))
        new = Account(
            0, key_of(known), known, skeleton_of(known), None, hashed, Role.USER, 0.0, None
        )
        return await self.store.add_account(new)

    async def login(
        self, account: Account | None, password: str = "secret", address: str = HOME
    ) -> Account:
        """Type a password."""
        who = "Nobody" if account is None else account.name
        return await soon(self.passwords.login(who, account, password, address))

    async def refusal(
        self, account: Account | None, password: str = "wrong", address: str = HOME
    ) -> str:
        """Type a password that is refused, and read why."""
        with pytest.raises(ChatError) as refused:
            await self.login(account, password, address)
        return str(refused.value)


@pytest.fixture
def door(hashing: Bcrypt, clock: Clock) -> Iterator[Door]:
    """A door with a lock of 3 tries and 60 seconds."""
    made = Door(hashing, clock)
    yield made
    made.lockout.stop()


@in_reactor
async def test_right_password(door: Door) -> None:
    """The right password gives the account, and leaves no count behind."""
    bob = await door.account()

    assert await door.login(bob) == bob
    assert await door.refusal(bob) == "Wrong password, 2 tries left."
    assert await door.login(bob) == bob
    assert [tries.address for tries in door.store.tries()] == [""]


@in_reactor
async def test_portal_gives_accounts_only(door: Door) -> None:
    """Who asks the portal for something else than an account gets nothing."""
    bob = await door.account()
    asked = AccountPassword("bob", bob, "secret", HOME)

    with pytest.raises(NotImplementedError):
        await door.passwords._portal.login(asked, None, Interface)


@in_reactor
async def test_three_wrong_passwords(door: Door, pool: CountingPool) -> None:
    """The third wrong password locks for 60 seconds; then nothing is checked until it opens."""
    bob = await door.account("Bob")
    assert [await door.refusal(bob) for _ in range(3)] == [
        "Wrong password, 2 tries left.",
        "Wrong password, 1 try left.",
        "Too many wrong passwords: Bob is locked for 60 seconds.",
    ]

    pool.checks = 0
    assert await door.refusal(bob, "secret") == "Bob is locked for 60 more seconds."
    door.clock.advance(59)
    assert await door.refusal(bob, "secret") == "Bob is locked for 1 more second."
    assert pool.checks == 0

    door.clock.advance(1)
    assert await door.login(bob) == bob


@in_reactor
async def test_unknown_name_is_locked_too(door: Door) -> None:
    """A name without an account is refused in the same words, however it is written."""
    assert [await door.refusal(None) for _ in range(4)] == [
        "Wrong password, 2 tries left.",
        "Wrong password, 1 try left.",
        "Too many wrong passwords: Nobody is locked for 60 seconds.",
        "Nobody is locked for 60 more seconds.",
    ]
    with pytest.raises(LockedOut):
        await soon(door.passwords.login("NOBODY", None, "secret", HOME))


@in_reactor
async def test_stranger_locks_nobody_out(door: Door) -> None:
    """Wrong passwords from one address lock the account against that address alone."""
    bob = await door.account()
    for _ in range(3):
        await door.refusal(bob, address=AWAY)

    assert await door.login(bob) == bob
    assert await door.refusal(bob, "secret", AWAY) == "bob is locked for 60 more seconds."


@in_reactor
async def test_one_account_has_one_count(door: Door) -> None:
    """It makes no difference whether the name or the mail address was typed."""
    bob = await door.account()
    told = []
    for who in ("bob", "BOB", "bob@example.org"):
        with pytest.raises(ChatError) as refused:
            await soon(door.passwords.login(who, bob, "wrong", HOME))
        told.append(str(refused.value))

    assert told == [
        "Wrong password, 2 tries left.",
        "Wrong password, 1 try left.",
        "Too many wrong passwords: bob@example.org is locked for 60 seconds.",
    ]


@in_reactor
async def test_lock_survives_a_restart(door: Door) -> None:
    """After a restart a lock goes on for the rest of its time, and opens by itself."""
    bob = await door.account()
    for _ in range(3):
        await door.refusal(bob)
    door.clock.advance(20)

    door.lockout.stop()
    door.start()

    assert await door.refusal(bob, "secret") == "bob is locked for 40 more seconds."
    assert await door.login(bob, address=AWAY) == bob
    door.clock.advance(40)
    assert await door.login(bob) == bob


@in_reactor
async def test_count_survives_a_restart(door: Door) -> None:
    """Wrong passwords from before a restart still count after it."""
    bob = await door.account()
    for _ in range(2):
        await door.refusal(bob)

    door.lockout.stop()
    door.start()

    text = "Too many wrong passwords: bob is locked for 60 seconds."
    assert await door.refusal(bob) == text


@in_reactor
async def test_no_lock(door: Door) -> None:
    """Where the lock is switched off, any number of wrong passwords is just wrong."""
    door.start(tries=0)
    bob = await door.account()

    assert [await door.refusal(bob) for _ in range(5)] == ["Wrong password."] * 5
    assert await door.login(bob) == bob


@in_reactor
async def test_tries_side_by_side(door: Door, pool: CountingPool) -> None:
    """Passwords tried at the same time, over many connections, are no more than the tries left."""
    bob = await door.account()
    pool.keep_busy()
    waiting = [soon(door.passwords.login("bob", bob, "wrong", HOME)) for _ in range(3)]
    busy = "A password is being checked already, please wait a moment."
    assert await door.refusal(bob, "secret") == busy

    pool.proceed()
    for one in waiting:
        with pytest.raises((WrongPassword, LockedOut)):
            await one
    assert await door.refusal(bob, "secret") == "bob is locked for 60 more seconds."


@in_reactor
async def test_password_that_was_not_checked(door: Door, pool: CountingPool) -> None:
    """A password that could not be checked, because the server was busy, is no wrong one."""
    bob = await door.account()
    await door.refusal(bob)
    door.passwords = PortalPasswords.behind(
        Bcrypt(reactor, COST, 1, 4, pool), door.lockout, door.store
    )
    pool.keep_busy()
    waiting = soon(door.passwords.login("bob", bob, "secret", AWAY))
    for _ in range(5):
        busy = "Many are logging in just now, please try again in a moment."
        assert await door.refusal(bob, "secret") == busy
    pool.proceed()
    await waiting

    assert await door.refusal(bob) == "Wrong password, 1 try left."


@in_reactor
async def test_hash_is_renewed_at_login(door: Door, pool: CountingPool) -> None:
    """After a change of the cost, a login stores a new hash; a wrong password doesn't."""
    bob = await door.account()
    door.hashing = Bcrypt(reactor, COST + 1, 0, 4, pool)
    door.start()
    assert await door.refusal(bob) == "Wrong password, 2 tries left."
    assert door.store.accounts[bob.key] == bob

    renewed = await door.login(bob)

    assert renewed == attrs.evolve(bob, password=renewed.password)
    assert renewed.password.startswith(f"chatd1:$2b$0{COST + 1}$")
    assert door.store.accounts[bob.key] == renewed
    assert await door.login(renewed) == renewed


@in_reactor
async def test_short_password_from_before(door: Door, pool: CountingPool) -> None:
    """A password that is too short for today's rule still lets its owner in, and is renewed."""
    bob = await door.account(password="four")
    door.hashing = Bcrypt(reactor, COST + 1, 0, 8, pool)
    door.start()

    renewed = await door.login(bob, "four")

    assert not door.hashing.outdated(renewed.password)


@attrs.define(eq=False)
class FullStore(MemoryStore):
    """A store that takes no new password."""

    def set_password(self, account: Account, password: str) -> Deferred[None]:
        """Fail as on a full disk."""
        return fail(NotStored())


@in_reactor
async def test_hash_that_can_not_be_renewed(door: Door, pool: CountingPool) -> None:
    """Where the new hash can't be stored, the right password lets in all the same."""
    door.store = FullStore()
    bob = await door.account()
    door.hashing = Bcrypt(reactor, COST + 1, 0, 4, pool)
    door.start()

    assert await door.login(bob) == bob


@in_reactor
async def test_invented_password_lets_somebody_in(door: Door) -> None:
    """A password that the server made up for somebody is his password."""
    password, hashed = await soon(door.passwords.invent())
    bob = attrs.evolve(await door.account(), password=hashed)

    assert await soon(door.passwords.login("bob", bob, password, HOME)) == bob
