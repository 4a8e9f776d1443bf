"""Commands: who is online, and who was."""

from typing import Final

from chatd.commands.table import command
from chatd.domain.errors import NoSuchUser
from chatd.domain.names import Name, key_of
from chatd.domain.session import Session
from chatd.domain.text import plural

_HOUR: Final = 3600


@command("whoelse")
async def whoelse(session: Session) -> None:
    """List everybody online, in every channel."""
    names = await session.hub.roster.online()
    shown = [f"{name} (you)" if name == session.name else name for name in names]
    session.answer(f"{len(names)} online: {', '.join(shown)}.")


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
    """Tell whether somebody is online."""
    holder = await session.hub.roster.find(name)
    if holder is not None:
        session.answer(f"{holder.name} is online.")
        return
    account = await session.hub.store.account(key_of(name))
    if account is None:
        raise NoSuchUser(name)
    session.answer(f"{account.name} is offline.")


def _an_hour_ago(session: Session) -> float:
    return session.hub.clock.seconds() - _HOUR
