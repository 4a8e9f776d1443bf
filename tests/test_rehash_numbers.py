"""A new configuration for a server that runs: who gets in, and how much one may ask for."""

import attrs
import pytest_twisted

from chatd.config import Accounts, Limits
from chatd.domain.session import Session
from tests.sockets import GENERAL, LOBBY, Servers, eventually
from tests.test_rehash import NOTHING, inside, listed

ensure = pytest_twisted.ensureDeferred

QUICK = Accounts(bcrypt_cost=4)


@ensure  # type: ignore[untyped-decorator]
async def test_connections(servers: Servers) -> None:
    """Other numbers of connections hold for those who come from then on."""
    service = servers.start(LOBBY)
    for _ in range(2):
        await (await servers.connect(service)).until("Name: ")
    told = await servers.rehash(service, LOBBY, limits=Limits(connections_per_address=1))
    assert told == ("limits.connections_per_address: 64, now 1",)
    refused = await servers.connect(service)
    assert "too many connections from your address" in await refused.rest()
    await servers.rehash(service, LOBBY, limits=Limits(connections=3))
    await (await servers.connect(service)).until("Name: ")
    assert "The server is full" in await (await servers.connect(service)).rest()


@ensure  # type: ignore[untyped-decorator]
async def test_limits(servers: Servers) -> None:
    """The limits of a connection are those of the time at which it came."""
    service = servers.start(GENERAL)
    alice = await inside(servers, service, "alice")
    new = Limits(line_bytes=50, lines_per_second=1, burst=100, backlog_bytes=1, journal_bytes=7)
    assert await servers.rehash(service, GENERAL, limits=new) == (
        "limits.line_bytes: 4096, now 50",
        "limits.lines_per_second: 10, now 1",
        "limits.burst: 50, now 100",
        "limits.backlog_bytes: 262144, now 1",
        "limits.journal_bytes: 131072, now 7",
    )
    bob = await inside(servers, service, "bob")
    for client, length in ((alice, 60), (bob, 40)):
        client.send(f"{'x' * length}\n")
        await client.until(f"{'x' * length}\r\n")
    bob.send(f"{'x' * 60}\n")
    await bob.until("longer than 50 bytes", "\r\n")
    assert [opening.reception.backlog_bytes for opening in service.openings.ways] == [1]
    assert service.journal.most == 7


@ensure  # type: ignore[untyped-decorator]
async def test_more_may_wait(servers: Servers) -> None:
    """Who was held because too much waited to be stored goes on once more may wait."""
    service = servers.start(GENERAL, limits=Limits(journal_bytes=1))
    alice = await inside(servers, service, "alice")
    (session,) = service.hub.sessions
    assert isinstance(session, Session)
    session.receive("one")
    session.receive("two")
    assert await servers.rehash(service, GENERAL, limits=Limits(journal_bytes=0)) != NOTHING
    assert "one" in await alice.until("two\r\n")


@ensure  # type: ignore[untyped-decorator]
async def test_who_gets_in(servers: Servers) -> None:
    """Registration, guests and second logins are as they are configured now."""
    service = servers.start(LOBBY)
    first = await inside(servers, service, "alice")
    accounts = attrs.evolve(QUICK, register="closed", guests=True, session="replace")
    told = await servers.rehash(service, LOBBY, accounts=accounts, name="other")
    assert told == (
        'name: "chatd", now "other"',
        'accounts.register: "open", now "closed"',
        "accounts.guests: false, now true",
        'accounts.session: "refuse", now "replace"',
    )
    guest = await servers.connect(service)
    assert (await guest.until("Name: ")).startswith("other: lobby, 1 online.")
    guest.send("zoe\n")
    await guest.until("Welcome to other, zoe.")
    again = await servers.connect(service)
    again.send("alice\nsecret\n")
    await again.until("Welcome to other, alice.")
    assert "You have logged in from another place." in await first.rest()


@ensure  # type: ignore[untyped-decorator]
async def test_operators(servers: Servers) -> None:
    """Somebody online is an operator as soon as he is one in the file, and as long."""
    service = servers.start(LOBBY)
    alice = await inside(servers, service, "alice")
    for operators, answer in (((), "for operators"), (("Alice",), "Nothing has changed.")):
        if operators:
            await servers.rehash(service, LOBBY, accounts=attrs.evolve(QUICK, operators=operators))
        alice.send("rehash\n")
        assert answer in await alice.until("\r\n")
    await servers.rehash(service, LOBBY)
    alice.send("rehash\n")
    assert "for operators" in await alice.until("\r\n")


@ensure  # type: ignore[untyped-decorator]
async def test_passwords(servers: Servers) -> None:
    """Length, cost and lock are as they are configured now; nobody needs another password."""
    service = servers.start(LOBBY)
    alice = await inside(servers, service, "alice")
    alice.send("quit\n")
    await alice.rest()
    accounts = attrs.evolve(
        QUICK, password_length=8, bcrypt_cost=5, lockout_tries=1, lockout_seconds=7
    )
    limits = Limits(waiting_logins=9)
    assert len(await servers.rehash(service, LOBBY, accounts=accounts, limits=limits)) == 5
    bob = await servers.connect(service)
    bob.send("bob\nsecret\nsecret\n")
    await bob.until("A password has at least 8 characters.")
    other = await servers.connect(service)
    other.send("alice\nwrong\n")
    assert "7 seconds" in await other.rest()


@ensure  # type: ignore[untyped-decorator]
async def test_members(servers: Servers) -> None:
    """A members file can be made the only way in, be another one, and be none any more."""
    service = servers.start(LOBBY)
    alice, bob = await inside(servers, service, "alice"), await inside(servers, service, "bob")
    for name, text in (("one", "alice secret\n"), ("two", "zoe secret\n")):
        (servers.state / name).write_text(text)
    closed = attrs.evolve(QUICK, members="one")
    assert await servers.rehash(service, LOBBY, accounts=closed) == (
        'accounts.members: "", now "one"',
    )
    assert "You are not a member of this server any more." in await bob.rest()
    assert await listed(alice) == ""
    await servers.rehash(service, LOBBY, accounts=attrs.evolve(QUICK, members="two"))
    assert "You are not a member of this server any more." in await alice.rest()
    zoe = await servers.connect(service)
    zoe.send("zoe\nsecret\n")
    await zoe.until("Welcome to chatd, zoe.")
    assert len(await servers.rehash(service, LOBBY)) == 1
    alice = await servers.connect(service)
    alice.send("alice\nsecret\n")
    await alice.until("Welcome to chatd, alice.")
    (servers.state / "two").write_text("# nobody\n")
    await eventually(lambda: service.hub.members is None)
