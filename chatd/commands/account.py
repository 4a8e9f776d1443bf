"""Commands: getting in, and one's own account.

``introduce``, ``login`` and ``signup`` are what a client asks for while it logs in; the line
door asks for them as its greeting dialogue goes on (PRODUCT.md, 2).
"""

from datetime import UTC, datetime
from typing import Final

import attrs

from chatd.commands.table import (
    LOGGED_IN,
    LOGIN,
    NewPassword,
    OldPassword,
    Password,
    Word,
    command,
)
from chatd.domain.errors import (
    AlreadyLoggedIn,
    BadArguments,
    BadMail,
    BadPassword,
    LockedOut,
    NotAllowed,
    WrongPassword,
)
from chatd.domain.events import Asked, Invited, Prompt, Seen
from chatd.domain.names import Name, key_of, read_name, skeleton_of
from chatd.domain.records import Account, Role
from chatd.domain.session import Session
from chatd.domain.text import REPLACEMENT, Text

_LONGEST_MAIL: Final = 254  # RFC 5321, 4.5.3.1.3, without the angle brackets
_NOBODY: Final = Word("")
_NO_NAME: Final = Text("")


@command("introduce", when=LOGIN)
async def introduce(session: Session, line: Text = _NO_NAME) -> None:
    """Say who one is, and be asked for what is needed to get in."""
    if not line:
        return
    hub, who = session.hub, line.strip()
    account = await _account(session, who)
    if account is None and "@" not in who:
        name = read_name(who)
        if hub.rules.guests:
            await _check_new(session, name)
            await session.identify(name, None)
            return
        if hub.rules.register:
            await _check_new(session, name)
            session.tell(Invited(name))
            session.ask(_ask_new_password(name))
            return
    if account is not None and not hub.rules.replace and await hub.roster.find(account.name):
        raise AlreadyLoggedIn(account.name)
    # Where nobody can register, an unknown name is asked for a password like any other.
    session.ask(_ask_password(who))


@command("login", when=LOGIN)
async def login(session: Session, who: Word, password: Password) -> None:
    """Log in with a password, by name or mail address."""
    changes = session.hub.accounts.changes
    account = await _account(session, who)
    shown = who if account is None else account.name
    try:
        account = await session.hub.passwords.login(shown, account, password, session.address)
    except WrongPassword as error:
        session.refuse(error)
        session.ask(_ask_password(who))
    except LockedOut as error:
        if not error.first:
            raise
        where = f"{error.code} from {session.address or 'here'}"
        session.hub.watch.note(Seen.REFUSAL, shown, where)
        await session.end(str(error))
    else:
        members = session.hub.members
        if members is not None and account.key not in members.members:
            raise NotAllowed("You are not a member of this server any more.")
        await session.identify(account.name, account, changes)
        if session.identified:  # else the client was gone before its password was checked
            await session.hub.store.logged_in(account, session.hub.clock.seconds())


@command("signup", when=LOGIN)
async def signup(session: Session, name: Name, password: NewPassword) -> None:
    """Open an account and log in."""
    changes = session.hub.accounts.changes
    await _check_new(session, name)
    try:
        account = await _open_account(session, name, password)
    except BadPassword as error:
        session.refuse(error)
        session.ask(_ask_new_password(name))
        return
    await session.identify(name, account, changes)


@command("register", only=Role.GUEST, when=LOGGED_IN)
async def register(session: Session, password: NewPassword) -> None:
    """Make the name that you came in with as a guest an account."""
    session.open_account(await _open_account(session, session.name, password))
    session.answer(f"The name {session.name} is yours; the next login asks for the password.")


@command("password", needs=Role.USER, when=LOGGED_IN)
async def password(session: Session, old: OldPassword, new: NewPassword) -> None:
    """Change your password."""
    hub, account = session.hub, _own(session)
    account = await hub.passwords.login(account.name, account, old, session.address)
    hashed = await hub.passwords.hash(new)
    await hub.store.set_password(account, hashed)
    if hub.members is not None:
        await hub.members.set_password(account.key, hashed)
    session.account = attrs.evolve(account, password=hashed)
    session.answer("Your password is changed.")


@command("account", needs=Role.USER, when=LOGGED_IN)
async def account(session: Session, what: Word = _NOBODY, address: Word = _NOBODY) -> None:
    """Show your account; "mail ADDRESS" sets its mail address, "mail none" removes it."""
    mine = _own(session)
    if what:
        if what.casefold() != "mail" or not address:
            raise BadArguments("Usage: /account, /account mail ADDRESS, /account mail none")
        mail = None if address.casefold() == "none" else _mail(address)
        await session.hub.store.set_mail(mine, mail)
        mine = session.account = attrs.evolve(mine, mail=mail)
    session.answer(
        f"Account {mine.name}, {session.role.name.lower()}; mail: {mine.mail or 'none'}; "
        f"opened {day(mine.created)}; last login {day(mine.last_login)}."
    )


async def _check_new(session: Session, name: Name) -> None:
    """See that a new account, or a guest, may have this name.

    Raises:
        BadName, NameTaken: it may not.
        NotAllowed: the name is kept for an operator.
        Banned
    """
    session.hub.sanctions.check_name(key_of(name))
    await session.hub.check_new(name)
    _check_not_kept(session, name)


def _check_not_kept(session: Session, name: Name) -> None:
    # The names that the configuration gives power to: only somebody on the server's own machine
    # may take one, or the first stranger to register it would be operator.
    if key_of(name) in session.hub.rules.operators and not session.local:
        raise NotAllowed(f"{name} is an operator: register it from the server's own machine.")


async def _open_account(session: Session, name: Name, password: str) -> Account:
    hub = session.hub
    if not hub.rules.register:
        raise NotAllowed("Nobody can register here; the operator opens accounts.")
    _check_not_kept(session, name)
    hashed = await hub.passwords.hash(password)
    now = hub.clock.seconds()
    skeleton = skeleton_of(name)
    new = Account(0, key_of(name), name, skeleton, None, hashed, Role.USER, now, now)
    return await hub.store.add_account(new)


async def _account(session: Session, who: str) -> Account | None:
    hub = session.hub
    if hub.members is not None:
        await hub.members.look()
    account = await _stored_account(session, who)
    if account is not None:
        hub.sanctions.check_name(account.key)
    if account is None or hub.members is None or account.key in hub.members.members:
        return account
    return None  # an account of somebody who is a member no longer


async def _stored_account(session: Session, who: str) -> Account | None:
    if "@" in who and " " not in who:
        if len(who) > _LONGEST_MAIL:
            raise BadMail("That is not a mail address.")
        return await session.hub.store.account_by_mail(who.casefold())
    return await session.hub.store.account(key_of(read_name(who)))


def _ask_password(who: str) -> Asked:
    return Asked("login", who, (Prompt.PASSWORD,))


def _ask_new_password(name: Name) -> Asked:
    return Asked("signup", name, (Prompt.NEW_PASSWORD, Prompt.AGAIN))


def _own(session: Session) -> Account:
    assert session.account is not None  # needs=Role.USER
    return session.account


def _mail(address: str) -> str:
    name, at, host = address.rpartition("@")
    if not (name and at and "." in host) or len(address) > _LONGEST_MAIL or REPLACEMENT in address:
        raise BadMail("That is not a mail address.")
    return address.casefold()


def day(at: float | None) -> str:
    """A date as it is shown of an account."""
    return "never" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
