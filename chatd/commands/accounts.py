"""Commands: what operators do to accounts.

A password that an operator gives out is made by the server and shown once; its owner changes it
with /password. So nobody types one where others read along, and no log ever has one.
"""

from typing import Final

from chatd.commands.account import day
from chatd.commands.table import LOGGED_IN, Caller, Word, command
from chatd.domain.errors import BadArguments, NameTaken, NoSuchUser, NotAllowed, NotYourself
from chatd.domain.names import Name, key_of, skeleton_of
from chatd.domain.records import Account, Role
from chatd.domain.text import plural

_SHOWN: Final = 100
_ALL: Final = Word("")
_ROLES: Final = {"user": Role.USER, "operator": Role.OPERATOR}


@command("accounts", needs=Role.OPERATOR, when=LOGGED_IN)
async def accounts(caller: Caller, containing: Word = _ALL) -> None:
    """List the accounts, or those whose name has this in it."""
    hub = caller.hub
    found, count = await hub.store.accounts_like(containing.lower(), _SHOWN)
    rows = [_described(caller, account) for account in found]
    more = [f"and {count - len(found)} more."] if count > len(found) else []
    caller.answer(f"{plural(count, 'account')}.", *rows, *more)


@command("account add", needs=Role.OPERATOR, when=LOGGED_IN)
async def account_add(caller: Caller, target: Name) -> None:
    """Open an account for somebody, with a password to hand over."""
    hub = caller.hub
    _check_open(caller)
    online = await hub.roster.find(target)
    if online is not None and online.role is Role.GUEST:
        raise NameTaken(f"{online.name} is online as a guest, who can /register.")
    await hub.check_new(target)
    password, hashed = await hub.passwords.invent()
    now = hub.clock.seconds()
    key, skeleton = key_of(target), skeleton_of(target)
    new = Account(0, key, target, skeleton, None, hashed, Role.USER, now, None)
    await hub.store.add_account(new)
    caller.answer(f"Opened the account {target}; its password is {password}")


@command("account remove", needs=Role.OPERATOR, when=LOGGED_IN)
async def account_remove(caller: Caller, target: Name) -> None:
    """Remove somebody's account for good, with his messages and memberships."""
    hub = caller.hub
    _check_open(caller)
    account = await _account(caller, target)
    if account.key == caller.key:
        raise NotYourself("You can't remove your own account.")
    hub.accounts.lock(account)
    try:
        await _put_out(caller, account, "Your account has been removed. Goodbye.")
        await hub.accounts.remove(account)
    except BaseException:
        hub.accounts.unlock(account)
        raise
    caller.answer(f"Removed the account {account.name}.")


@command("account passwd", needs=Role.OPERATOR, when=LOGGED_IN)
async def account_passwd(caller: Caller, target: Name) -> None:
    """Give somebody another password, to hand over; a session with the old one ends."""
    hub = caller.hub
    account = await _account(caller, target)
    if account.key == caller.key:
        raise NotYourself("Change your own password with /password.")
    password, hashed = await hub.passwords.invent()
    await hub.store.set_password(account, hashed)
    if hub.members is not None:
        await hub.members.set_password(account.key, hashed)
    hub.accounts.changed(account.key)
    await _put_out(caller, account, "Your password has been changed by an operator. Goodbye.")
    caller.answer(f"The password of {account.name} is {password} now.")


@command("account role", needs=Role.OPERATOR, when=LOGGED_IN)
async def account_role(caller: Caller, target: Name, role: Word) -> None:
    """Make somebody an "operator", or a "user" again."""
    hub = caller.hub
    new = _ROLES.get(role.casefold())
    if new is None:
        raise BadArguments("A role is user or operator.")
    account = await _account(caller, target)
    if new is Role.USER and account.key in hub.rules.operators:
        raise NotAllowed(f"The configuration makes {account.name} an operator.")
    await hub.store.set_role(account, new)
    hub.accounts.changed(account.key)
    holder = await hub.roster.find(account.name)
    if holder is not None:
        hub.watch.appoint(holder, new)
    caller.answer(f"{account.name} is {'an operator' if new is Role.OPERATOR else 'a user'} now.")


async def _account(caller: Caller, name: Name) -> Account:
    account = await caller.hub.store.account(key_of(name))
    if account is None:
        raise NoSuchUser(name)
    return account


async def _put_out(caller: Caller, account: Account, text: str) -> None:
    holder = await caller.hub.roster.find(account.name)
    if holder is not None:
        await holder.end(text)


def _check_open(caller: Caller) -> None:
    if caller.hub.members is not None:
        raise NotAllowed("The members file says who has an account here.")


def _described(caller: Caller, account: Account) -> str:
    configured = account.key in caller.hub.rules.operators
    role = Role.OPERATOR if configured else account.role
    online = ", online" if caller.hub.roster.local(account.key) is not None else ""
    return (
        f"{account.name}, {role.name.lower()}; opened {day(account.created)}; "
        f"last login {day(account.last_login)}{online}."
    )
