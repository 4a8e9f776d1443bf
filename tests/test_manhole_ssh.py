"""SSH without a socket: what strangers may cost, and what counts as a signature."""

import struct
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key
from twisted.cred.credentials import SSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from chatd.domain.events import Seen
from chatd.domain.limits import Gate
from chatd.domain.names import Name
from chatd.domain.records import Ban
from chatd.doors.manhole import Settings, open_door
from chatd.doors.reception import Reception
from chatd.doors.ssh import Connection, Transport
from chatd.doors.sshkeys import AuthorizedKeys, ListedKey, fingerprint
from chatd.doors.sshlogin import KeyHolders
from tests.fakes import World

VERSION = b"SSH-2.0-test\r\n"
BLOB = b"alice's key"
SK = b"sk-ssh-ed25519@openssh.com"


@attrs.define(eq=False)
class Doorway:
    """The door of a world, and whoever knocks."""

    world: World
    state: Path
    gate: Gate = attrs.field(factory=lambda: Gate(0, 0))
    settings: Settings = attrs.field(factory=lambda: Settings("admins.pub"))
    reception: Reception = attrs.field(init=False)
    service: Any = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reception = Reception(self.world.hub, self.gate, "manhole", 0, None, self.state)
        self.service = open_door(self.settings, self.reception)
        self.reception.factory.doStart()

    def knock(self, host: str = "10.0.0.1") -> "Caller":
        """A new connection."""
        protocol = self.reception.factory.buildProtocol(IPv4Address("TCP", host, 1234))
        assert isinstance(protocol, Transport)
        transport = StringTransportWithDisconnection()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return Caller(protocol, transport)

    def refusals(self) -> list[str]:
        """What strangers were refused, as operators see it."""
        return [f"{seen.who}, {seen.text}" for seen in self.world.seen]


@attrs.define(eq=False)
class Caller:
    """Who is at the door."""

    protocol: Transport
    transport: StringTransportWithDisconnection

    def send(self, data: bytes) -> None:
        """Send something."""
        self.protocol.dataReceived(data)

    def agree(self) -> None:
        """Be where a key exchange leads, but for the encryption."""
        self.send(VERSION)
        self.protocol.sessionID = b"session"

    def log_in(self) -> None:
        """Be where a login as alice leads."""
        self.agree()
        protocol: Any = self.protocol
        protocol.avatar = ListedKey(Name("alice"), BLOB, Key(None), ())
        protocol.logoutFunction = lambda: None
        protocol.setService(Connection())  # type: ignore[no-untyped-call]

    @property
    def gone(self) -> bool:
        """Whether the connection is closed."""
        return not self.transport.connected


@pytest.fixture
def doorway(world: World, tmp_path: Path) -> Doorway:
    """The door as it is by default."""
    return Doorway(world, tmp_path)


def test_silence(doorway: Doorway, clock: Clock) -> None:
    """Who doesn't log in is put out after a minute, whatever he has sent by then."""
    silent, slow = doorway.knock(), doorway.knock()
    slow.send(VERSION)
    clock.advance(59)
    assert not silent.gone
    assert len(doorway.gate) == 2
    clock.advance(1)
    assert silent.gone
    assert slow.gone
    assert len(doorway.gate) == 0
    told = "10.0.0.1, manhole: closed: the login took too long"
    assert doorway.refusals() == [told, told]


def packet(kind: int, payload: bytes = b"") -> bytes:
    """A packet as it is before there are keys."""
    body = bytes((kind,)) + payload
    padding = 8 - (5 + len(body)) % 8 + 8
    return struct.pack(">LB", 1 + len(body) + padding, padding) + body + bytes(padding)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00" * 1000,
        VERSION + b"\xff" * 100,
        VERSION + packet(20),  # a key exchange without a word in it
        VERSION + packet(30, NS(b"x" * 32)),  # a key before the exchange
        VERSION + packet(21),  # new keys before the exchange
        VERSION + packet(1),  # a goodbye without a reason
        VERSION + packet(5),  # a service without a name
        b"SSH-1.5-old\r\n",
        b"SSH-\r\n",
    ],
)
def test_garbage(doorway: Doorway, sent: bytes) -> None:
    """What is no SSH ends the connection, and is one line in the log."""
    caller = doorway.knock()
    caller.send(sent)
    assert caller.gone
    assert len(doorway.refusals()) == 1
    assert doorway.world.incidents == []
    assert len(doorway.gate) == 0


@pytest.mark.parametrize("sent", [b"", b"SSH-2", VERSION, VERSION + packet(3, bytes(4))])
def test_leaving(doorway: Doorway, sent: bytes) -> None:
    """Who goes before he has logged in leaves nothing behind, as a port scanner does."""
    caller = doorway.knock()
    caller.send(sent)
    caller.transport.loseConnection()
    assert doorway.refusals() == []
    assert len(doorway.gate) == 0


def test_password(doorway: Doorway) -> None:
    """A password is no way to log in, and trying one is a line in the log."""
    caller = doorway.knock()
    caller.agree()
    caller.send(packet(5, NS(b"ssh-userauth")))
    caller.send(
        packet(50, NS(b"root") + NS(b"ssh-connection") + NS(b"password") + b"\0" + NS(b"x"))
    )
    told = "10.0.0.1, manhole: login as root, password is no way to log in"
    assert doorway.refusals() == [told]
    caller.transport.loseConnection()


def test_tries(doorway: Doorway) -> None:
    """After three tries that failed the connection is closed; each try is one line in the log."""
    caller = doorway.knock()
    caller.agree()
    caller.send(packet(5, NS(b"ssh-userauth")))
    for n in range(3):
        assert not caller.gone
        key = b"\0" + NS(b"ssh-ed25519") + NS(f"key {n}".encode())
        caller.send(packet(50, NS(b"a\x1bb") + NS(b"ssh-connection") + NS(b"publickey") + key))
    assert caller.gone
    assert doorway.refusals() == [
        "10.0.0.1, manhole: login as a\ufffdb, "
        f"SHA256:{b64encode(sha256(f'key {n}'.encode()).digest()).decode().rstrip('=')}: "
        "the key is not listed"
        for n in range(3)
    ]
    assert doorway.world.hub.counts.refusals == 3


def test_service_without_a_login(doorway: Doorway) -> None:
    """Nothing can be asked for before the login, nor that before there are keys."""
    for service in (b"ssh-connection", b"nonsense\xff"):
        caller = doorway.knock()
        caller.agree()
        caller.send(packet(5, NS(service)))
        assert caller.gone
    caller = doorway.knock()
    caller.send(VERSION + packet(5, NS(b"ssh-userauth")))
    assert caller.gone


def test_limits(doorway: Doorway) -> None:
    """An address has four connections, also while the server has room for more."""
    callers = [doorway.knock() for _ in range(5)]
    assert [caller.gone for caller in callers] == [False, False, False, False, True]
    assert not doorway.knock("10.0.0.2").gone
    callers[0].transport.loseConnection()
    assert not doorway.knock().gone
    assert doorway.world.hub.counts.turned_away == 1
    assert len(doorway.gate) == 5
    doorway.service.startService()
    doorway.service.stopService()
    assert len(doorway.gate) == 0


def test_full_server(world: World, tmp_path: Path) -> None:
    """The server's own limit on connections holds here too, and nothing is counted twice."""
    doorway = Doorway(world, tmp_path, Gate(1, 0))
    first, second = doorway.knock(), doorway.knock()
    assert (first.gone, second.gone) == (False, True)
    assert second.transport.value() == b""
    first.transport.loseConnection()
    callers = [doorway.knock() for _ in range(6)]
    assert [caller.gone for caller in callers] == [False, True, True, True, True, True]
    callers[0].transport.loseConnection()


def test_banned(doorway: Doorway) -> None:
    """A banned address is closed before anything is said."""
    doorway.world.hub.sanctions.ban(Ban("10.0.0.0/24", 0.0, "", "alice", 0.0))
    caller = doorway.knock()
    assert caller.gone
    assert caller.transport.value() == b""
    caller.send(VERSION)
    assert not doorway.knock("10.0.1.1").gone
    doorway.service.stopService()


def test_logged_in(doorway: Doorway, clock: Clock) -> None:
    """An operator has all the time he wants; what he sends garbled is an incident, and his end."""
    caller = doorway.knock()
    caller.log_in()
    clock.advance(3600)
    caller.send(packet(80, NS(b"tcpip-forward") + b"\1"))
    caller.send(packet(90, NS(b"direct-tcpip") + bytes(12)))
    assert not caller.gone
    assert doorway.world.incidents == []
    caller.send(packet(90))
    assert caller.gone
    assert doorway.world.incidents == [1]
    login = f"from 10.0.0.1 by manhole with {fingerprint(BLOB)}"
    assert [(seen.what, seen.who, seen.text) for seen in doorway.world.seen] == [
        (Seen.LOGIN, "alice", login),
        (Seen.LOGOUT, "alice", ""),
    ]


def test_client_that_stays(doorway: Doorway, clock: Clock) -> None:
    """A client that doesn't close what is over can't hold up the server's end."""
    caller = doorway.knock()
    caller.log_in()
    caller.send(packet(90, NS(b"session") + struct.pack(">3L", 0, 1000, 1000)))
    doorway.service.startService()
    doorway.service.stopService()
    clock.advance(1.9)
    assert not caller.gone
    clock.advance(0.1)
    assert caller.gone


def test_cut(doorway: Doorway) -> None:
    """Who is cut off for what he leaves unread is seen to be."""
    caller = doorway.knock()
    caller.protocol.cut("too much was left unread")
    assert caller.gone
    assert doorway.refusals() == ["10.0.0.1, too much was left unread"]


@pytest.fixture
def holders(tmp_path: Path) -> KeyHolders:
    """Those whose keys are listed, of whom there are none yet."""
    return KeyHolders(AuthorizedKeys(tmp_path / "admins.pub"))


def checked(holders: KeyHolders, *credentials: Any) -> object:
    """What comes of a login: the name of who it is, or why not."""
    done: list[Any] = []
    holders.requestAvatarId(SSHPrivateKey(b"anyone", *credentials)).addBoth(done.append)
    (result,) = done
    return getattr(result, "name", None) or getattr(result, "value", None)


def listed(tmp_path: Path, key: Key) -> None:
    """List a key, as alice's."""
    text = key.public().toString("OPENSSH", comment=b"alice")
    (tmp_path / "admins.pub").write_bytes(text + b"\n")


def test_signatures(holders: KeyHolders, tmp_path: Path, ssh_keys: Path) -> None:
    """Only a signature of a strong kind, by the key, over this very login lets somebody in."""
    key = Key.fromFile(str(ssh_keys / "rsa"))
    blob, strong, weak = key.blob(), b"rsa-sha2-512", b"ssh-rsa"
    right = key.sign(b"login", strong)
    assert str(checked(holders, strong, blob, b"login", right)) == "the key is not listed"
    listed(tmp_path, key)
    assert checked(holders, strong, blob, b"login", right) == "alice"
    assert isinstance(checked(holders, strong, blob, None, None), ValidPublicKey)
    for algorithm, signature, why in (
        (weak, key.sign(b"login", weak), "a kind of signature that is not allowed"),
        (strong, key.sign(b"login", weak), "the signature is wrong"),
        (strong, key.sign(b"login", b"rsa-sha2-256"), "the signature is wrong"),
        (strong, key.sign(b"other", strong), "the signature is wrong"),
        (strong, b"garbage", "the signature is wrong"),
        (strong, NS(strong) + NS(b""), "the signature is wrong"),
    ):
        refused = checked(holders, algorithm, blob, b"login", signature)
        assert (type(refused), str(refused)) == (UnauthorizedLogin, why)


@pytest.mark.parametrize(("flags", "name"), [(1, "alice"), (5, "alice"), (0, None), (4, None)])
def test_touch(holders: KeyHolders, tmp_path: Path, flags: int, name: str | None) -> None:
    """A security key signs only for somebody who touches it."""
    private = Ed25519PrivateKey.generate()
    raw = private.public_key().public_bytes_raw()
    blob = NS(SK) + NS(raw) + NS(b"ssh:")
    text = b64encode(blob).decode()
    (tmp_path / "admins.pub").write_text(f"{SK.decode()} {text} alice\n")
    trailer = bytes((flags,)) + bytes(4)
    signed = sha256(b"ssh:").digest() + trailer + sha256(b"login").digest()
    signature = NS(SK) + NS(private.sign(signed)) + trailer
    result = checked(holders, SK, blob, signed, signature)
    assert (result if name else str(result)) == (name or "the signature is wrong")
