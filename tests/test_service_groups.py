"""The whole server in the test's own process: groups, mail and a members file."""

import sqlite3

import pytest_twisted

from chatd.config import Accounts, Store
from tests.sockets import LOBBY, Servers, eventually

ensure = pytest_twisted.ensureDeferred


@ensure  # type: ignore[untyped-decorator]
async def test_group_after_a_restart(servers: Servers) -> None:
    """A group, its members and what was said while one of them was away outlive a restart."""
    first = servers.start(LOBBY)
    alice, bob = await servers.connect(first), await servers.connect(first)
    await alice.login("alice")
    await bob.login("bob")
    bob.send("quit\n")
    await bob.rest()
    alice.send("create team bob\nenter team\nis bob there?\n/message bob hello\n")
    await alice.until("will be delivered when bob is back.\r\n")
    await servers.stop(first)
    second = servers.start(LOBBY)
    bob = await servers.connect(second)
    bob.send("bob\nsecret\n")
    assert await bob.until("hello\r\n") == (
        "chatd: lobby, 0 online.\r\nName: Password: "
        "[Server message (TIME)] Welcome to chatd, bob. Type help for the commands.\r\n"
        "[Server message (TIME)] You have 3 messages from while you were away.\r\n"
        "[Server message (TIME)] alice has made the group team, with you in it.\r\n"
        "[alice @team (TIME)] is bob there?\r\n"
        "[alice to you (TIME)] hello\r\n"
    )
    bob.send("groups\n")
    assert await bob.until("\r\n") == "[Server message (TIME)] team: alice (admin), bob.\r\n"


@ensure  # type: ignore[untyped-decorator]
async def test_members_file(servers: Servers) -> None:
    """Only who is in the file gets in, with its groups; who is taken out of it is out at once."""
    servers.state.mkdir()
    file = servers.state / "members.txt"
    file.write_text("bob secret class\ncarol secret class\n")
    service = servers.start(LOBBY, accounts=Accounts(bcrypt_cost=4, members="members.txt"))
    bob = await servers.connect(service)
    bob.send("bob\nsecret\ngroups\n")
    heard = await bob.until("carol.\r\n")
    assert heard.splitlines()[-1] == "[Server message (TIME)] class: bob (admin), carol."
    assert "secret" not in file.read_text()

    stranger = await servers.connect(service)
    stranger.send("dave\nsecret\n")
    told = await stranger.until("left.\r\n")
    assert told.endswith("Password: [Server message (TIME)] Wrong password, 2 tries left.\r\n")

    bob.send("password\nsecret\nnewsecret\nnewsecret\n")
    await bob.until("Your password is changed.\r\n")
    others = [line for line in file.read_text().splitlines() if "bob" not in line]
    file.write_text("\n".join(others))
    carol = await servers.connect(service)
    carol.send("carol\nsecret\ngroups\n")
    heard = await carol.until("(admin).\r\n")
    assert heard.splitlines()[-1] == "[Server message (TIME)] class: carol (admin)."
    assert (await bob.rest()).splitlines()[-1] == (
        "[Server message (TIME)] You are not a member of this server any more. Goodbye."
    )


@ensure  # type: ignore[untyped-decorator]
async def test_members_file_that_is_mended(servers: Servers) -> None:
    """A group that is in the file no more ends, and the server goes on where a line is wrong."""
    servers.state.mkdir()
    file = servers.state / "members.txt"
    file.write_text("bob secret class\nbroken\n")
    service = servers.start(LOBBY, accounts=Accounts(bcrypt_cost=4, members="members.txt"))
    bob = await servers.connect(service)
    bob.send("bob\nsecret\ngroups\n")
    await bob.until("class: bob (admin).\r\n")
    file.write_text(file.read_text().replace(" class", "").replace("broken\n", "carol secret\n"))
    carol = await servers.connect(service)
    carol.send("carol\nsecret\n")
    await carol.until("Welcome to chatd, carol.")
    bob.send("groups\n")
    assert "[Server message (TIME)] You are in no group.\r\n" in await bob.until("in no group.\r\n")


@ensure  # type: ignore[untyped-decorator]
async def test_old_lines_of_groups_and_inboxes(servers: Servers) -> None:
    """A start forgets what groups and inboxes need not keep, but no message that is not read."""
    service = servers.start(LOBBY)
    alice, bob = await servers.connect(service), await servers.connect(service)
    await alice.login("alice")
    await bob.login("bob")
    bob.send("quit\n")
    await bob.rest()
    alice.send("create team\nenter team\n" + "line\n" * 5 + "/message bob hi\n" * 5)
    for _ in range(5):
        await alice.until("will be delivered when bob is back.\r\n")
    await servers.stop(service)
    service = servers.start(LOBBY, store=Store(keep_lines=2, keep_days=0))

    def lines() -> list[tuple[str, int]]:
        query = (
            "SELECT room.kind, count(*) FROM line JOIN room ON room.id = line.room "
            "GROUP BY room.kind ORDER BY room.kind"
        )
        with sqlite3.connect(servers.state / "chatd.db") as connection:
            return connection.execute(query).fetchall()

    await eventually(lambda: lines() == [("group", 2), ("inbox", 5)])
