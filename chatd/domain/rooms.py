"""Rooms: what the hub knows of a place where people talk.

The rule: a room holds its settings and its audience. Who has a place in it, and who waits for one,
is the roster's to say.
"""

import attrs

from chatd.domain.audience import Audience
from chatd.domain.names import ChannelName, GroupName, Key, Name, RoomName, group_room, key_of
from chatd.domain.records import StoredGroup


@attrs.define(eq=False)
class Channel:
    """A room declared in the configuration, with a capacity and a waiting queue.

    ``afk_seconds`` 0 lets people be silent for ever; ``keeps`` says whether lines are stored.
    """

    name: ChannelName
    capacity: int
    afk_seconds: int
    keeps: bool
    audience: Audience = attrs.field(factory=Audience)
    last: int = 0  # the number of the last line delivered


@attrs.define(eq=False)
class Group:
    """A room made by users. Its members are people, online or not, by their keys.

    The admin is one of the members, except for a moment in the hands of
    :class:`~chatd.domain.groups.Groups`.
    """

    name: GroupName
    admin: Key
    members: dict[Key, Name] = attrs.field(factory=dict)
    requests: dict[Key, Name] = attrs.field(factory=dict)
    forbidden: dict[Key, Name] = attrs.field(factory=dict)
    last: int = 0
    audience: Audience = attrs.field(factory=Audience)
    stale: bool = False  # a change of it could not be stored: it is about to be read again

    @property
    def room(self) -> RoomName:
        """What its events call it."""
        return group_room(self.name)

    def load(self, stored: StoredGroup) -> None:
        """Be as the store has it."""
        self.admin = stored.admin
        self.members = {key_of(name): name for name in stored.members}
        self.requests = {key_of(name): name for name in stored.requests}
        self.forbidden = {key_of(name): name for name in stored.forbidden}
