"""The hub: the one place where people, rooms and the journal meet.

The rule: requests come in at the upper half and only *append* to the journal; what the journal has
accepted comes back through :meth:`Hub.deliver`, the only place that changes who hears a room. So
a joiner hears exactly what comes after his join in the one order, however long a commit takes.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

import attrs

from chatd.domain.accounts import Accounts
from chatd.domain.audience import Audience
from chatd.domain.blocking import Blocking, check_heard
from chatd.domain.channels import Channels
from chatd.domain.counts import Counts
from chatd.domain.errors import (
    AlreadyLoggedIn,
    NameTaken,
    NoSuchUser,
    NotHere,
    NotStored,
)
from chatd.domain.events import (
    Announced,
    Broadcasted,
    Detached,
    Ended,
    Farewell,
    Greeted,
    Joined,
    Left,
    MailWanted,
    Messaged,
    MessageSent,
    Muted,
    Refused,
    RoomEvent,
    Said,
    Told,
    Tuned,
    Untuned,
    Watched,
    WentAfk,
    Whispered,
    WhisperSent,
)
from chatd.domain.groups import Groups
from chatd.domain.mail import Mail
from chatd.domain.names import (
    EVERYONE,
    INBOX,
    WATCHERS,
    GroupName,
    Key,
    Name,
    RoomName,
    check_free,
    key_of,
    skeleton_of,
)
from chatd.domain.ports import (
    Audit,
    Batch,
    Clock,
    Commands,
    Hearer,
    Holder,
    Journal,
    Link,
    Members,
    Passwords,
    Server,
    Spawn,
    Store,
)
from chatd.domain.records import Ban
from chatd.domain.rooms import Channel, Group
from chatd.domain.roster import MemoryRoster
from chatd.domain.rules import Rules
from chatd.domain.sanctions import Sanctions
from chatd.domain.shutdown import Shutdown
from chatd.domain.text import Text
from chatd.domain.transfers import Files
from chatd.domain.watching import Watch

_READ_AGAIN_SECONDS: Final = 1.0


@attrs.define(eq=False)
class Hub:
    """One node's chat.

    ``incident`` logs the exception being handled and returns its number; ``wait`` fires after so
    many seconds; ``log`` writes down what was seen. The journal, the server and the files are set
    once, right after construction, as they need the hub themselves.
    """

    clock: Clock
    rules: Rules
    roster: MemoryRoster
    store: Store
    passwords: Passwords
    commands: Commands
    spawn: Spawn
    wait: Callable[[float], Awaitable[object]]
    _incident: Callable[[], int]
    journal: Journal = attrs.field(init=False)
    mail: Mail = attrs.field(init=False)
    groups: Groups = attrs.field(init=False)
    watch: Watch = attrs.field(init=False)
    channels: Channels = attrs.field(init=False)
    blocking: Blocking = attrs.field(init=False)
    accounts: Accounts = attrs.field(init=False)
    _audit: Audit
    _log: Callable[[Watched], None]
    server: Server = attrs.field(init=False)
    sanctions: Sanctions = attrs.field(init=False)
    shutdown: Shutdown = attrs.field(init=False)
    files: Files = attrs.field(init=False)
    members: Members | None = None
    everyone: Audience = attrs.field(factory=Audience)
    counts: Counts = attrs.field(factory=Counts)
    closing: bool = False
    reading: int = 0
    sessions: dict[Holder, None] = attrs.field(factory=dict)
    _audiences: dict[RoomName, Audience] = attrs.field(init=False)  # of no room in particular
    _listed: tuple[Key, ...] = ()  # the groups whose members are written down outside
    _held: dict[Holder, Callable[[], None]] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.mail = Mail(self, self.rules.mailbox_lines)
        self.groups = Groups(self, self.mail, self.rules.groups_each)
        self.watch = Watch(self, self._audit, self._log)
        self.channels = Channels(self)
        self.blocking = Blocking(self)
        self.accounts = Accounts(self)
        self._audiences = {EVERYONE: self.everyone, WATCHERS: self.watch.audience}
        self.sanctions = Sanctions(self.clock)
        self.shutdown = Shutdown(self.clock, self.announce, lambda: self.server.stop())

    # Asked for by sessions and commands: these only append.

    async def greet(self, channel: Channel | None) -> Greeted:
        """What a new connection is told first."""
        if channel is None:
            return Greeted(self.rules.server, None, len(await self.roster.online()), 0)
        seats = await self.roster.seats(channel.name)
        return Greeted(self.rules.server, channel.name, seats.here, seats.capacity)

    async def check_new(self, name: Name) -> None:
        """See that a name may be taken by a new account or a guest.

        Raises:
            BadName: it is reserved.
            NameTaken: somebody has it, or one that it can be confused with.
        """
        check_free(name, self.rules.reserved)
        skeleton = skeleton_of(name)
        taken = await self.store.looks_like(skeleton) or await self.roster.looks_like(skeleton)
        # A name in another case need not look the same: NIKE and nike.
        online = await self.roster.find(name)
        if online is not None:
            taken = online.name
        if taken is not None:
            raise NameTaken(f"{name} is taken, or looks like {taken}. Please choose another name.")

    async def claim(self, name: Name, holder: Holder) -> None:
        """Take a name for a session.

        Raises:
            AlreadyLoggedIn: another session has it, and the configuration lets it.
            Banned, ShuttingDown: nobody gets in under this name, or at all.
        """
        self.sanctions.check_name(key_of(name))
        self.shutdown.check_open()
        while not await self.roster.claim(name, holder, self.clock.seconds()):
            old = await self.roster.find(name)
            if old is not None and not self.rules.replace:
                raise AlreadyLoggedIn(name)
            if old is not None:
                await old.end("You have logged in from another place.")

    def say(self, holder: Holder, channel: Channel, text: Text) -> None:
        """Say a line to everyone in a channel.

        Raises:
            StillMuted
        """
        self.sanctions.check_talk(channel.name, key_of(holder.name))
        said = Said(channel.name, holder.name, text, self.clock.seconds())
        self.journal.append(said, holder.link)

    async def whisper(self, holder: Holder, channel: Channel, to: Name, text: Text) -> None:
        """Say a line to one person in the same channel.

        Raises:
            NotHere: that person isn't in it.
            Blocked: one of the two has blocked the other.
            StillMuted
        """
        self.sanctions.check_talk(channel.name, key_of(holder.name))
        target = await self.roster.inside(channel.name, to)
        if target is None:
            raise NotHere(to)
        check_heard(holder, target.name)
        now = self.clock.seconds()
        target.tell(Whispered(holder.name, text, now))
        holder.tell(WhisperSent(target.name, text, now))

    async def message(self, holder: Holder, to: Name, text: Text) -> None:
        """Say a line to one person, wherever he is, now or at his next login.

        Raises:
            NoSuchUser, Blocked, MailboxFull
        """
        account = await self.store.account(key_of(to))
        if account is not None:
            check_heard(holder, account.name)
            await self.mail.send(holder, account, text)
            return
        target = await self.roster.find(to)
        if target is None:
            raise NoSuchUser(to)
        check_heard(holder, target.name)
        now = self.clock.seconds()
        target.tell(Messaged(holder.name, text, now))
        holder.tell(MessageSent(target.name, text, now))

    def announce(self, text: str) -> None:
        """Let everybody online hear the server."""
        self.journal.append(Announced(EVERYONE, text, self.clock.seconds()))

    def broadcast(self, holder: Holder, text: Text) -> None:
        """Say a line to everybody online."""
        told = Broadcasted(EVERYONE, holder.name, text, self.clock.seconds())
        self.journal.append(told, holder.link)

    async def only_members(self, members: frozenset[Key]) -> None:
        """End the sessions and the memberships of everybody else who has an account."""
        for name in await self.roster.online():
            holder = await self.roster.find(name)
            if holder is not None and key_of(name) not in members:
                await holder.end("You are not a member of this server any more. Goodbye.")
        self.files.look_again()
        self.groups.keep_only(members)

    async def keep_members(
        self, members: frozenset[Key], groups: Mapping[Key, tuple[Name, ...]]
    ) -> None:
        """Let only these people in, and let these groups have just these members.

        A group that was given before and no longer is ends.
        """
        await self.only_members(members)
        for key in dict.fromkeys((*self._listed, *groups)):
            self.groups.sync(GroupName(key), groups.get(key, ()))
        self._listed = tuple(groups)

    async def end_banned(self, ban: Ban) -> int:
        """End every session that a ban is about; return how many."""
        hit = [h for h in self.sessions if self.sanctions.hits(ban, h.key, h.address)]
        because = f": {ban.reason}" if ban.reason else "."
        for holder in hit:
            await holder.end(f"You have been banned from this server{because}")
        self.files.look_again()
        return len(hit)

    # Asked for when the configuration has changed.

    def go_by(self, rules: Rules) -> None:
        """Go by other rules from now on."""
        self.rules = rules
        self.mail.most, self.groups.most = rules.mailbox_lines, rules.groups_each
        self.watch.only_operators(self.sessions)

    def forget_members(self) -> None:
        """Let everybody in again; the groups of those who were written down are their own now."""
        self.members, self._listed = None, ()

    # Told by the sessions.

    def incident(self) -> int:
        """Log the exception that is being handled; return the number it has in the log."""
        self.counts.incidents += 1
        return self._incident()

    def arrived(self, holder: Holder) -> None:
        """A connection has come, whoever it may be."""
        self.counts.connections += 1
        self.sessions[holder] = None

    def gone(self, holder: Holder) -> None:
        """A connection is closed."""
        self.sessions.pop(holder, None)
        self._held.pop(holder, None)

    async def close(self, text: str) -> None:
        """Say farewell to every connection; nobody is told who leaves."""
        self.closing = True
        self.shutdown.cancel()
        for holder in list(self.sessions):
            await holder.end(text)

    def hold(self, holder: Holder, proceed: Callable[[], None]) -> None:
        """Call back once the journal has room again, if the connection is still there then."""
        self._held[holder] = proceed

    # Called by the journal.

    def deliver(self, batch: Batch) -> None:
        """Tell everyone what the journal has accepted, in its order."""
        touched: dict[Audience, None] = {}
        for event, link in batch:
            if isinstance(event, Said) and event.room[0] == INBOX:
                self._put_in_inbox(event)
            elif isinstance(event, RoomEvent):
                audience = self._gather(event, link)
                if audience is not None:
                    touched[audience] = None
            elif isinstance(event, Tuned | Untuned | Detached | MailWanted | Ended):
                self._place(event, link)
            elif link is not None:
                self.blocking.stored(event)
                _catch_up(link)
                teller = cast("Link", link)  # only rooms are heard by anything else
                teller.tell(event)
                if isinstance(event, Farewell):
                    teller.close()
        for audience in touched:
            self.counts.told_bytes += audience.flush()
        self.counts.batches += 1
        self.counts.events += len(batch)

    def refuse(self, refused: Batch) -> None:
        """Tell the authors of what could not be stored; read again what it had changed here."""
        error = NotStored()
        authors = {link for event, link in refused if isinstance(event, Said)}
        rooms: dict[RoomName, None] = {}
        for event, link in refused:
            self.blocking.not_stored(event)
            if isinstance(event, Ended):
                self.accounts.not_stored(event.room)
            changed = isinstance(event, Told) or event == Tuned(EVERYONE)
            if isinstance(event, Said) or (changed and link not in authors):
                if link is not None:
                    now = self.clock.seconds()
                    cast("Link", link).tell(Refused(error.code, str(error), now))
            elif isinstance(event, RoomEvent | Tuned | Untuned | Ended):
                rooms[event.room] = None
        for room in self.groups.spoil(rooms):
            # Changes that were made since then are in the store when this comes back.
            self.journal.append(Tuned(room))

    def drained(self) -> None:
        """The journal has room again: those who were held go on."""
        held, self._held = self._held, {}
        for proceed in held.values():
            proceed()

    def _room(self, room: RoomName) -> Channel | Group | None:
        return self.channels.get(room) or self.groups.room(room)

    def _gather(self, event: RoomEvent, link: Hearer | None) -> Audience | None:
        """Give a room its event, and change who hears it; None for a room that is no more."""
        room = self._room(event.room)
        if room is None:
            audience = self._audiences.get(event.room)
            if audience is not None:
                audience.gather(event)
            return audience
        if isinstance(event, Said):
            room.last = event.seq
        elif isinstance(event, Joined) and link is not None:
            room.audience.add(link)
        elif isinstance(event, Left | WentAfk) and link is not None:
            for hearer in self.mail.hearers(link):
                room.audience.discard(hearer)
        if isinstance(event, Left) and isinstance(room, Group):
            self.files.look_again()
        room.audience.gather(event)
        if isinstance(event, Muted) and link is not None:
            room.audience.skip(link)
        return room.audience

    def _place(
        self, event: Tuned | Untuned | Detached | MailWanted | Ended, link: Hearer | None
    ) -> None:
        """Change who hears what, where nobody is told."""
        if isinstance(event, Tuned):
            room = self._room(event.room)
            if link is not None:
                audience = self._audiences.get(event.room)
                if room is not None:
                    audience = room.audience
                if audience is not None:
                    audience.add(link)
            elif isinstance(room, Group) and room.stale:
                self.spawn(self._reload(room))
        elif isinstance(event, Untuned):
            if link is not None:
                self.watch.audience.discard(link)
        elif isinstance(event, Detached):
            for audience in () if link is None else link.audiences:
                audience.discard(link)
        elif isinstance(event, MailWanted):
            holder = self.roster.local(event.key)
            if holder is not None and holder.link is link:  # not one who came later
                holder.read_mail()
        else:
            self._ended(event.room)

    def _ended(self, room: RoomName) -> None:
        """Everything that was said in a room before its end is delivered."""
        if not self.accounts.stored(room) and not self.channels.ended(room):
            self.groups.ended(room)

    def _put_in_inbox(self, said: Said) -> None:
        holder = self.roster.local(Key(said.room[1:]))
        if holder is not None:
            _catch_up(holder.link)
            holder.mail(said)

    async def _reload(self, group: Group) -> None:
        while True:
            try:
                stored = await self.store.groups()
                break
            except Exception:  # noqa: BLE001 (whatever it is, the group waits until it is mended)
                self.incident()
                await self.wait(_READ_AGAIN_SECONDS)
        self.groups.reload(stored, group)


def _catch_up(link: Hearer) -> None:
    """Tell a link what its rooms have gathered, so that its own line comes after that."""
    for audience in link.audiences:
        audience.catch_up(link)
