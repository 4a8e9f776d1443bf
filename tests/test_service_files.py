"""The whole server in the test's own process: what people are told of the files port."""

import attrs
import pytest
import pytest_twisted

from chatd.config import Door, Files
from chatd.server import ChatService
from tests.sockets import LOBBY, Client, Servers, port_of

ensure = pytest_twisted.ensureDeferred

FILES = Door("files", ("tcp:0",))


async def bob_and_alice(servers: Servers, service: ChatService) -> Client:
    """Alice, online in the lobby; bob has an account."""
    bob, alice = await servers.connect(service), await servers.connect(service)
    await bob.login("bob")
    bob.send("quit\n")
    await bob.rest()
    await alice.login("alice")
    return alice


async def place(client: Client) -> str:
    """Where alice is told to send a file to."""
    client.send("send bob notes.pdf\n")
    told = await client.until("curl", "\r\n")
    _, _, url = told.rpartition(" ")
    return url.rpartition("/")[0]


@ensure  # type: ignore[untyped-decorator]
@pytest.mark.parametrize(
    ("lobby", "files", "host", "told"),
    [
        ("tcp:0", "tcp:0", "", "http://127.0.0.1"),
        ("tcp:0", "tcp:0:interface=0.0.0.0", "", "http://127.0.0.1"),
        ("tcp:0:interface=0.0.0.0", "tcp:0:interface=0.0.0.0", "", "http://127.0.0.1"),
        ("tcp:0:interface=\\:\\:", "tcp:0:interface=\\:\\:", "", "http://127.0.0.1"),
        ("tcp:0", "tcp:0:interface=\\:\\:1", "", "http://[::1]"),
        ("tcp:0", "tcp:0", "files.example.org", "http://files.example.org"),
        ("unix:{state}/lobby", "tcp:0", "", "http://127.0.0.1"),
        ("unix:{state}/lobby", "tcp:0:interface=0.0.0.0", "", "http://localhost"),
    ],
)
async def test_place(servers: Servers, lobby: str, files: str, host: str, told: str) -> None:
    """A sender is told a place that he can reach, whatever way he has come himself."""
    servers.state.mkdir()
    ways = (
        attrs.evolve(LOBBY, listen=(lobby.format(state=servers.state),)),
        attrs.evolve(FILES, listen=(files,)),
    )
    service = servers.start(*ways, files=Files(host=host))
    alice = await bob_and_alice(servers, service)
    assert await place(alice) == f"{told}:{port_of(service, 1)}"


@ensure  # type: ignore[untyped-decorator]
async def test_no_place(servers: Servers) -> None:
    """Where there is no files port that people can be told, no file is taken."""
    servers.state.mkdir()
    for ways in ((LOBBY,), (LOBBY, Door("files", (f"unix:{servers.state}/files.socket",)))):
        service = servers.start(*ways)
        alice = await servers.connect(service)
        await alice.login("alice")
        alice.send("account\n")
        await alice.until("\r\n")
        bob = await servers.connect(service)
        await bob.login("bob")
        alice.send("send bob notes.pdf\n")
        assert await alice.until("\r\n") == (
            "[Server message (TIME)] This server takes no files.\r\n"
        )
        await servers.stop(service)
        for name in ("chatd.db", "chatd.db-wal", "chatd.db-shm"):
            (servers.state / name).unlink(missing_ok=True)


@ensure  # type: ignore[untyped-decorator]
async def test_other_limits(servers: Servers) -> None:
    """What a changed configuration says of files holds without a restart."""
    service = servers.start(LOBBY, FILES)
    alice = await bob_and_alice(servers, service)
    changes = Files(file_bytes=10, user_bytes=20, total_bytes=30, spare_bytes=0, ticket_minutes=1)
    told = await servers.rehash(service, LOBBY, FILES, files=changes)
    assert "files.file_bytes: 4294967296, now 10" in told
    alice.send("send bob a 11\n")
    assert await alice.until("\r\n") == (
        "[Server message (TIME)] A file has at most 10 bytes here.\r\n"
    )
    alice.send("send bob a 10\n")
    assert "within 60 seconds paste" in await alice.until("curl", "\r\n")


@ensure  # type: ignore[untyped-decorator]
async def test_scanner(servers: Servers) -> None:
    """What the operator's command refuses is refused on every side; so it is told at once."""
    scan = "sh -c 'echo \"$0: Eicar FOUND\"; exit 1'"
    service = servers.start(LOBBY, FILES, files=Files(scan=scan))
    alice = await bob_and_alice(servers, service)
    alice.send("send bob notes.pdf 5\n")
    ticket = (await alice.until("PUT ", " "))[-33:-1]
    await alice.until("curl", "\r\n")
    sender = await servers.connect(service, 1)
    sender.send(f"PUT {ticket}\nbytes")
    text = "notes.pdf was refused: notes.pdf: Eicar FOUND"
    assert await sender.rest() == f"ERROR {text}\n"
    assert await alice.until("\r\n") == f"[Server message (TIME)] {text}\r\n"
    assert list((servers.state / "files").iterdir()) == []


@ensure  # type: ignore[untyped-decorator]
async def test_orphans(servers: Servers) -> None:
    """What is in the directory of files and belongs to none is gone after a start."""
    first = servers.start(LOBBY, FILES)
    alice = await bob_and_alice(servers, first)
    alice.send("send bob notes.pdf 9\n")
    ticket = (await alice.until("PUT ", " "))[-33:-1]
    sender = await servers.connect(first, 1)
    sender.send(f"PUT {ticket} 9\nhalf")
    sender.transport.loseWriteConnection()
    assert await sender.rest() == ("ERROR 4 of 9 bytes are here: the same ticket goes on from 4.\n")
    await servers.stop(first)
    directory = servers.state / "files"
    (known,) = directory.iterdir()
    (directory / ("0" * 32)).write_bytes(b"orphan")

    second = servers.start(LOBBY, FILES)
    assert list(directory.iterdir()) == [known]
    sender = await servers.connect(second, 1)
    sender.send(f"PUT {ticket} 9 4\n done")
    sender.transport.loseWriteConnection()
    assert (await sender.rest()).startswith("OK 9 ")
    assert known.read_bytes() == b"half done"
