"""A new configuration for a server that runs: its channels and ports, and whom it leaves alone."""

import socket
import sqlite3
import stat
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, gatherResults

from chatd.config import Channel, Door, Limits, Log, Store
from chatd.configfile import ConfigError, Problem
from chatd.domain.errors import BadConfiguration, TooBusy
from chatd.server import ChatService
from tests.conftest import LoggedErrors
from tests.sockets import GENERAL, LOBBY, Client, Servers, free_port, port_of, reactor
from tests.test_service import stored

ensure = pytest_twisted.ensureDeferred

RANDOM = Channel("random", ("tcp:0",))
NOTHING = ("Nothing has changed.",)


async def inside(servers: Servers, service: ChatService, name: str, way: int = 0) -> Client:
    """Somebody who has come in by one of the ways, and has read all he was told."""
    client = await servers.connect(service, way)
    await client.login(name)
    await listed(client)
    return client


async def listed(client: Client) -> str:
    """What somebody is told for /list."""
    client.send("/list\n/nonsense\n")
    told = await client.until("nonsense", "\r\n")
    return "".join(line for line in told.splitlines(True) if line.startswith("[Channel]"))


async def refusal(servers: Servers, service: ChatService, *ways: Channel | Door) -> str:
    """What a configuration is refused for."""
    with pytest.raises(BadConfiguration) as raised:
        await servers.rehash(service, *ways)
    return str(raised.value).removesuffix("\nNothing was changed.")


def seqs(servers: Servers) -> list[tuple[int, str]]:
    """The lines in the database with their numbers."""
    with sqlite3.connect(servers.state / "chatd.db") as connection:
        return list(connection.execute("SELECT seq, text FROM line ORDER BY seq"))


@ensure  # type: ignore[untyped-decorator]
async def test_nothing(servers: Servers) -> None:
    """The same configuration again changes nothing, and says so."""
    service = servers.start(GENERAL, LOBBY)
    before = [port_of(service), port_of(service, 1)]
    assert await servers.rehash(service, GENERAL, LOBBY) == NOTHING
    assert [port_of(service), port_of(service, 1)] == before


@ensure  # type: ignore[untyped-decorator]
async def test_without_a_file(servers: Servers) -> None:
    """A server that runs without a file has nothing to read again."""
    service = ChatService(servers.configuration(GENERAL), reactor)
    servers.running.append(service)
    service.startService()
    assert await service.rehash() == NOTHING


@ensure  # type: ignore[untyped-decorator]
async def test_new_channel(servers: Servers) -> None:
    """A new channel is there at once, in its place in the list; everybody stays where he is."""
    service = servers.start(GENERAL)
    alice = await inside(servers, service, "alice")
    assert await servers.rehash(service, RANDOM, GENERAL) == ("channel random: opened on tcp:0",)
    bob = await inside(servers, service, "bob")
    assert await listed(alice) == "[Channel] random 1/100/0.\r\n[Channel] general 1/100/0.\r\n"
    bob.send("hello\n")
    assert await bob.until("hello\r\n") == "[bob (TIME)] hello\r\n"
    assert stored(servers) == ["hello"]


@ensure  # type: ignore[untyped-decorator]
async def test_channel_closed(servers: Servers) -> None:
    """Who is in a channel that is closed, or waits for it, or logs in there, is in the lobby."""
    service = servers.start(attrs.evolve(RANDOM, capacity=1), GENERAL)
    alice, bob = await inside(servers, service, "alice"), await servers.connect(service)
    bob.send("bob\nsecret\nsecret\n")
    await bob.until("0 user(s) ahead of you.\r\n")
    carol = await servers.connect(service)
    await carol.until("Name: ")
    dave = await inside(servers, service, "dave", way=1)
    assert await servers.rehash(service, GENERAL) == (
        "channel random: closed; 2 people are in the lobby now",
    )
    closed = "[Server message (TIME)] The channel random is closed.\r\n"
    assert await alice.until("closed.\r\n") == closed
    assert await bob.until("closed.\r\n") == closed
    assert "Welcome to chatd, carol" in await carol.login("carol")
    for client, here in ((alice, 2), (bob, 3), (carol, 4)):
        client.send("switch general\n")
        await client.until("Welcome to the general channel", "\r\n")
        assert f"[Channel] general {here}/100/0.\r\n" in await listed(client)
    dave.send("/switch random\n")
    assert (await dave.until("exist.\r\n")).endswith("random does not exist.\r\n")


@ensure  # type: ignore[untyped-decorator]
async def test_channel_closed_and_opened_again(servers: Servers) -> None:
    """A channel that comes back has its old lines, and none of its old people."""
    service = servers.start(RANDOM, GENERAL)
    alice = await inside(servers, service, "alice")
    alice.send("before\n")
    await alice.until("before\r\n")
    session: Any = next(iter(service.hub.sessions))
    session.receive("last words")
    await servers.rehash(service, GENERAL)
    await servers.rehash(service, GENERAL, RANDOM)
    await alice.until("last words\r\n", "closed.\r\n")
    bob = await inside(servers, service, "bob", way=1)
    bob.send("after\n")
    await bob.until("after\r\n")
    assert seqs(servers) == [(1, "before"), (2, "last words"), (3, "after")]
    assert "[Channel] random 1/100/0.\r\n" in await listed(alice)


@ensure  # type: ignore[untyped-decorator]
async def test_other_way_of_writing(servers: Servers) -> None:
    """A channel that is only written in another case is the same one, and called as it was."""
    service = servers.start(GENERAL)
    alice = await inside(servers, service, "alice")
    shouted = attrs.evolve(GENERAL, name="GENERAL")
    told = ("channel general, name: takes effect at the next start",)
    assert await servers.rehash(service, shouted) == told
    assert await servers.rehash(service, shouted) == told
    assert await listed(alice) == "[Channel] general 1/100/0.\r\n"


@ensure  # type: ignore[untyped-decorator]
async def test_capacity(servers: Servers) -> None:
    """More places let the queue in; fewer put nobody out, and let nobody in before there is one."""
    service = servers.start(attrs.evolve(GENERAL, capacity=1))
    alice, bob = await inside(servers, service, "alice"), await servers.connect(service)
    bob.send("bob\nsecret\nsecret\n")
    await bob.until("0 user(s) ahead of you.\r\n")
    larger, smaller = attrs.evolve(GENERAL, capacity=2), attrs.evolve(GENERAL, capacity=1)
    assert await servers.rehash(service, larger) == ("channel general, capacity: 1, now 2",)
    await bob.until("Welcome to the general channel, bob.\r\n")
    await servers.rehash(service, smaller)
    carol = await servers.connect(service)
    carol.send("carol\nsecret\nsecret\n")
    await carol.until("0 user(s) ahead of you.\r\n")
    assert "[Channel] general 2/1/1.\r\n" in await listed(alice)
    bob.send("/quit\n")
    await bob.rest()
    assert "[Channel] general 1/1/1.\r\n" in await listed(alice)
    alice.send("/quit\n")
    await carol.until("Welcome to the general channel, carol.\r\n")


@ensure  # type: ignore[untyped-decorator]
async def test_history(servers: Servers) -> None:
    """What is said while a channel keeps no history is not stored; then the numbers go on."""
    service = servers.start(GENERAL)
    alice = await inside(servers, service, "alice")
    off = attrs.evolve(GENERAL, history=False)
    for text, channel in (("one", off), ("two", GENERAL), ("three", off), ("four", GENERAL)):
        alice.send(f"{text}\n")
        await alice.until(f"{text}\r\n")
        assert len(await servers.rehash(service, channel)) == 1
    alice.send("five\n")
    await alice.until("five\r\n")
    assert seqs(servers) == [(1, "one"), (2, "three"), (3, "five")]


@ensure  # type: ignore[untyped-decorator]
async def test_port_of_another_channel(servers: Servers) -> None:
    """A port that was one channel's and is another's now leads there; who is inside stays."""
    here = f"tcp:{free_port()}"
    service = servers.start(attrs.evolve(GENERAL, listen=(here,)), LOBBY)
    port = port_of(service)
    alice = await inside(servers, service, "alice")
    assert await servers.rehash(service, GENERAL, Channel("random", (here,)), LOBBY) == (
        f'channel general, listen: "{here}", now "tcp:0"',
        f"channel random: opened on {here}",
    )
    assert await (await servers.connect(service, 1)).until("Name: ") == (
        "chatd: channel random, 0 of 100 here.\r\nName: "
    )
    assert port_of(service, 1) == port != port_of(service)
    assert "[Channel] general 1/100/0.\r\n" in await listed(alice)


@ensure  # type: ignore[untyped-decorator]
async def test_closed_port(servers: Servers) -> None:
    """Nobody comes in where a port is closed; who came in there before talks on."""
    service = servers.start(GENERAL, LOBBY)
    port = port_of(service, 1)
    alice = await inside(servers, service, "alice", way=1)
    assert await servers.rehash(service, GENERAL) == ("door line: closed on tcp:0",)
    with pytest.raises(ConnectionRefusedError), socket.socket() as call:
        call.connect(("127.0.0.1", port))
    alice.send("switch general\nhello\n")
    assert "hello" in await alice.until("hello\r\n")


@ensure  # type: ignore[untyped-decorator]
async def test_other_address(servers: Servers) -> None:
    """Another host moves every port that names none itself, also where the two overlap."""
    channel = Channel("general", (f"tcp:{free_port()}",))
    service = servers.start(channel)
    before = port_of(service)
    alice = await inside(servers, service, "alice")
    told = await servers.rehash(service, channel, host="127.0.0.2")
    assert told == ('host: "127.0.0.1", now "127.0.0.2"',)
    (entrance,) = service.openings.entrances()
    assert entrance.address == IPv4Address("TCP", "127.0.0.2", before)
    assert await listed(alice) == "[Channel] general 1/100/0.\r\n"


@ensure  # type: ignore[untyped-decorator]
async def test_unix_socket(servers: Servers, tmp_path: Path) -> None:
    """A unix socket can have another mode, and be there no more; who came through it stays."""
    path = tmp_path / "socket"
    service = servers.start(Door("line", (f"unix:{path}",)))
    alice = await inside(servers, service, "alice")
    await servers.rehash(service, Door("line", (f"unix:{path}:mode=600",)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    bob = await inside(servers, service, "bob")
    await servers.rehash(service, GENERAL)
    assert not path.exists()
    for client in (alice, bob):
        assert await listed(client) == "[Channel] general 0/100/0.\r\n"


@ensure  # type: ignore[untyped-decorator]
async def test_port_taken(servers: Servers) -> None:
    """Where a port can't be had nothing is changed, and it is told which and why."""
    service = servers.start(GENERAL, limits=Limits(burst=50))
    alice = await inside(servers, service, "alice")
    before = port_of(service)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"tcp:{other.getsockname()[1]}"
        servers.wanted = servers.configuration(Channel("random", (taken,)), limits=Limits(burst=7))
        with pytest.raises(BadConfiguration) as raised:
            await service.rehash()
    assert str(raised.value) == (
        f"{taken}:interface=127.0.0.1: Address already in use\nNothing was changed."
    )
    assert port_of(service) == before
    assert service.hub.rules.burst == 50
    assert await listed(alice) == "[Channel] general 1/100/0.\r\n"
    assert await servers.rehash(service, GENERAL) == NOTHING


@ensure  # type: ignore[untyped-decorator]
async def test_bad_file(servers: Servers) -> None:
    """A file with mistakes is refused with all of them, and everything is as it was."""
    service = servers.start(GENERAL)
    alice = await inside(servers, service, "alice")
    servers.wanted = ConfigError(
        "chatd.toml", [Problem(3, "host", "is empty"), Problem(1, "", "bad")]
    )
    with pytest.raises(BadConfiguration) as raised:
        await service.rehash()
    assert str(raised.value) == (
        "chatd.toml:1: bad\nchatd.toml:3: host: is empty\nNothing was changed."
    )
    assert await listed(alice) == "[Channel] general 1/100/0.\r\n"


@ensure  # type: ignore[untyped-decorator]
async def test_database_that_cannot_be_written_to(
    servers: Servers, logged_errors: LoggedErrors
) -> None:
    """A channel whose lines could not be stored is not opened."""
    service = servers.start(GENERAL)
    await inside(servers, service, "alice")  # by now the old lines are forgotten
    with sqlite3.connect(servers.state / "chatd.db") as connection:
        connection.execute("DROP TABLE room")
    assert await refusal(servers, service, GENERAL, RANDOM) == "The database can't be written to."
    assert [str(channel.name) for channel in service.hub.channels.all()] == ["general"]
    assert len(logged_errors.flush()) == 1


@ensure  # type: ignore[untyped-decorator]
async def test_next_start(servers: Servers) -> None:
    """What only a start can change is told as long as it is not in force."""
    service = servers.start(GENERAL)
    later = {"store": Store(url="sqlite:///other.db"), "log": Log(format="json")}
    for _ in range(2):
        assert await servers.rehash(service, GENERAL, **later, state="/nowhere") == (
            "state: takes effect at the next start",
            "store.url: takes effect at the next start",
            "log.format: takes effect at the next start",
        )
    assert await servers.rehash(service, GENERAL) == NOTHING


@ensure  # type: ignore[untyped-decorator]
async def test_two_at_once(servers: Servers) -> None:
    """Of two at once the second waits, and reads what is in the file then."""
    service = servers.start(GENERAL)
    servers.wanted = servers.configuration(GENERAL, RANDOM)
    first, second = (Deferred.fromCoroutine(service.rehash()) for _ in range(2))
    servers.wanted = servers.configuration(GENERAL)
    both = gatherResults([first, second])
    assert await both.addTimeout(5, reactor) == [
        ("channel random: opened on tcp:0",),
        ("channel random: closed",),
    ]


@ensure  # type: ignore[untyped-decorator]
async def test_stop_meanwhile(servers: Servers) -> None:
    """A stop waits for a rehash that is under way; one that is asked for later is refused."""
    service = servers.start(GENERAL)
    servers.wanted = servers.configuration(GENERAL, RANDOM)
    done = Deferred.fromCoroutine(service.rehash())
    await servers.stop(service)
    assert await done == ("channel random: opened on tcp:0",)
    with pytest.raises(TooBusy):
        await service.rehash()


@ensure  # type: ignore[untyped-decorator]
async def test_many_people(servers: Servers) -> None:
    """Of a great many people nobody is dropped, whatever changes, and all hear each other on."""
    limits = Limits(connections_per_address=0, waiting_logins=0)
    work = Channel("work", ("tcp:0",), capacity=500)
    service = servers.start(work, RANDOM, limits=limits)
    first = [await servers.connect(service) for _ in range(100)]
    second = [await servers.connect(service, way=1) for _ in range(20)]
    for number, client in enumerate((*first, *second)):
        client.send(f"user{number}\nsecret\nsecret\n")
    for client in (*first, *second):
        await client.until("Welcome to", "\r\n")
    told = await servers.rehash(
        service,
        attrs.evolve(work, capacity=5, afk_seconds=1000, listen=("tcp:0:backlog=9",)),
        LOBBY,
        limits=attrs.evolve(limits, connections=7),
    )
    assert told == (
        "channel random: closed; 20 people are in the lobby now",
        'channel work, listen: "tcp:0", now "tcp:0:backlog=9"',
        "channel work, capacity: 500, now 5",
        "channel work, afk_seconds: 100, now 1000",
        "door line: opened on tcp:0",
        "limits.connections: 20000, now 7",
    )
    first[0].send("hello\n")
    for client in first:
        await client.until("hello\r\n")
    for client in second:
        await client.until("The channel random is closed.\r\n")
    assert len(service.hub.sessions) == 120
