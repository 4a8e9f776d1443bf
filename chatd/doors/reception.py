"""Reception: what every door is given.

The rule: a door gets its sessions here and nowhere else, so that the limits on connections hold on
every door.
"""

from pathlib import Path

import attrs
from twisted.application.service import Service
from twisted.internet.interfaces import IProtocolFactory

from chatd.domain.errors import ChatError
from chatd.domain.events import Seen
from chatd.domain.hub import Hub
from chatd.domain.limits import Gate
from chatd.domain.ports import Codec, Link
from chatd.domain.rooms import Channel
from chatd.domain.session import Session
from chatd.doors.disk import Disk


class ListenError(Exception):
    """A door that can't open. ``str()`` is a sentence for the operator."""


@attrs.define(eq=False)
class Reception:
    """Where a door leads, and within which limits: both can change while the door is open.

    ``state`` is the directory of everything that lasts. ``factory`` makes the protocols of the
    door's connections; its ports are opened and closed by :mod:`chatd.doors.openings`. ``spool`` is
    where files are.
    """

    hub: Hub
    gate: Gate
    kind: str
    backlog_bytes: int
    channel: Channel | None
    state: Path = Path()
    spool: Disk = attrs.field(init=False)
    factory: IProtocolFactory = attrs.field(init=False)

    def session(self, link: Link, codec: Codec, address: str) -> Session:
        """A session for a connection that the gate has let in."""
        return Session.begin(self.hub, link, codec, address, self.kind, self.channel)

    def refused(self, address: str, error: ChatError) -> None:
        """Count a refusal to somebody without a session, and let operators see it."""
        self.hub.counts.refusals += 1
        where = f"{error.code} at {self.kind}"
        self.hub.watch.note(Seen.REFUSAL, address or "somebody here", where)

    def service(self, factory: IProtocolFactory) -> Service:
        """The service of a door that does nothing but make protocols for its connections."""
        self.factory = factory
        return Service()
