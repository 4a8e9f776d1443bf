"""Commands: channels, who is in them, and what was said there."""

from typing import Final

from chatd.commands.table import IN_ROOM, LOGGED_IN, Caller, Word, command
from chatd.commands.talk import here
from chatd.domain.errors import BadArguments, NotNow, TooBusy
from chatd.domain.events import ChannelsListed, Recalled
from chatd.domain.names import key_of
from chatd.domain.session import Session

_USUAL_LINES: Final = 20


@command("list", when=LOGGED_IN)
async def list_channels(caller: Caller) -> None:
    """List the channels: how many are in each, how many may be, how many wait."""
    caller.tell(ChannelsListed(await caller.hub.channels.rows()))


@command("switch", when=LOGGED_IN)
async def switch(session: Session, channel: Word) -> None:
    """Leave this channel, or its queue, for another one."""
    place, channels = session.place, session.hub.channels
    if session.group is not None and place is not None and place is channels.find(channel):
        # The lines went to a group, and now they go to the channel again.
        session.talk_in(None)
        session.answer(f"You are talking in the {place.name} channel again.")
        return
    target = channels.destination(channel, session.place)
    session.talk_in(None)
    if session.place is not None:
        await session.leave()
    await session.enter(target)


@command("who", when=IN_ROOM)
async def who(session: Session) -> None:
    """List who is in this channel."""
    names = await session.hub.roster.here(here(session).name)
    session.answer(f"{len(names)} here: {', '.join(names)}.")


@command("history", when=IN_ROOM)
async def history(session: Session, lines: int = _USUAL_LINES) -> None:
    """Show the last lines that were said in this channel."""
    hub, channel = session.hub, here(session)
    if not channel.keeps:
        raise NotNow("This channel keeps no history.")
    most = hub.rules.history_lines
    if most and lines == _USUAL_LINES:
        lines = min(lines, most)
    if lines < 1 or (most and lines > most):
        raise BadArguments(f"That is a number from 1 to {most}." if most else "At least 1.")
    if hub.rules.history_reads and hub.reading >= hub.rules.history_reads:
        raise TooBusy("Many are reading the history just now, please try again in a moment.")
    hub.reading += 1
    try:
        stored = await hub.store.history(channel.name, lines)
    finally:
        hub.reading -= 1
    # Lines are stored for everybody, those of whom one has blocked too.
    said = [one for one in stored if key_of(one.author) not in session.link.deaf_to]
    if said:
        session.tell(Recalled(tuple(said), hub.clock.seconds()))
    else:
        session.answer("Nothing was said here yet.")
