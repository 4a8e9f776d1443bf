"""Rooms: what the hub knows of a place where people talk.

The rule: a room holds its settings and its audience. Who has a place in it, and who waits for one,
is the roster's to say.
"""

import attrs

from chatd.domain.audience import Audience
from chatd.domain.names import ChannelName


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
