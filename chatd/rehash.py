"""A new configuration for a server that runs.

The rule: what can fail is done first (the file, the rooms in the store, doors and ports), and where
it fails all is as it was. What comes after that only changes numbers and moves people.
One at a time; a second one waits, as the file may be another one since the first has read it.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import attrs
from twisted.internet.defer import Deferred, DeferredLock

from chatd.changes import channel_key, differences, in_force
from chatd.config import Config
from chatd.configfile import ConfigError
from chatd.domain.errors import BadConfiguration, NotStored, TooBusy
from chatd.domain.hub import Hub
from chatd.domain.names import ChannelName, Key, RoomName, key_of, read_channel_name
from chatd.domain.rooms import Channel
from chatd.doors.openings import Openings, ways_of
from chatd.doors.reception import ListenError

_LOOK_SECONDS: Final = 0.01


class Rooms(Protocol):
    """Where lines are stored."""

    def open_more_rooms(self, names: Sequence[ChannelName]) -> "Deferred[dict[RoomName, int]]":
        """Make channels known; fires with each one's last number, or fails with NotStored."""


@attrs.define(eq=False)
class Rehash:
    """Lets a server follow its configuration. ``config`` is the one in force.

    ``read`` reads the one to be, ``follow`` lets everything that has only numbers go by it.
    """

    config: Config
    _read: Callable[[], Config]
    _follow: Callable[[Config], object]
    _hub: Hub
    _rooms: Rooms
    _openings: Openings
    _turn: DeferredLock = attrs.field(factory=DeferredLock)
    _stopped: bool = False

    async def run(self) -> tuple[str, ...]:
        """Read the configuration, apply it, and say what is different.

        Raises:
            BadConfiguration: it has mistakes, or something of it can't be had; nothing was changed.
            TooBusy: the server is stopping.
        """
        await self._turn.acquire()
        try:
            if self._stopped:
                raise TooBusy("The server is stopping.")
            return await self._apply(self._read())
        except (ConfigError, ListenError) as error:
            raise BadConfiguration(str(error)) from None
        except NotStored:
            raise BadConfiguration("The database can't be written to.") from None
        finally:
            self._turn.release()

    async def stop(self) -> None:
        """Let the one under way come to its end, and refuse all that come after it."""
        self._stopped = True
        await self._turn.acquire()
        self._turn.release()

    async def _apply(self, wanted: Config) -> tuple[str, ...]:
        new = in_force(self.config, wanted)
        before = {key_of(channel.name): channel for channel in self._hub.channels.all()}
        channels = {
            channel_key(one): before.get(channel_key(one))
            or Channel(read_channel_name(one.name), one.capacity, one.afk_seconds, False)
            for one in new.channels
        }
        added = [channel for key, channel in channels.items() if key not in before]
        while any(self._hub.channels.is_ending(channel.name) for channel in added):
            await self._hub.wait(_LOOK_SECONDS)
        to_keep = [
            channel.name
            for one, channel in zip(new.channels, channels.values(), strict=True)
            if one.history and not channel.keeps
        ]
        last = await self._rooms.open_more_rooms(to_keep) if to_keep else {}
        for channel in added:
            self._hub.channels.open(channel)
        try:
            await self._openings.change(ways_of(new, channels.values()))
        except BaseException:
            for channel in added:
                await self._hub.channels.close(channel)
            raise
        gone = [channel for key, channel in before.items() if key not in channels]
        moved = await self._follow_channels(new, channels, gone, last)
        self._follow(new)
        old, self.config = self.config, new
        return differences(old, wanted, moved)

    async def _follow_channels(
        self,
        new: Config,
        channels: dict[Key, Channel],
        gone: Sequence[Channel],
        last: dict[RoomName, int],
    ) -> dict[Key, int]:
        """Let the channels be as they are configured; return how many people lose theirs."""
        hub = self._hub
        moved = {key_of(one.name): await hub.channels.close(one) for one in gone}
        hub.channels.order(channels.values())
        for one, channel in zip(new.channels, channels.values(), strict=True):
            await hub.channels.change(channel, one.capacity, one.afk_seconds)
            if channel.keeps and not one.history:
                hub.journal.forget(channel.name)
            elif one.history and not channel.keeps:
                hub.journal.keep(channel.name, last[channel.name])
            channel.keeps = one.history
        return moved
