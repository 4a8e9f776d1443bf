"""What the tests of files share: a world whose store can be slow or full, and what a door does."""

from collections.abc import Callable, Sequence
from typing import Final

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from chatd.domain.errors import NotStored
from chatd.domain.events import Event, Refused, TicketGiven, Told, Way
from chatd.domain.names import Key
from chatd.domain.records import Offer, Transfer
from chatd.domain.session import Session
from chatd.domain.transfers import Claim
from tests.fakes import World, result_of, sent_to
from tests.stored import SlowStore, stored_world

SUM: Final = "ab" * 32

Words = list[str | TicketGiven]


@attrs.define(eq=False)
class FileStore(SlowStore):
    """A store that answers when the test lets it; ``full`` takes nothing about files."""

    full: bool = False

    def add_transfer(self, transfer: Transfer, offers: Sequence[Offer]) -> Deferred[Transfer]:
        """As MemoryStore, when it is time."""
        if self.full:
            return fail(NotStored())
        return self._later("add_transfer", super().add_transfer(transfer, offers))

    def set_transfer(self, transfer: Transfer) -> Deferred[None]:
        """As MemoryStore, when it is time."""
        if self.full:
            return fail(NotStored())
        return self._later("set_transfer", super().set_transfer(transfer))

    def set_offer(self, transfer: int, offer: Offer) -> Deferred[None]:
        """As MemoryStore, when it is time."""
        return self._later("set_offer", super().set_offer(transfer, offer))

    def remove_offer(self, transfer: int, key: Key) -> Deferred[None]:
        """As MemoryStore, when it is time."""
        return self._later("remove_offer", super().remove_offer(transfer, key))

    def remove_transfer(self, transfer: int) -> Deferred[None]:
        """As MemoryStore, when it is time."""
        if self.full:
            return fail(NotStored())
        return self._later("remove_transfer", super().remove_transfer(transfer))


def files_world(clock: Clock) -> World:
    """A world with such a store, and a journal that stores."""
    return stored_world(clock, FileStore())


def file_store(world: World) -> FileStore:
    """The store of such a world."""
    assert isinstance(world.store, FileStore)
    return world.store


def restarted(world: World) -> World:
    """The same server after a restart: its store and its disk, and nobody online."""
    again = stored_world(world.clock, world.store)
    again.spool, again.tickets = world.spool, world.tickets
    again.hub.files._spool = world.spool
    again.hub.files.load(world.store.transfers())
    return again


def words(events: list[bytes | Event]) -> Words:
    """What somebody was told, as far as it is about files: sentences, and tickets."""
    found: Words = []
    for event in events:
        if isinstance(event, Told):
            found += event.lines
        elif isinstance(event, Refused):
            found.append(event.text)
        elif isinstance(event, TicketGiven):
            found.append(event)
    return found


def heard(*sessions: Session) -> list[Words]:
    """What each of these was told since the last call."""
    return [words(sent_to(session)) for session in sessions]


def ticket_in(told: Words) -> TicketGiven:
    """The one ticket among what somebody was told."""
    (given,) = (one for one in told if isinstance(one, TicketGiven))
    return given


def asked(world: World, session: Session, line: str) -> Words:
    """What somebody is told for a line of his own, and for nothing before that."""
    return words(world.ask(session, line))


def send(world: World, sender: Session, line: str) -> TicketGiven:
    """Announce a file, as "bob notes.pdf 100"; the ticket for it."""
    return ticket_in(asked(world, sender, f"send {line}"))


def ignore() -> None:
    """Nothing."""


def claim(world: World, ticket: str, way: Way, cut: Callable[[], object] = ignore) -> Claim:
    """Come to the files port with a ticket."""
    return result_of(world.hub.files.claim(ticket, way, cut))


def begin(world: World, ticket: str, offset: int = 0, size: int | None = None) -> Claim:
    """Begin to send, or go on."""
    made = claim(world, ticket, Way.PUT)
    world.hub.files.begin(made, offset, size)
    world.spool.files[made.transfer.spool] = offset
    return made


def bring(world: World, made: Claim, count: int) -> None:
    """Send so many bytes more."""
    world.hub.files.took(made, count)
    world.spool.files[made.transfer.spool] += count


def stop(world: World, made: Claim) -> None:
    """End an upload, complete or not."""
    upto = world.spool.files.get(made.transfer.spool, 0)
    result_of(world.hub.files.release(made, upto))
    world.turn()


def complete(world: World, made: Claim) -> None:
    """Have sent everything."""
    try:
        result_of(world.hub.files.finish(made, world.spool.files[made.transfer.spool], SUM))
    finally:
        stop(world, made)


def put(world: World, given: TicketGiven, size: int = 100) -> None:
    """Send all of a file."""
    made = begin(world, given.ticket)
    bring(world, made, size)
    complete(world, made)


def fetch(world: World, given: TicketGiven, start: int = 0, end: int = 100) -> None:
    """Fetch a file, or a part of it."""
    made = claim(world, given.ticket, Way.GET)
    result_of(world.hub.files.gave(made, start, end))
    world.turn()


def offered(world: World, sender: Session, recipient: Session, line: str) -> TicketGiven:
    """Send a file; the ticket of somebody to whom it is offered."""
    put(world, send(world, sender, line))
    return ticket_in(words(sent_to(recipient)))
