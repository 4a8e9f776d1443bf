"""SSH: conch's transport and connection, cut down to what chatd offers.

The rule: whatever a stranger sends costs him his connection and us one line in the log, never a
traceback; and nothing but a session can be asked for: no forwarding, no subsystem, no agent.

Conch is corrected where it is too generous or stumbles: it lets nobody in by an RSA key where the
server's own key is of ed25519, lets a login begin before there are keys, waits for ever for a key
exchange to end, and has a traceback for each request that it merely doesn't know. Of what it can
do, only what is neither weak nor open to Terrapin (CVE-2023-48795) is left: it has no strict key
exchange, so there is no cipher and no MAC here that would need it.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.connection import (
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_OPEN_FAILURE,
    MSG_CHANNEL_SUCCESS,
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    SSHConnection,
)
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.transport import (
    DISCONNECT_BY_APPLICATION,
    DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE,
    SSHServerTransport,
)
from twisted.cred.portal import Portal
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from chatd.domain.errors import Banned, TooBusy
from chatd.domain.events import Seen
from chatd.domain.limits import Gate
from chatd.domain.ports import Timer
from chatd.doors.line import tune
from chatd.doors.reception import Reception
from chatd.doors.sshkeys import SIGNATURES, AuthorizedKeys, ListedKey, fingerprint
from chatd.doors.sshlogin import QUIET, KeyHolders, Login, shown

_KEY_EXCHANGES: Final = (
    b"mlkem768x25519-sha256",
    b"curve25519-sha256",
    b"curve25519-sha256@libssh.org",
)
_MOST_CHANNELS: Final = 10  # of one connection, as OpenSSH's MaxSessions
_PARTING_SECONDS: Final = 2.0  # for a client to close what is over


class Connection(SSHConnection):
    """What goes on after a login: sessions, and nothing else."""

    _log = QUIET
    transport: Any

    def serviceStarted(self) -> None:
        """The login has succeeded."""
        self.transport.logged_in()

    def getChannel(
        self, channelType: bytes, windowSize: int, maxPacket: int, data: bytes
    ) -> SSHChannel:
        """A session's channel."""
        made: SSHChannel = self.transport.factory.channel(self, windowSize, maxPacket)
        return made

    def gotGlobalRequest(self, requestType: bytes, data: bytes) -> int:
        """Refuse: there is no forwarding here."""
        return 0

    def ssh_CHANNEL_OPEN(self, packet: bytes) -> None:
        """Open a session; refuse anything else, and too many."""
        kind, rest = getNS(packet)
        if kind == b"session" and len(self.channels) < _MOST_CHANNELS:
            SSHConnection.ssh_CHANNEL_OPEN(self, packet)
            return
        (sender,) = struct.unpack(">L", rest[:4])
        reason = struct.pack(">2L", sender, OPEN_ADMINISTRATIVELY_PROHIBITED)
        words = NS(b"only a few sessions, and nothing else") + NS(b"")
        self.transport.sendPacket(MSG_CHANNEL_OPEN_FAILURE, reason + words)

    def ssh_CHANNEL_REQUEST(self, packet: bytes) -> None:
        """Ask a session for something; what it does then comes after the reply."""
        (number,) = struct.unpack(">L", packet[:4])
        what, rest = getNS(packet[4:])
        begin = self.channels[number].asked(what, rest[1:])
        if rest[:1] != b"\0":  # a reply is wanted
            reply = MSG_CHANNEL_FAILURE if begin is None else MSG_CHANNEL_SUCCESS
            sender = struct.pack(">L", self.localToRemoteChannel[number])
            self.transport.sendPacket(reply, sender)
        if begin is not None:
            begin()


class Transport(SSHServerTransport):
    """One connection, from its first byte to its end."""

    _log = QUIET
    factory: Any
    transport: Any
    service: Any
    ourVersionString = b"SSH-2.0-chatd"
    supportedKeyExchanges = [  # noqa: RUF012 (conch's own form)
        name for name in _KEY_EXCHANGES if name in SSHServerTransport.supportedKeyExchanges
    ]
    supportedCiphers = [b"aes256-ctr", b"aes192-ctr", b"aes128-ctr"]  # noqa: RUF012
    supportedMACs = [b"hmac-sha2-512", b"hmac-sha2-256"]  # noqa: RUF012
    supportedCompressions = [b"none"]  # noqa: RUF012 (zlib would unpack anything to any size)

    def __init__(self) -> None:
        self.address = ""
        self.operator: ListedKey | None = None
        self._entered: list[Gate] = []
        self._let_in = False
        self._timer: Timer | None = None

    def connectionMade(self) -> None:
        """Let the client in, if there is room, and begin."""
        hub = self.factory.reception.hub
        try:
            hub.sanctions.check_address(self.address)
            for gate in (self.factory.gate, self.factory.reception.gate):
                gate.enter(self.address)
                self._entered.append(gate)
        except (Banned, TooBusy):
            hub.counts.turned_away += 1
            self.transport.loseConnection()
            return
        hub.counts.connections += 1
        self._let_in = True
        self.factory.connections[self] = None
        tune(self.transport)
        self._timer = hub.clock.callLater(self.factory.login_seconds, self._late)
        SSHServerTransport.connectionMade(self)

    def dataReceived(self, data: bytes) -> None:
        """Take what the client has sent; if it is garbled, that was the last of it."""
        if not self._let_in:
            return
        try:
            SSHServerTransport.dataReceived(self, data)
        except Exception:  # noqa: BLE001 (conch's parsers raise whatever they stumble on)
            if self.operator is None:
                self.refused("what came is not SSH")
            else:
                self.factory.reception.hub.incident()  # it may be our mistake as well
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The connection is gone."""
        for gate in self._entered:
            gate.leave(self.address)
        if not self._let_in:
            return
        self.factory.connections.pop(self)
        self._stop_timer()
        super().connectionLost(reason)
        if self.operator is not None:
            self.factory.reception.hub.watch.note(Seen.LOGOUT, self.operator.name)

    def logged_in(self) -> None:
        """Take note: the client has shown who it is."""
        if self.operator is None:
            listed = self.avatar
            assert isinstance(listed, ListedKey)
            self.operator = listed
            self._stop_timer()
            where = f"from {self.address or 'here'} by {self.factory.reception.kind}"
            words = f"{where} with {fingerprint(listed.blob)}"
            self.factory.reception.hub.watch.note(Seen.LOGIN, listed.name, words)

    def refused(self, text: str) -> None:
        """Tell operators and the log that a stranger was refused something."""
        hub = self.factory.reception.hub
        hub.counts.refusals += 1
        hub.watch.note(Seen.REFUSAL, self.address or "somebody here", f"{self._kind}: {text}")

    def end(self, text: str) -> None:
        """Say goodbye and close, once every session has got its last words through.

        A client drops what it has not shown yet when the connection is closed to it.
        """
        sessions = list(getattr(self.service, "channels", {}).values())
        for session in sessions:
            session.goodbye(text)
        if sessions:
            clock = self.factory.reception.hub.clock
            self._timer = clock.callLater(_PARTING_SECONDS, self.transport.abortConnection)
        else:
            SSHServerTransport.sendDisconnect(self, DISCONNECT_BY_APPLICATION, text.encode())

    def cut(self, reason: str) -> None:
        """Close at once, as the client leaves too much unread."""
        hub = self.factory.reception.hub
        hub.counts.drops += 1
        who = self.operator.name if self.operator else self.address
        hub.watch.note(Seen.DROP, who, reason)
        self.transport.abortConnection()

    def sendDisconnect(self, reason: int, desc: bytes | str) -> None:
        """Close, and say why; a stranger is told of."""
        # Too many tries were each told by themselves.
        if self.operator is None and reason != DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE:
            self.refused(f"closed: {shown(desc)}")
        SSHServerTransport.sendDisconnect(self, reason, desc)

    def sendExtInfo(self, extensions: list[tuple[bytes, bytes]]) -> None:
        """Tell the client with which signatures it can log in (RFC 8308)."""
        SSHServerTransport.sendExtInfo(self, [(b"server-sig-algs", b",".join(SIGNATURES))])

    def receiveError(self, reasonCode: int, description: bytes) -> None:
        """The client says goodbye, or why it goes; its end is told by itself."""

    def receiveUnimplemented(self, seqnum: int) -> None:
        """The client doesn't know something of ours."""

    @property
    def _kind(self) -> str:
        return str(self.factory.reception.kind)

    def _late(self) -> None:
        self._timer = None
        self.sendDisconnect(DISCONNECT_BY_APPLICATION, b"the login took too long")

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


class SshFactory(SSHFactory):
    """Makes a :class:`Transport` for each connection; ``channel`` makes its sessions.

    ``gate`` counts the door's own connections, besides the server's gate.
    """

    noisy = False
    primes = None
    _log = QUIET
    protocol = Transport
    services = {b"ssh-userauth": Login, b"ssh-connection": Connection}  # noqa: RUF012

    def __init__(
        self,
        reception: Reception,
        keys: AuthorizedKeys,
        own: Key,
        channel: Callable[[Connection, int, int], SSHChannel],
        *,
        gate: Gate,
        login_seconds: int,
        login_tries: int,
    ) -> None:
        self.reception = reception
        self.keys = keys
        self.publicKeys = {own.sshType(): own.public()}
        self.privateKeys = {own.sshType(): own}
        holders = KeyHolders(keys)
        self.portal = Portal(holders, [holders])
        self.channel = channel
        self.gate = gate
        self.login_seconds = login_seconds
        self.login_tries = login_tries
        self.connections: dict[Transport, None] = {}

    def buildProtocol(self, addr: IAddress | None) -> Transport:
        """A connection from ``addr``; a unix socket's has no host."""
        made = super().buildProtocol(addr)
        assert isinstance(made, Transport)
        made.address = getattr(addr, "host", "") or ""
        return made

    def getService(self, transport: Transport, service: bytes) -> Any:
        """The class of a service, where the client may have it: none before there are keys."""
        may = hasattr(transport, "avatar") or service == Login.name
        return self.services.get(service) if may and transport.sessionID is not None else None
