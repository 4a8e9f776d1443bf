"""Passwords: a cred Portal whose one checker is bcrypt behind a lock.

The rule: no password is hashed in the reactor's thread, nobody learns from the time it takes
whether an account exists, and every way in goes through the same :class:`LockoutChecker`.

A password is normalised (PRECIS OpaqueString, RFC 8265), put through HMAC-SHA256 with a name of our
own (bcrypt reads only 72 bytes, and a bare SHA-256 could be looked up in other sites' leaks), then
through bcrypt. What is stored begins with the name of that scheme.
"""

import base64
import hashlib
import hmac
import math
import os
import secrets
from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
import bcrypt
from precis_i18n import get_profile
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import Attribute, Interface, implementer

from chatd.domain.errors import BadPassword, ChatError, LockedOut, TooBusy, WrongPassword
from chatd.domain.limits import Lockout
from chatd.domain.ports import Store
from chatd.domain.records import Account

T = TypeVar("T")

_SCHEME: Final = "chatd1:"
_KEY: Final = b"chatd-password-v1"
_LONGEST: Final = 1024  # bytes; more is a mistake or an attack
_EASY: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read as something else
_INVENTED: Final = 4  # fours of them: 79 bits
_OPAQUE: Final = get_profile("OpaqueString")


class IAccount(Interface):
    """What the portal gives for the right password: an account."""


class IAccountPassword(ICredentials):
    """A password for an account, and where it comes from."""

    who = Attribute("The name as typed, for the one who typed it.")
    account = Attribute("The account of that name, or None where there is none.")
    password = Attribute("The password as typed.")
    address = Attribute("The client's address.")


@implementer(IAccountPassword)
@attrs.frozen
class AccountPassword:
    """A password that somebody typed."""

    who: str
    account: Account | None
    password: str
    address: str

    @property
    def counted_as(self) -> str:
        """Whose wrong passwords these are: one account has one count under all its names."""
        return self.who.casefold() if self.account is None else self.account.key


class Stopped(TooBusy):
    """The server is stopping; nothing is hashed any more."""

    def __init__(self) -> None:
        super().__init__("The server is stopping.")


@attrs.define(eq=False)
class Bcrypt:
    """Makes and checks hashes on threads of its own, with a bounded queue."""

    _reactor: IReactorFromThreads
    cost: int
    most_waiting: int
    shortest: int
    _pool: ThreadPool
    _waiting: int = 0
    _stopped: bool = False

    @classmethod
    def start(
        cls, reactor: IReactorFromThreads, cost: int, most_waiting: int, shortest: int
    ) -> "Bcrypt":
        """Start the threads: one for each core but the reactor's."""
        threads = max(1, (os.cpu_count() or 1) - 1)
        pool = ThreadPool(minthreads=0, maxthreads=threads, name="chatd-bcrypt")
        pool.start()
        return cls(reactor, cost, most_waiting, shortest, pool)

    def stop(self) -> None:
        """End the threads; what waits is not hashed."""
        self._stopped = True
        self._pool.stop()

    async def hash(self, password: str) -> str:
        """Make what is stored of a new password.

        Raises:
            BadPassword: it can't be one.
            TooBusy: too many wait.
        """
        if len(password) < self.shortest:
            raise BadPassword(f"A password has at least {self.shortest} characters.")
        return await self.rehash(password)

    async def invent(self) -> tuple[str, str]:
        """A new password that nobody can guess, and its hash.

        Raises:
            TooBusy: too many wait.
        """
        fours = range(max(_INVENTED, math.ceil((self.shortest + 1) / 5)))
        password = "-".join("".join(map(secrets.choice, [_EASY] * 4)) for _ in fours)
        return password, await self.rehash(password)

    async def rehash(self, password: str) -> str:
        """Make what is stored of a password that somebody has, however short; as :meth:`hash`."""
        prepared = _prepared(password)
        if prepared is None:
            raise BadPassword("A password has plain characters only, and no more than 1024 bytes.")
        hashed = await self._run(lambda: bcrypt.hashpw(prepared, bcrypt.gensalt(self.cost)))
        return _SCHEME + hashed.decode()

    async def check(self, password: str, stored: str | None) -> bool:
        """Whether a password fits what is stored; None is nobody's, and takes as long.

        Raises:
            TooBusy: too many wait.
        """
        prepared = _prepared(password)
        # Any hash of the right form does for nobody: what costs the time is the check.
        hashed = f"$2b${self.cost:02}${'.' * 53}" if stored is None else _bcrypt_part(stored)
        fits = await self._run(lambda: bcrypt.checkpw(prepared or b"-", hashed.encode()))
        return fits and prepared is not None and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether a hash was made with another cost than today's."""
        return _bcrypt_part(stored).split("$")[2] != f"{self.cost:02}"

    async def _run(self, work: Callable[[], T]) -> T:
        if self._stopped:
            raise Stopped
        if self.most_waiting and self._waiting >= self.most_waiting:
            raise TooBusy("Many are logging in just now, please try again in a moment.")
        self._waiting += 1
        try:
            done: Deferred[T] = deferToThreadPool(
                self._reactor, self._pool, self._unless_stopped, work
            )
            return await done
        finally:
            self._waiting -= 1

    def _unless_stopped(self, work: Callable[[], T]) -> T:
        if self._stopped:
            raise Stopped
        return work()


@implementer(ICredentialsChecker)
@attrs.define(eq=False)
class BcryptChecker:
    """Checks a password against the account's hash, which it renews when the cost has changed."""

    credentialInterfaces = (IAccountPassword,)

    _bcrypt: Bcrypt
    _store: Store

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        """Fire with the account, or fail with UnauthorizedLogin."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: AccountPassword) -> Account:
        account, password = credentials.account, credentials.password
        stored = None if account is None else account.password
        if not await self._bcrypt.check(password, stored) or account is None:
            raise UnauthorizedLogin
        if self._bcrypt.outdated(account.password):
            account = await self._renewed(account, password)
        return account

    async def _renewed(self, account: Account, password: str) -> Account:
        """The account with a hash of today's cost, or as it is: the password was right anyway."""
        try:
            hashed = await self._bcrypt.rehash(password)
            await self._store.set_password(account, hashed)
        except ChatError:
            return account
        return attrs.evolve(account, password=hashed)


@implementer(ICredentialsChecker)
@attrs.define(eq=False)
class LockoutChecker:
    """Asks another checker, as long as the account isn't locked against the address."""

    _checker: BcryptChecker
    _lockout: Lockout
    _store: Store
    credentialInterfaces = (IAccountPassword,)

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        """Fire with the account, or fail with WrongPassword, LockedOut or TooBusy."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: AccountPassword) -> Account:
        account, address = credentials.counted_as, credentials.address
        self._lockout.attempt(account, address)
        try:
            found = await self._checker.requestAvatarId(credentials)
        except UnauthorizedLogin:
            try:
                left = self._lockout.failed(account, address)
            finally:
                # Nobody is told of a lock that a crash could still undo.
                await self._store.settled()
            raise WrongPassword(left) from None
        except Exception:
            self._lockout.gave_up(account, address)
            raise
        self._lockout.succeeded(account, address)
        assert isinstance(found, Account)
        return found


@implementer(IRealm)
class Realm:
    """Gives an account to whoever has its password."""

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: object) -> Any:
        """The account itself is the avatar; there is nothing to do when it is given back."""
        if IAccount not in interfaces:
            raise NotImplementedError("only IAccount")
        return IAccount, avatarId, lambda: None


@attrs.define(eq=False)
class PortalPasswords:
    """The domain's ``Passwords``, by way of a cred portal."""

    _portal: Portal
    _bcrypt: Bcrypt

    @classmethod
    def behind(cls, bcrypt_: Bcrypt, lockout: Lockout, store: Store) -> "PortalPasswords":
        """The whole chain: portal, lock, bcrypt."""
        checker = LockoutChecker(BcryptChecker(bcrypt_, store), lockout, store)
        return cls(Portal(Realm(), [checker]), bcrypt_)

    async def login(
        self, who: str, account: Account | None, password: str, address: str
    ) -> Account:
        """Check a password.

        Raises:
            WrongPassword, LockedOut, TooBusy
        """
        credentials = AccountPassword(who, account, password, address)
        try:
            _, avatar, _ = await self._portal.login(credentials, None, IAccount)
        except LockedOut as error:
            # The lock knows the account by its key; people know it as they typed it.
            raise LockedOut(who, error.seconds, first=error.first) from None
        assert isinstance(avatar, Account)
        return avatar

    async def invent(self) -> tuple[str, str]:
        """A new password and its hash; as :meth:`Bcrypt.invent`."""
        return await self._bcrypt.invent()

    async def hash(self, password: str) -> str:
        """Make a hash to store; as :meth:`Bcrypt.hash`."""
        return await self._bcrypt.hash(password)


def _bcrypt_part(stored: str) -> str:
    return stored.removeprefix(_SCHEME)


def _prepared(password: str) -> bytes | None:
    """What bcrypt is given of a password; None where it can't be one."""
    if len(password.encode(errors="replace")) > _LONGEST:
        return None
    try:
        normal: str = _OPAQUE.enforce(password)
    except UnicodeEncodeError:
        return None
    return base64.b64encode(hmac.digest(_KEY, normal.encode(), hashlib.sha256))
