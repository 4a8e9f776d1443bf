"""Commands: talking."""

from collections.abc import Coroutine
from typing import Any

from chatd.commands.table import IN_ROOM, command
from chatd.domain.errors import NotAllowed, NotNow
from chatd.domain.names import Name, key_of
from chatd.domain.rooms import Channel
from chatd.domain.session import Session
from chatd.domain.text import Text


@command("say")
def say(session: Session, text: Text) -> None:
    """Say something to everyone in the group or channel."""
    if session.adrift is not None:
        # It was meant for the group, and must not be heard in the channel, nor be a command.
        left = session.adrift
        session.talk_in(None)
        raise NotNow(f"You are not in the group {left} any more; that line was not sent.")
    if session.group is not None:
        session.hub.groups.say(session, session.group, text)
    elif session.place is not None:
        session.hub.say(session, session.place, text)
    else:
        raise NotNow("You are in no channel and in no group.")


@command("whisper", "w", when=IN_ROOM)
def whisper(session: Session, to: Name, text: Text) -> Coroutine[Any, Any, None]:
    """Say something to one person in this channel only."""
    return session.hub.whisper(session, here(session), to, text)


@command("message", "m")
def message(session: Session, to: Name, text: Text) -> Coroutine[Any, Any, None]:
    """Say something to one person, wherever he is, now or at his next login."""
    return session.hub.message(session, to, text)


@command("r")
def reply(session: Session, text: Text) -> Coroutine[Any, Any, None]:
    """Answer the last whisper or message."""
    to = session.correspondent
    if to is None:
        raise NotNow("Nobody has whispered or sent a message to you yet.")
    if to.whispered and session.place is not None:
        return session.hub.whisper(session, session.place, to.name, text)
    return session.hub.message(session, to.name, text)


@command("broadcast")
def broadcast(session: Session, text: Text) -> None:
    """Say something to everybody online."""
    if session.role < session.hub.rules.broadcast:
        raise NotAllowed("Only operators may broadcast here.")
    if session.place is not None:
        # Everybody in the channel would hear it too.
        session.hub.sanctions.check_talk(session.place.name, key_of(session.name))
    session.hub.broadcast(session, text)


def here(session: Session) -> Channel:
    """The channel that a session is in; for commands that need one."""
    assert session.place is not None  # when=IN_ROOM
    return session.place
