"""Direct messages, and what was said while somebody was away.

The rule: a message is one row, in the inbox it was sent to; mail is no second copy of anything but
the lines past a reader's place, of his inbox and of his groups alike. The place moves when he has
sent something after he was told, so that a crash may repeat a line and never loses one.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Protocol

import attrs

from chatd.domain.audience import Audience
from chatd.domain.errors import MailboxFull
from chatd.domain.events import Detached, Mailed, MailWanted, MessageSent, Said, Told, Tuned
from chatd.domain.names import INBOX, SERVER, Key, Name, RoomName, inbox_room, key_of
from chatd.domain.ports import Clock, Format, Hearer, Holder, Journal, Link, Store, Timer
from chatd.domain.records import Account, ReadUpTo
from chatd.domain.roster import MemoryRoster
from chatd.domain.text import Text, plural

CHUNK: Final = 500
"""Lines of mail that are read and told at once."""

MOST_HELD: Final = 16 * 1024 * 1024
"""Bytes that groups may say while somebody's mail is being told."""

_SAVE_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.1


@attrs.define(eq=False)
class Held:
    """Holds a group's lines back from a link until it was told what came before them."""

    _link: Link
    format: Format = attrs.field(init=False)
    deaf_to: frozenset[Key] = attrs.field(init=False)
    audiences: tuple[Audience, ...] = ()
    _parts: list[bytes] = attrs.field(factory=list)
    _bytes: int = 0

    def __attrs_post_init__(self) -> None:
        self.format, self.deaf_to = self._link.format, self._link.deaf_to

    def write(self, data: bytes) -> None:
        """Keep it; a client that takes too long over its mail is cut."""
        self._parts.append(data)
        self._bytes += len(data)
        if self._bytes > MOST_HELD:
            self._parts.clear()
            self._link.abort()

    def release(self) -> None:
        """Give the link what was held back, and let it hear by itself."""
        for audience in self.audiences:
            audience.discard(self)
            audience.add(self._link)
        if self._parts:
            self._link.write(b"".join(self._parts))


@attrs.define(eq=False)
class Reader:
    """How far one session has been told what there is for it. ``told`` is by room.

    ``heard_from`` is given the author of each direct message.
    """

    key: Key
    link: Link
    heard_from: Callable[[Name], object]
    held: list[Held] = attrs.field(factory=list)
    told: dict[RoomName, int] = attrs.field(factory=dict)
    loading: bool = True
    more: bool = False
    closed: bool = False
    missing: bool = False  # not all of it could be read, so that nothing counts as read
    _read: dict[RoomName, int] = attrs.field(factory=dict)

    def tell(self, said: Said) -> None:
        """Tell a line of the inbox, unless it comes with the mail that is being read."""
        if self.loading:
            self.more = True
            return
        self.told[said.room] = said.seq
        if key_of(said.author) not in self.link.deaf_to:  # blocked while it was being stored
            self.link.tell(said)
            self.note(said)

    def note(self, said: Said) -> None:
        """Note who can be answered."""
        if said.room[0] == INBOX and said.author != SERVER:
            self.heard_from(said.author)

    def acknowledge(self, live: Mapping[RoomName, int]) -> list[ReadUpTo]:
        """The client has sent something: what it was told by now, it has read.

        ``live`` has the last number of every room that it hears.
        """
        if self.loading or self.missing:
            return []
        self.told.update(live)
        news = {room: seq for room, seq in self.told.items() if seq > self._read.get(room, 0)}
        self._read.update(news)
        return [ReadUpTo(self.key, room, seq) for room, seq in news.items()]


class Desk(Protocol):
    """What mail and groups need of the hub."""

    clock: Clock
    journal: Journal
    store: Store
    roster: MemoryRoster
    wait: Callable[[float], Awaitable[object]]


@attrs.define(eq=False)
class Mail:
    """Everybody's direct messages and places. ``most`` unread ones may wait; 0 is no limit."""

    _desk: Desk
    most: int
    _read: dict[tuple[Key, RoomName], ReadUpTo] = attrs.field(factory=dict)
    _timer: Timer | None = None
    _loading: dict[Hearer, Reader] = attrs.field(factory=dict)

    async def send(self, who: Holder, to: Account, text: Text) -> None:
        """Send a line to somebody's inbox, wherever he is.

        Raises:
            MailboxFull: too many lines wait there.
        """
        last, unread = await self._desk.store.mailbox(to.key)
        if self.most and unread >= self.most:
            raise MailboxFull(to.name)
        now = self._desk.clock.seconds()
        said = self._append(to.key, who.name, text, last, who.link)
        self._desk.journal.append(MessageSent(to.name, text, now), who.link, (said,))
        if await self._desk.roster.find(to.name) is None:
            later = (
                f"{to.name} is offline; the message will be delivered when {to.name} is back.",
            )
            self._desk.journal.append(Told(later, now), who.link, (said,))

    async def notify(self, keys: Iterable[Key], text: str) -> None:
        """Let people hear something from the server, now or at their next login.

        A full mailbox doesn't take it: nobody can fill the disk by adding and expelling somebody.
        """
        for key in keys:
            last, unread = await self._desk.store.mailbox(key)
            if not self.most or unread < self.most:
                self._append(key, SERVER, Text(text), last, None)

    def begin(self, reader: Reader, groups: Iterable[RoomName]) -> None:
        """Let somebody who has logged in hear his groups, and ask for his mail."""
        for room in groups:
            held = Held(reader.link)
            reader.held.append(held)
            self._desk.journal.append(Tuned(room), held)
        self._loading[reader.link] = reader
        self._desk.journal.append(MailWanted(reader.key), reader.link)

    def end(self, reader: Reader) -> None:
        """Stop telling somebody anything."""
        reader.closed = True
        self._loading.pop(reader.link, None)
        for held in reader.held:
            self._desk.journal.append(Detached(), held)

    async def read(self, reader: Reader, live: Mapping[RoomName, int]) -> None:
        """Tell somebody what he missed, then let him hear his groups by themselves.

        ``live`` has each group's last line at the moment from which its lines are held back.
        """
        try:
            await self._tell_missed(reader, live)
        except BaseException:
            reader.missing = True
            if not reader.closed:
                text = "What you missed could not be read; it comes at your next login."
                reader.link.tell(Told((text,), self._desk.clock.seconds()))
            raise
        finally:
            self._loading.pop(reader.link, None)
            # Whatever went wrong: what is new is heard, and what was missed is there next time.
            held, reader.held, reader.loading = reader.held, [], False
            if not reader.closed:
                for one in held:
                    one.release()

    def hearers(self, link: Hearer) -> tuple[Hearer, ...]:
        """A link, and what holds the lines of its groups back for it."""
        reader = self._loading.get(link)
        return (link,) if reader is None else (link, *reader.held)

    def acknowledge(self, reader: Reader, live: Mapping[RoomName, int]) -> None:
        """The client has sent something: note how far it has read, soon."""
        for read in reader.acknowledge(live):
            self._read[read.key, read.room] = read
        if self._read and self._timer is None:
            self._timer = self._desk.clock.callLater(_SAVE_SECONDS, self._save)

    def forget(self, key: Key) -> None:
        """Note nothing any more of somebody whose account is gone.

        Or the next owner of the name would have read as many messages as he had.
        """
        self._read = {which: read for which, read in self._read.items() if which[0] != key}

    async def settle(self) -> None:
        """Store at once how far everybody has read."""
        if self._timer is not None:
            self._timer.cancel()
            await self._save()

    def _append(self, key: Key, author: Name, text: Text, last: int, link: Link | None) -> Said:
        room = inbox_room(key)
        self._desk.journal.keep(room, last)
        said = Said(room, author, text, self._desk.clock.seconds())
        self._desk.journal.append(said, link)
        return said

    @staticmethod
    def _missed(said: Said, reader: Reader, live: Mapping[RoomName, int]) -> bool:
        """Whether a group's line was said by somebody else before it was heard by itself."""
        return said.seq <= live.get(said.room, 0) and key_of(said.author) != reader.key

    async def _tell_missed(self, reader: Reader, live: Mapping[RoomName, int]) -> None:
        announced = False
        while True:
            reader.more = False
            lines = await self._desk.store.unread(reader.key, reader.told, CHUNK)
            if reader.closed:
                return
            reader.told.update((said.room, said.seq) for said in lines)
            # What came later than the moment it began to listen is held back, and told by itself;
            # so is all of a group that it has become a member of since.
            missed = tuple(
                said
                for said in lines
                if said.room[0] == INBOX or self._missed(said, reader, live)
                if key_of(said.author) not in reader.link.deaf_to
            )
            now = self._desk.clock.seconds()
            if missed and not announced:
                announced = True
                count = "many messages" if len(lines) == CHUNK else plural(len(missed), "message")
                reader.link.tell(Told((f"You have {count} from while you were away.",), now))
            if missed:
                reader.link.tell(Mailed(missed, now))
                for said in missed:
                    reader.note(said)
            if len(lines) == CHUNK:
                while reader.link.busy and not reader.closed:
                    await self._desk.wait(_LOOK_SECONDS)
            elif not reader.more:
                return

    def _save(self) -> Awaitable[None]:
        self._timer = None
        read, self._read = self._read, {}
        return self._desk.store.save_read(read.values())
