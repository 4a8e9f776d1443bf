"""Commands: who is online, and who was."""

from typing import Final

from chatd.commands.table import Caller, command
from chatd.domain.errors import Blocked, NoSuchUser, TooMany
from chatd.domain.names import Name, key_of
from chatd.domain.records import Role
from chatd.domain.session import Session
from chatd.domain.text import plural

_HOUR: Final = 3600
_MOST_BLOCKED: Final = 1000


@command("whoelse")
async def whoelse(caller: Caller) -> None:
    """List everybody online, in every channel."""
    names = await caller.hub.roster.online()
    shown = [f"{name} (you)" if key_of(name) == caller.key else name for name in names]
    caller.answer(f"{len(names)} online: {', '.join(shown)}." if names else "Nobody is online.")


@command("wholasthr")
async def wholasthr(session: Session) -> None:
    """List who logged in within the last hour, online or not."""
    hub = session.hub
    names = {key_of(name): name for name in await hub.roster.online_since(_an_hour_ago(session))}
    for name in await hub.store.logins_since(_an_hour_ago(session)):
        names.setdefault(key_of(name), name)
    if not names:
        session.answer("Nobody logged in within the last hour.")
        return
    people = plural(len(names), "person", "people")
    session.answer(f"{people} in the last hour: {', '.join(names.values())}.")


@command("ping")
async def ping(session: Session, name: Name) -> None:
    """Tell whether somebody is online, offline, or has blocked you."""
    shown, online = await _look_up(session, name)
    if key_of(name) in session.blocks.blocked_by:
        session.answer(f"{shown or name} has blocked you.")
    elif shown is None:
        raise NoSuchUser(name)
    else:
        session.answer(f"{shown} is {'online' if online else 'offline'}.")


@command("block", needs=Role.USER)
async def block(session: Session, name: Name) -> None:
    """Hear nothing of somebody any more, and let him hear nothing of you."""
    key = key_of(name)
    if key == key_of(session.name):
        raise Blocked("You can't block yourself.")
    shown, _ = await _look_up(session, name)
    if key in session.blocks.blocked:
        raise Blocked(f"You have blocked {shown or name} already.")
    if shown is None:
        raise NoSuchUser(name)
    if len(session.blocks.blocked) >= _MOST_BLOCKED:
        raise TooMany(f"You have blocked {_MOST_BLOCKED} people; that is as many as may be.")
    session.hub.blocking.block(session, shown, on=True)


@command("unblock", needs=Role.USER)
async def unblock(session: Session, name: Name) -> None:
    """Hear somebody again."""
    shown, _ = await _look_up(session, name)
    if key_of(name) not in session.blocks.blocked:
        raise Blocked(f"You have not blocked {shown or name}.")
    session.hub.blocking.block(session, shown or name, on=False)


@command("blocked", needs=Role.USER)
def blocked(session: Session) -> None:
    """List whom you have blocked."""
    names = ", ".join(sorted(session.blocks.blocked))
    session.answer(f"You have blocked: {names or 'nobody'}.")


async def _look_up(session: Session, name: Name) -> tuple[Name | None, bool]:
    """A name as its owner writes it, None where nobody has it; and whether he is online."""
    holder = await session.hub.roster.find(name)
    if holder is not None:
        return holder.name, True
    account = await session.hub.store.account(key_of(name))
    return (None if account is None else account.name), False


def _an_hour_ago(session: Session) -> float:
    return session.hub.clock.seconds() - _HOUR
