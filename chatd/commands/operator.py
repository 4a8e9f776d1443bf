"""Commands: what operators do to people and channels, and to the server as a whole.

The rule: the table lets only operators use them, and writes each use into the audit log, refused
ones too; here is only what an act does.
"""

from typing import Final

from chatd.commands.table import LOGGED_IN, Caller, Duration, Word, command
from chatd.domain.errors import (
    BadArguments,
    NotHere,
    NotInChannel,
    NotOnline,
    NotSanctioned,
    NotYourself,
)
from chatd.domain.events import Muted, Told
from chatd.domain.names import Name, key_of, read_name
from chatd.domain.ports import Holder
from chatd.domain.records import Ban, Mute, Role
from chatd.domain.rooms import Channel
from chatd.domain.sanctions import read_network, show_network
from chatd.domain.text import Text, plural, spell

_NO_REASON: Final = Text("")
_AT_ONCE: Final = Duration(0)
_FOR_EVER: Final = Duration(0)
_MOST_DIGITS: Final = 9
_SHOWN: Final = 100


@command("kick", needs=Role.OPERATOR, when=LOGGED_IN)
async def kick(caller: Caller, target: Word, reason: Text = _NO_REASON) -> None:
    """Close somebody's connection: as "CHANNEL:NAME" if he is in that channel, as "NAME" anyway."""
    if ":" in target:
        channel, name = _place(caller, target)
        holder = await caller.hub.roster.inside(channel.name, name)
        if holder is None:
            raise NotInChannel(name, channel.name)
        where = f"from the {channel.name} channel"
    else:
        holder = await caller.hub.roster.find(read_name(target))
        if holder is None:
            raise NotOnline(target)
        where = "off this server"
    _check_other(caller, holder)
    await holder.end(f"You have been kicked {where}{_because(reason)}")
    caller.answer(f"Kicked {holder.name}.")


@command("mute", needs=Role.OPERATOR, when=LOGGED_IN)
async def mute(caller: Caller, target: Word, seconds: Word, reason: Text = _NO_REASON) -> None:
    """Let somebody, as "CHANNEL:NAME", not talk in that channel for so many seconds."""
    hub = caller.hub
    channel, holder = await _somebody_in(caller, target)
    digits = seconds.isascii() and seconds.isdigit() and len(seconds) <= _MOST_DIGITS
    length = int(seconds) if digits else 0
    if not length:
        raise BadArguments("Invalid mute time.")
    now, key = hub.clock.seconds(), key_of(holder.name)
    muted = Mute(channel.name, key, now + length)
    await hub.store.save_mute(muted)
    hub.sanctions.mute(muted)
    span = plural(length, "second")
    # He may have gone while that was being stored, and have come back.
    present = await hub.roster.inside(channel.name, holder.name)
    if present is not None:
        present.muted(muted.until)
        present.tell(Told((f"You have been muted for {span}{_because(reason)}",), now))
        hub.journal.append(Muted(channel.name, holder.name, length, now), present.link)
    caller.answer(f"Muted {holder.name} for {span}.")


@command("unmute", needs=Role.OPERATOR, when=LOGGED_IN)
async def unmute(caller: Caller, target: Word) -> None:
    """Let somebody, as "CHANNEL:NAME", talk in that channel again."""
    hub = caller.hub
    channel, name = _place(caller, target)
    if not hub.sanctions.muted_until(channel.name, key_of(name)):
        raise NotSanctioned(f"{name} is not muted.")
    await hub.store.forget_sanctions([], [(channel.name, key_of(name))])
    hub.sanctions.unmute(channel.name, key_of(name))
    holder = await hub.roster.inside(channel.name, name)
    if holder is not None:
        holder.muted(0.0)
        holder.tell(Told(("You are no longer muted.",), hub.clock.seconds()))
    caller.answer(f"{name} is no longer muted.")


@command("empty", needs=Role.OPERATOR, when=LOGGED_IN)
async def empty(caller: Caller, target: Word, reason: Text = _NO_REASON) -> None:
    """Put everybody out of a channel; those who wait for it get in then."""
    channel = caller.hub.channels.find(target)
    caller.answer(f"{channel.name} has been emptied.")
    await caller.hub.channels.empty(
        channel, f"The {channel.name} channel has been emptied{_because(reason)}"
    )


@command("ban", needs=Role.OPERATOR, when=LOGGED_IN)
async def ban(
    caller: Caller, target: Word, duration: Duration = _FOR_EVER, reason: Text = _NO_REASON
) -> None:
    """Keep a name, an address or a network out, for ever or for a time as 30s, 10m, 12h or 7d."""
    hub, now = caller.hub, caller.hub.clock.seconds()
    until = now + duration if duration else 0.0
    made = Ban(_ban_target(target), until, reason, caller.name, now)
    if hub.sanctions.hits(made, caller.key, caller.address):
        raise NotYourself("That would ban you too.")
    await hub.store.save_ban(made)
    hub.sanctions.ban(made)
    count = await hub.end_banned(made)
    for_time = f"for {spell(duration)}" if duration else "for ever"
    ended = f" {plural(count, 'session')} ended." if count else ""
    caller.answer(f"Banned {made.target} {for_time}.{ended}")


@command("unban", needs=Role.OPERATOR, when=LOGGED_IN)
async def unban(caller: Caller, target: Word) -> None:
    """Let a name, an address or a network in again."""
    hub, which = caller.hub, _ban_target(target)
    if which not in {made.target for made in hub.sanctions.bans()}:
        raise NotSanctioned(f"{which} is not banned.")
    await hub.store.forget_sanctions([which], [])
    hub.sanctions.unban(which)
    caller.answer(f"{which} is no longer banned.")


@command("bans", needs=Role.OPERATOR, when=LOGGED_IN)
def bans(caller: Caller) -> None:
    """List who is banned, for how long, by whom and why; the latest at the end."""
    now, made = caller.hub.clock.seconds(), caller.hub.sanctions.bans()
    rows = [_described(one, now) for one in made[-_SHOWN:]]
    if len(made) > _SHOWN:
        rows.append(f"and {len(made) - _SHOWN} older ones.")
    caller.answer(*(rows or ["Nobody is banned."]))


@command("announce", needs=Role.OPERATOR, when=LOGGED_IN)
def announce(caller: Caller, text: Text) -> None:
    """Let everybody online hear something from the server."""
    caller.hub.announce(text)
    caller.answer(f"Announced to {len(caller.hub.everyone)} online.")


@command("watch", needs=Role.OPERATOR, when=LOGGED_IN)
def watch(caller: Caller) -> None:
    """See joins, leaves, logins, refusals and operator acts as they happen; again: no longer."""
    hub = caller.hub
    on = hub.watch.audience not in caller.link.audiences
    hub.watch.let(caller.link, on=on)
    caller.answer("You are watching." if on else "You are no longer watching.")


@command("shutdown", needs=Role.OPERATOR, when=LOGGED_IN)
def shutdown(caller: Caller, seconds: Duration = _AT_ONCE, reason: Text = _NO_REASON) -> None:
    """Stop the server after so many seconds, or at once, with everything stored."""
    caller.answer(f"The server stops in {spell(seconds)}." if seconds else "The server stops now.")
    caller.hub.shutdown.begin(seconds, reason)


@command("shutdown cancel", needs=Role.OPERATOR, when=LOGGED_IN)
def shutdown_cancel(caller: Caller) -> None:
    """Take a shutdown back."""
    if not caller.hub.shutdown.cancel():
        raise NotSanctioned("No shutdown is under way.")
    caller.hub.announce("The shutdown is cancelled.")
    caller.answer("The shutdown is cancelled.")


@command("rehash", needs=Role.OPERATOR, when=LOGGED_IN)
async def rehash(caller: Caller) -> None:
    """Read the configuration again, and apply what can change while the server runs."""
    caller.answer(*await caller.hub.server.rehash())


@command("stats", needs=Role.OPERATOR, when=LOGGED_IN)
async def stats(caller: Caller) -> None:
    """Show what the server counts; times are in seconds."""
    counted = await caller.hub.server.stats()
    caller.answer(*(f"{name} {_number(value)}" for name, value in counted.items()))


def _place(caller: Caller, target: str) -> tuple[Channel, Name]:
    """The channel and the person of "CHANNEL:NAME"."""
    place, colon, name = target.partition(":")
    if not (colon and place and name):
        raise BadArguments("Write the channel and the name as general:bob.")
    return caller.hub.channels.find(place), read_name(name)


async def _somebody_in(caller: Caller, target: str) -> tuple[Channel, Holder]:
    channel, name = _place(caller, target)
    holder = await caller.hub.roster.inside(channel.name, name)
    if holder is None:
        raise NotHere(name)
    return channel, holder


def _check_other(caller: Caller, holder: Holder) -> None:
    if holder.link is caller.link:
        raise NotYourself("You can't kick yourself; /quit leaves.")


def _ban_target(target: str) -> str:
    """What a ban is kept under: a name's key, or an address or a network in its usual form."""
    network = read_network(target)
    if network is not None:
        return show_network(network)
    if target[0].isdigit() or ":" in target or "/" in target:
        raise BadArguments(f"{target} is neither an address nor a network.")
    return key_of(read_name(target))


def _described(made: Ban, now: float) -> str:
    left = f"for {spell(made.until - now)} more" if made.until else "for ever"
    return f"{made.target}, {left}, by {made.by}{_because(made.reason)}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _because(reason: str) -> str:
    """The end of a sentence, with the reason where there is one."""
    return f": {reason}" if reason else "."
