"""The login over SSH: by a listed public key, and by nothing else.

The rule: conch parses no key but one that is listed, as it writes what it can't parse into the
format of a log event, where a stranger's braces would be carried out. Each try that fails is told
once.
"""

from typing import Any, Final

from twisted.conch.error import IgnoreAuthentication, ValidPublicKey
from twisted.conch.interfaces import IConchUser
from twisted.conch.ssh.common import getNS
from twisted.conch.ssh.userauth import SSHUserAuthServer
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ISSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred, execute, fail
from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogPublisher,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.domain.text import clean
from chatd.doors.sshkeys import AuthorizedKeys, ListedKey, fingerprint

# Conch tells at "info" of every packet of interest to it, several lines a connection.
_WARNINGS: Final = LogLevelFilterPredicate(LogLevel.warn)
QUIET: Final = Logger(observer=FilteringLogObserver(globalLogPublisher, (_WARNINGS,)))
"""The logger of our subclasses of conch's classes: what is wrong, and nothing else."""

_MOST_SHOWN: Final = 64  # characters of what a stranger sent, in the log
_TOUCHED: Final = 1  # the flag of a security key's signature that somebody was there


@implementer(ICredentialsChecker, IRealm)
class KeyHolders:
    """Lets in whoever holds the private key to a listed one; a user's name doesn't matter."""

    credentialInterfaces = (ISSHPrivateKey,)

    def __init__(self, keys: AuthorizedKeys) -> None:
        self._keys = keys

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        """Fire with the listed key that a login is signed with.

        Fail with ValidPublicKey where it is listed and has yet to sign, else UnauthorizedLogin.
        """
        return execute(self._check, credentials)

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: object) -> Any:
        """The key itself is the avatar; there is nothing to do when it is given back."""
        return IConchUser, avatarId, lambda: None

    def _check(self, credentials: Any) -> ListedKey:
        listed = self._keys.find(credentials.blob)
        if listed is None:
            raise UnauthorizedLogin("the key is not listed")
        if credentials.algName not in listed.signatures:
            raise UnauthorizedLogin("a kind of signature that is not allowed")
        if not credentials.signature:
            raise ValidPublicKey
        if not _signed(listed, credentials):
            raise UnauthorizedLogin("the signature is wrong")
        return listed


def _signed(listed: ListedKey, credentials: Any) -> bool:
    try:
        kind, _signature, rest = getNS(credentials.signature, 2)
        if listed.key.isSecurityKey() and not rest[0] & _TOUCHED:
            return False
        signed: bool = listed.key.verify(credentials.signature, credentials.sigData)
    except Exception:  # noqa: BLE001 (whatever garbled bytes make the parser raise)
        return False
    return signed and kind == credentials.algName


class Login(SSHUserAuthServer):
    """The login of one connection, by public key only."""

    _log = QUIET
    transport: Any

    def serviceStarted(self) -> None:
        """Begin, within the limits of the door."""
        factory = self.transport.factory
        self.clock = factory.reception.hub.clock
        self.loginTimeout = factory.login_seconds
        self.attemptsBeforeDisconnect = factory.login_tries - 1
        SSHUserAuthServer.serviceStarted(self)

    def tryAuth(self, kind: bytes, user: bytes, data: bytes) -> Deferred[Any]:
        """Try to log in; each try that fails is told once."""
        return super().tryAuth(kind, user, data).addErrback(self._refused, kind, user, data)

    def auth_publickey(self, packet: bytes) -> Deferred[Any]:
        """Log in with a key; conch gets to parse only one that is listed."""
        _algorithm, blob, _rest = getNS(packet[1:], 2)
        if self.transport.factory.keys.find(blob) is None:
            return fail(UnauthorizedLogin("the key is not listed"))
        return super().auth_publickey(packet)

    def _refused(self, failure: Failure, kind: bytes, user: bytes, data: bytes) -> Failure:
        if kind != b"none" and not failure.check(IgnoreAuthentication):
            what = f"{shown(kind)} is no way to log in"
            if kind == b"publickey":
                what = f"{fingerprint(getNS(data[1:], 2)[1])}: {failure.getErrorMessage()}"
            self.transport.refused(f"login as {shown(user)}, {what}")
        return failure


def shown(sent: bytes | str) -> str:
    """What a stranger sent, so that it can stand in the log."""
    text = sent.decode(errors="replace") if isinstance(sent, bytes) else sent
    return clean(text[:_MOST_SHOWN])
