"""Commands: talking."""

from collections.abc import Coroutine
from typing import Any

from chatd.commands.table import IN_ROOM, command
from chatd.domain.names import Name
from chatd.domain.rooms import Channel
from chatd.domain.session import Session
from chatd.domain.text import Text


@command("say", when=IN_ROOM)
def say(session: Session, text: Text) -> None:
    """Say something to everyone in the channel."""
    session.hub.say(session, here(session), text)


@command("whisper", "w", when=IN_ROOM)
def whisper(session: Session, to: Name, text: Text) -> Coroutine[Any, Any, None]:
    """Say something to one person in this channel only."""
    return session.hub.whisper(session, here(session), to, text)


def here(session: Session) -> Channel:
    """The channel that a session is in; for commands that need one."""
    assert session.place is not None  # when=IN_ROOM
    return session.place
