"""The whole server in the test's own process: its sockets, its limits and its stop."""

import select
import socket
import sqlite3
from pathlib import Path
from typing import Any

import attrs
import pytest_twisted

from chatd.config import Door, Limits, Store
from chatd.domain.session import Session
from tests.conftest import LoggedErrors
from tests.sockets import GENERAL, LOBBY, Servers, eventually

ensure = pytest_twisted.ensureDeferred


def stored(servers: Servers) -> list[str]:
    """The lines in the database."""
    with sqlite3.connect(servers.state / "chatd.db") as connection:
        return [row[0] for row in connection.execute("SELECT text FROM line ORDER BY seq")]


@ensure  # type: ignore[untyped-decorator]
async def test_register_and_talk(servers: Servers) -> None:
    """Somebody opens an account, enters the channel and is heard by everyone in it."""
    service = servers.start(GENERAL)
    alice, bob = await servers.connect(service), await servers.connect(service)
    assert await alice.until("Name: ") == "chatd: channel general, 0 of 100 here.\r\nName: "
    alice.send("alice\n")
    assert await alice.until("New password: ") == (
        "There is no account alice yet. Choose a password to open one, "
        "or an empty line to give another name.\r\nNew password: "
    )
    alice.send("secret\n")
    assert await alice.until("Again: ") == "Again: "
    alice.send("secret\n")
    assert await alice.until("joined the channel.\r\n") == (
        "[Server message (TIME)] Welcome to the general channel, alice.\r\n"
        "[Server message (TIME)] alice has joined the channel.\r\n"
    )
    await bob.login("bob")
    alice.send("hello\n")
    joined, said = "[Server message (TIME)] bob has joined the channel.\r\n", "[alice (TIME)] hello"
    assert await bob.until("hello\r\n") == f"{joined}{said}\r\n"
    assert await alice.until("hello\r\n") == f"{joined}{said}\r\n"
    assert stored(servers) == ["hello"]


@ensure  # type: ignore[untyped-decorator]
async def test_half_closed(servers: Servers) -> None:
    """Whoever sends everything and closes the sending side, as nc -N does, is answered it all."""
    service = servers.start(GENERAL)
    first = await servers.connect(service)
    await first.login("bob")
    first.send("/quit\n")
    await first.rest()
    bob = await servers.connect(service)
    bob.send("bob\nsecret\nhello\n/list")
    bob.transport.loseWriteConnection()
    assert await bob.rest() == (
        "chatd: channel general, 0 of 100 here.\r\nName: Password: "
        "[Server message (TIME)] Welcome to the general channel, bob.\r\n"
        "[Server message (TIME)] bob has joined the channel.\r\n"
        "[bob (TIME)] hello\r\n"
        "[Channel] general 1/100/0.\r\n"
        "[Server message (TIME)] Goodbye, bob.\r\n"
    )


@ensure  # type: ignore[untyped-decorator]
async def test_one_slow_reader(servers: Servers) -> None:
    """Somebody who stops reading is dropped, and told of; everybody else reads every line."""
    limits = Limits(lines_per_second=0, backlog_bytes=10_000)
    service = servers.start(GENERAL, limits=limits)
    alice, bob = await servers.connect(service), await servers.connect(service)
    await alice.login("alice")
    await bob.login("bob")
    await alice.until("bob has joined the channel.\r\n")
    bob.transport.pauseProducing()
    mark = "bob was dropped: too much was left unread.\r\n"
    heard, said, line = "", 0, "x" * 4000
    while mark not in heard:
        alice.send("".join(f"{said + n:06}{line}\n" for n in range(50)) + "/list\n")
        said += 50
        assert said < 10_000  # what the kernel's buffers take
        heard += await alice.until("[Channel]", "\r\n")
    texts = [one for one in heard.splitlines() if one.endswith(line)]
    assert texts == [f"[alice (TIME)] {n:06}{line}" for n in range(said)]
    assert f"{mark}[Server message (TIME)] bob has left the channel.\r\n" in heard


@ensure  # type: ignore[untyped-decorator]
async def test_limits_on_connections(servers: Servers) -> None:
    """Who is above a limit on connections is told so and closed, on every door alike."""
    limits = Limits(connections_per_address=2)
    service = servers.start(GENERAL, LOBBY, limits=limits)
    first = await servers.connect(service)
    second = await servers.connect(service, way=1)
    assert await second.until("Name: ") == "chatd: lobby, 0 online.\r\nName: "
    third = await servers.connect(service)
    assert await third.rest() == (
        "[Server message (TIME)] There are too many connections from your address.\r\n"
    )
    first.transport.loseWriteConnection()
    await first.rest()
    fourth = await servers.connect(service)
    assert await fourth.until("Name: ") == "chatd: channel general, 0 of 100 here.\r\nName: "


@ensure  # type: ignore[untyped-decorator]
async def test_unix_socket(servers: Servers, tmp_path: Path) -> None:
    """A door may be a unix socket, which has neither addresses nor ports."""
    service = servers.start(Door("line", (f"unix:{tmp_path / 'chatd.sock'}",)))
    bob = await servers.connect(service)
    assert await bob.login("bob") == (
        "chatd: lobby, 0 online.\r\nName: "
        "There is no account bob yet. Choose a password to open one, "
        "or an empty line to give another name.\r\nNew password: Again: "
        "[Server message (TIME)] Welcome to chatd, bob. Type help for the commands.\r\n"
    )


@ensure  # type: ignore[untyped-decorator]
async def test_stop(servers: Servers) -> None:
    """A stop says goodbye to everyone, logged in or not, and what was said is stored."""
    service = servers.start(GENERAL, LOBBY)
    alice, somebody = await servers.connect(service), await servers.connect(service, way=1)
    await alice.login("alice")
    await alice.until("joined the channel.\r\n")
    await somebody.until("Name: ")
    session = next(iter(service.hub.sessions))
    assert isinstance(session, Session)
    session.receive("last words")
    await servers.stop(service)
    assert await somebody.rest() == ("[Server message (TIME)] The server is stopping. Goodbye.\r\n")
    assert await alice.rest() == (
        "[alice (TIME)] last words\r\n[Server message (TIME)] The server is stopping. Goodbye.\r\n"
    )
    assert stored(servers) == ["last words"]


@ensure  # type: ignore[untyped-decorator]
async def test_stop_with_a_client_that_does_not_read(servers: Servers) -> None:
    """A client that reads nothing holds a stop up for no longer than a few seconds."""
    service = servers.start(LOBBY)
    bob = await servers.connect(service)
    await bob.login("bob")
    bob.transport.pauseProducing()
    await servers.stop(service)
    bob.transport.resumeProducing()
    assert await bob.rest() == "[Server message (TIME)] The server is stopping. Goodbye.\r\n"


@ensure  # type: ignore[untyped-decorator]
async def test_old_lines_are_forgotten(servers: Servers) -> None:
    """A start forgets the lines that need not be kept, some at a time, and keeps the last ones."""
    service = servers.start(GENERAL, limits=Limits(lines_per_second=0))
    alice = await servers.connect(service)
    await alice.login("alice")
    alice.send("".join(f"{n}\n" for n in range(1500)))
    await alice.until(")] 1499\r\n")
    await servers.stop(service)
    servers.start(GENERAL, store=Store(keep_lines=2, keep_days=0))
    await eventually(lambda: stored(servers) == ["1498", "1499"])


@ensure  # type: ignore[untyped-decorator]
async def test_history_switched_off(servers: Servers) -> None:
    """What is said in a channel without history is heard, and not stored."""
    service = servers.start(attrs.evolve(GENERAL, history=False))
    alice = await servers.connect(service)
    await alice.login("alice")
    alice.send("hello\n")
    await alice.until("hello\r\n")
    assert stored(servers) == []


@ensure  # type: ignore[untyped-decorator]
async def test_program_error(servers: Servers, logged_errors: LoggedErrors) -> None:
    """A mistake of the program is told by a number, logged under it, and the session lives on."""
    service = servers.start(GENERAL)
    bob = await servers.connect(service)
    await bob.login("bob")
    await bob.until("joined the channel.\r\n")
    with sqlite3.connect(servers.state / "chatd.db") as connection:
        connection.execute("DROP TABLE line")
    bob.send("/history\n")
    told = await bob.until("\r\n")
    (logged,) = logged_errors.flush()
    number = logged["number"]
    assert told == (
        "[Server message (TIME)] Something went wrong here. "
        f"The operator can look it up: {number}.\r\n"
    )
    bob.send("/list\n")
    assert await bob.until("\r\n") == "[Channel] general 1/100/0.\r\n"


@ensure  # type: ignore[untyped-decorator]
async def test_many_at_one_moment(servers: Servers) -> None:
    """A class that comes all at once is let in, and nobody has to knock a second time."""
    service = servers.start(GENERAL, limits=Limits(connections_per_address=0))
    (entrance,) = service.openings.entrances()
    address: Any = entrance.address
    # Nothing is accepted meanwhile: this function doesn't let the reactor turn.
    calls = [socket.socket() for _ in range(200)]
    for call in calls:
        call.setblocking(False)
        call.connect_ex(("127.0.0.1", address.port))
    _, connected, _ = select.select([], calls, [], 0)
    for call in calls:
        call.close()
    assert len(connected) == 200
