"""Commands: help, and leaving."""

from chatd.commands.table import LOGGED_IN, LOGIN, Command, CommandTable, Word, command
from chatd.domain.errors import UnknownCommand
from chatd.domain.session import Session


@command("help", when=LOGGED_IN)
def help_(session: Session, command: Word = Word("")) -> None:  # noqa: B008  a NewType is no call
    """List the commands, or explain one."""
    table = session.hub.commands
    assert isinstance(table, CommandTable)
    if command:
        one = table.find(command.removeprefix("/"))
        if one is None or not one.typed:
            raise UnknownCommand(command, "/help")
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
