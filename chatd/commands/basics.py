"""Commands: help, and leaving."""

from typing import Final

from chatd.commands.table import LOGGED_IN, LOGIN, Command, CommandTable, command
from chatd.domain.errors import UnknownCommand
from chatd.domain.session import Session
from chatd.domain.text import Text

_EVERYTHING: Final = Text("")


@command("help", when=LOGGED_IN)
def help_(session: Session, command: Text = _EVERYTHING) -> None:
    """List the commands, or explain one."""
    table = session.hub.commands
    assert isinstance(table, CommandTable)
    if command:
        asked = " ".join(command.split())  # a name may be of two words
        one = table.find(asked.removeprefix("/"))
        if one is None or not one.typed:
            raise UnknownCommand(asked, "/help")
        session.answer(_explained(one))
        return
    session.answer(*(_explained(c) for c in table.commands if c.typed and c.allows(session.role)))


@command("quit", "logout", "disconnect", when=LOGIN | LOGGED_IN)
async def quit_(session: Session) -> None:
    """Leave the server."""
    await session.end(f"Goodbye, {session.name}." if session.identified else "Goodbye.")


def _explained(one: Command) -> str:
    also = f" (also {', '.join('/' + alias for alias in one.aliases)})" if one.aliases else ""
    return f"{one.usage}{also}: {one.help}"
