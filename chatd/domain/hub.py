"""The hub: the one place where people, rooms and the journal meet.

The rule: requests come in at the upper half and only *append* to the journal; what the journal has
accepted comes back through :meth:`Hub.deliver`, the only place that changes who hears a room. So
a joiner hears exactly what comes after his join in the one order, however long a commit takes.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, cast

import attrs

from chatd.domain.audience import Audience
from chatd.domain.counts import Counts
from chatd.domain.errors import (
    AlreadyLoggedIn,
    BadName,
    Blocked,
    CannotSwitch,
    NameTaken,
    NoSuchChannel,
    NoSuchUser,
    NotAllowed,
    NotHere,
    NotNow,
    NotStored,
)
from chatd.domain.events import (
    Announced,
    Broadcasted,
    ChannelRow,
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
    Queued,
    Refused,
    RoomEvent,
    Said,
    Seen,
    Told,
    Tuned,
    Untuned,
    Watched,
    Welcomed,
    WentAfk,
    Whispered,
    WhisperSent,
)
from chatd.domain.groups import Groups
from chatd.domain.limits import TokenBucket
from chatd.domain.mail import Mail
from chatd.domain.names import (
    EVERYONE,
    INBOX,
    WATCHERS,
    ChannelName,
    GroupName,
    Key,
    Name,
    RoomName,
    check_free,
    inbox_room,
    key_of,
    read_channel_name,
    skeleton_of,
)
from chatd.domain.ports import (
    Account,
    AccountRemoved,
    Act,
    Audit,
    Ban,
    Batch,
    Blocks,
    BlockSet,
    Clock,
    Commands,
    Hearer,
    Holder,
    Journal,
    Link,
    Members,
    Passwords,
    Role,
    Server,
    Spawn,
    Store,
)
from chatd.domain.rooms import Channel, Group
from chatd.domain.roster import MemoryRoster, Moves
from chatd.domain.sanctions import Sanctions
from chatd.domain.shutdown import Shutdown
from chatd.domain.text import Text, clean

_READ_AGAIN_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.01
_REFUSALS: Final = 100  # written down at once, and so many a second after that
_REFUSALS_SECOND: Final = 1.0


@attrs.frozen
class Rules:
    """What the configuration says of people, and of how much one session may ask for."""

    server: str
    register: bool
    guests: bool
    replace: bool
    reserved: frozenset[Key]
    operators: frozenset[Key]
    login_seconds: int
    line_bytes: int
    broadcast: Role
    mailbox_lines: int
    groups_each: int
    lines_per_second: float
    burst: int
    waiting_requests: int
    history_lines: int
    history_reads: int


@attrs.define(eq=False)
class Hub:
    """One node's chat.

    ``incident`` logs the exception being handled and returns its number; ``wait`` fires after so
    many seconds; ``log`` writes down what was seen. The journal and the server are set once, right
    after construction, as they need the hub themselves.
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
    audit: Audit
    log: Callable[[Watched], None]
    server: Server = attrs.field(init=False)
    sanctions: Sanctions = attrs.field(init=False)
    shutdown: Shutdown = attrs.field(init=False)
    members: Members | None = None
    everyone: Audience = attrs.field(factory=Audience)
    watchers: Audience = attrs.field(factory=Audience)
    counts: Counts = attrs.field(factory=Counts)
    closing: bool = False
    reading: int = 0
    sessions: dict[Holder, None] = attrs.field(factory=dict)
    removed: dict[Key, float] = attrs.field(factory=dict)  # accounts, with when they were opened
    changes: int = 0  # that operators have made to accounts
    _changed: dict[Key, int] = attrs.field(factory=dict)  # each account's last one
    _refusals: TokenBucket = attrs.field(init=False)  # those that are written down
    _attempts: TokenBucket = attrs.field(init=False)  # the same of what only operators may do
    _audiences: dict[RoomName, Audience] = attrs.field(init=False)  # of no room in particular
    _rooms: dict[RoomName, Channel] = attrs.field(factory=dict)
    _by_key: dict[Key, Channel] = attrs.field(factory=dict)
    _emptying: dict[RoomName, None] = attrs.field(factory=dict)
    _listed: tuple[Key, ...] = ()  # the groups whose members are written down outside
    _held: dict[Holder, Callable[[], None]] = attrs.field(factory=dict)
    # By the id of the answer that waits in the journal until the change is stored.
    _blocking: dict[int, BlockSet] = attrs.field(factory=dict)
    # Inboxes whose accounts are about to go: until that is stored, or None where it could not be.
    _removing: dict[RoomName, bool | None] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.mail = Mail(self, self.rules.mailbox_lines)
        self.groups = Groups(self, self.mail, self.rules.groups_each)
        now = self.clock.seconds()
        self._refusals = TokenBucket.full(_REFUSALS_SECOND, _REFUSALS, now)
        self._attempts = TokenBucket.full(_REFUSALS_SECOND, _REFUSALS, now)
        self._audiences = {EVERYONE: self.everyone, WATCHERS: self.watchers}
        self.sanctions = Sanctions(self.clock)
        self.shutdown = Shutdown(self.clock, self.announce, lambda: self.server.stop())

    # Asked for by sessions and commands: these only append.

    def open(self, channel: Channel) -> None:
        """Make a channel known; the order of these calls is the order of lists."""
        self._rooms[channel.name] = self._by_key[key_of(channel.name)] = channel
        self.roster.open(channel.name, channel.capacity)

    def channel(self, text: str) -> Channel:
        """The channel that somebody named, in any case.

        Raises:
            NoSuchChannel: there is none.
        """
        try:
            return self._by_key[key_of(read_channel_name(text))]
        except (BadName, KeyError):
            raise NoSuchChannel(clean(text)) from None

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

    def account_changed(self, key: Key) -> None:
        """Take note: whoever is just now logging in has read the account as it was before."""
        self.changes += 1
        self._changed[key] = self.changes

    def check_current(self, account: Account, changes: int) -> None:
        """See that an account is as it was read, after so many changes by operators.

        Raises:
            NoSuchUser: it has been removed.
            NotNow: it has another password, or another role.
        """
        if self.removed.get(account.key) == account.created:
            raise NoSuchUser(account.name)
        if self._changed.get(account.key, 0) > changes:
            raise NotNow("Your account has been changed just now; please log in again.")

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

    async def enter(self, holder: Holder, channel: Channel) -> bool:
        """Take a place in a channel, or in its queue, where the answer is False."""
        ahead = await self.roster.enter(channel.name, holder)
        if ahead is not None:
            holder.tell(Queued(ahead, self.clock.seconds()))
            return False
        self._admit(holder, channel)
        return True

    async def leave(self, holder: Holder, channel: Channel, *told: RoomEvent) -> None:
        """Give a place in a channel back and let the queue move up.

        ``told`` is what those who remain hear; nothing for somebody who only waited.
        """
        moves = await self.roster.leave(channel.name, holder)
        if self.closing:
            return
        if channel.name not in self._emptying:
            for event in told:
                self.journal.append(event, holder.link)
        if told:
            self.note(Seen.LEAVE, holder.name, channel.name, logged=False)
        self._move(channel, moves)

    def destination(self, name: str, now_in: Channel | None) -> Channel:
        """The channel of that name, for somebody who is in ``now_in``.

        Raises:
            NoSuchChannel, CannotSwitch: the name is there already.
        """
        channel = self.channel(name)
        if channel is now_in:
            raise CannotSwitch(channel.name)
        return channel

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

    def watch(self, link: Hearer, *, on: bool) -> None:
        """Let somebody see what happens, or no longer."""
        self.journal.append(Tuned(WATCHERS) if on else Untuned(WATCHERS), link)

    def appoint(self, holder: Holder, role: Role) -> None:
        """Let somebody online have another role from now on."""
        holder.appoint(role)
        if holder.role < Role.OPERATOR:
            self.watch(holder.link, on=False)  # even if it has only now asked to

    def only_operators_watch(self) -> None:
        """Let nobody see what happens who is no operator any more."""
        for holder in self.sessions:
            if self.watchers in holder.link.audiences and holder.role < Role.OPERATOR:
                self.watch(holder.link, on=False)

    def note(self, what: Seen, who: str, text: str = "", *, logged: bool = True) -> None:
        """Let operators see something live, and where it is ``logged`` in the log too.

        Of refusals only so many are logged that nobody can fill the disk with them.
        """
        watched = Watched(WATCHERS, what, who, text, self.clock.seconds())
        if logged and (what is not Seen.REFUSAL or self._refusals.take(watched.at)):
            self.log(watched)
        if len(self.watchers) and not self.closing:
            self.journal.append(watched)

    def audited(self, act: Act) -> None:
        """Write down what an operator did, or somebody tried to; see :meth:`note` on refusals."""
        self.counts.acts += 1
        if act.result == NotAllowed.code and not self._attempts.take(act.at):
            return
        self.audit.note(act)
        words = (act.act, act.target, act.arguments, act.result)
        self.note(Seen.ACT, act.who, " ".join(word for word in words if word))

    def broadcast(self, holder: Holder, text: Text) -> None:
        """Say a line to everybody online."""
        told = Broadcasted(EVERYONE, holder.name, text, self.clock.seconds())
        self.journal.append(told, holder.link)

    async def block(self, holder: Holder, name: Name, *, on: bool) -> None:
        """Let two people hear nothing of each other, or hear each other again."""
        change = BlockSet(key_of(holder.name), key_of(name), on)
        words = "You have blocked" if on else "You no longer block"
        told = Told((f"{words} {name}.",), self.clock.seconds())
        self._blocking[id(told)] = change
        self._change_block(change)
        self.journal.append(told, holder.link, (change,))

    def with_changes(self, key: Key, stored: Blocks) -> Blocks:
        """Somebody's blocks from the store, with those that are still on their way into it."""
        for change in self._blocking.values():
            stored = _changed(stored, key, change)
        return stored

    async def remove(self, account: Account) -> None:
        """Let an account be no more. It is stored with what its groups become by that.

        Raises:
            NotStored: the account is still there.
        """
        key, inbox = account.key, inbox_room(account.key)
        self.groups.forget(key)
        self.mail.forget(key)
        self.forget_blocks(key)
        self._removing[inbox] = True
        self.journal.append(Ended(inbox), None, (AccountRemoved(key),))
        while self._removing[inbox]:
            await self.wait(_LOOK_SECONDS)
        if self._removing.pop(inbox) is None:
            raise NotStored
        self.journal.forget(inbox)

    def forget_blocks(self, key: Key) -> None:
        """Let nobody online block somebody whose account is gone: the name may be another's."""
        for holder in self.sessions:
            blocks = holder.blocks
            if key in blocks.blocked | blocks.blocked_by:
                holder.block(Blocks(blocks.blocked - {key}, blocks.blocked_by - {key}))

    async def only_members(self, members: frozenset[Key]) -> None:
        """End the sessions and the memberships of everybody else who has an account."""
        for name in await self.roster.online():
            holder = await self.roster.find(name)
            if holder is not None and key_of(name) not in members:
                await holder.end("You are not a member of this server any more. Goodbye.")
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

    async def empty(self, channel: Channel, text: str) -> None:
        """Put everybody out of a channel with these words; nobody comes in before all are out."""
        # Nobody who is put out needs to hear of the others.
        self._emptying[channel.name] = None
        await self.roster.resize(channel.name, 0)
        try:
            for name in await self.roster.here(channel.name):
                holder = await self.roster.inside(channel.name, name)
                if holder is not None:
                    await holder.end(text)
        finally:
            self._emptying.pop(channel.name, None)
            self._move(channel, await self.roster.resize(channel.name, channel.capacity))

    async def end_banned(self, ban: Ban) -> int:
        """End every session that a ban is about; return how many."""
        hit = [h for h in self.sessions if self.sanctions.hits(ban, h.key, h.address)]
        because = f": {ban.reason}" if ban.reason else "."
        for holder in hit:
            await holder.end(f"You have been banned from this server{because}")
        return len(hit)

    async def rows(self) -> tuple[ChannelRow, ...]:
        """Every channel with its numbers, in the configuration's order."""
        rows = []
        for channel in self.channels():
            seats = await self.roster.seats(channel.name)
            rows.append(ChannelRow(channel.name, seats.here, seats.capacity, seats.waiting))
        return tuple(rows)

    # Asked for when the configuration has changed.

    def go_by(self, rules: Rules) -> None:
        """Go by other rules from now on."""
        self.rules = rules
        self.mail.most, self.groups.most = rules.mailbox_lines, rules.groups_each
        self.only_operators_watch()

    async def change(self, channel: Channel, capacity: int, afk_seconds: int) -> None:
        """Let a channel have more or fewer places, and another bound on silence.

        Nobody is put out by that: who is silent is so from now on.
        """
        if afk_seconds != channel.afk_seconds:
            channel.afk_seconds = afk_seconds
            for holder in self.sessions:
                holder.count_silence(channel.name)
        channel.capacity = capacity
        self._move(channel, await self.roster.resize(channel.name, capacity))

    async def close_channel(self, channel: Channel) -> int:
        """Let a channel be no more, and its people be in the lobby; return how many they are."""
        del self._by_key[key_of(channel.name)]
        for holder in self.sessions:
            holder.channel_closed(channel.name)
        # What was said in it is still to be delivered before it is gone.
        self.journal.append(Ended(channel.name))
        return await self.roster.close(channel.name)

    def channels(self) -> tuple[Channel, ...]:
        """Every channel, in the configuration's order."""
        return tuple(self._by_key.values())

    def is_ending(self, name: ChannelName) -> bool:
        """Whether a channel of that name is closed, but not all that was said in it delivered."""
        return name in self._rooms and key_of(name) not in self._by_key

    def order(self, channels: Iterable[Channel]) -> None:
        """List the channels in this order."""
        self._by_key = {key_of(channel.name): channel for channel in channels}

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
                self._blocking.pop(id(event), None)
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
            change = self._blocking.pop(id(event), None)
            if change is not None:
                self._change_block(attrs.evolve(change, on=not change.on))
            if isinstance(event, Ended) and event.room in self._removing:
                self._removing[event.room] = None
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
        return self._rooms.get(room) or self.groups.room(room)

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
                self.watchers.discard(link)
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
        if room in self._removing:
            self._removing[room] = False
            return
        channel = self._rooms.get(room)
        if channel is None:
            self.groups.ended(room)
        else:
            channel.audience.dissolve()
            del self._rooms[room]
            self.journal.forget(room)

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

    def _change_block(self, change: BlockSet) -> None:
        for key in (change.blocker, change.blocked):
            holder = self.roster.local(key)
            if holder is not None:
                holder.block(_changed(holder.blocks, key, change))

    def _admit(self, holder: Holder, channel: Channel) -> None:
        now = self.clock.seconds()
        holder.admitted()
        holder.tell(Welcomed(holder.name, channel.name, self.rules.server, now))
        self.journal.append(Joined(channel.name, holder.name, now), holder.link)
        self.note(Seen.JOIN, holder.name, channel.name, logged=False)

    def _move(self, channel: Channel, moves: Moves) -> None:
        for holder in moves.admitted:
            self._admit(holder, channel)
        for holder, ahead in moves.waiting:
            holder.tell(Queued(ahead, self.clock.seconds()))


def _catch_up(link: Hearer) -> None:
    """Tell a link what its rooms have gathered, so that its own line comes after that."""
    for audience in link.audiences:
        audience.catch_up(link)


def _changed(blocks: Blocks, key: Key, change: BlockSet) -> Blocks:
    """Somebody's blocks after a change of somebody's."""
    if key == change.blocker:
        other = frozenset({change.blocked})
        mine = blocks.blocked | other if change.on else blocks.blocked - other
        return attrs.evolve(blocks, blocked=mine)
    if key == change.blocked:
        other = frozenset({change.blocker})
        by = blocks.blocked_by | other if change.on else blocks.blocked_by - other
        return attrs.evolve(blocks, blocked_by=by)
    return blocks


def check_heard(holder: Holder, name: Name) -> None:
    """See that two people may hear each other.

    Raises:
        Blocked: one of them has blocked the other.
    """
    key = key_of(name)
    if key in holder.blocks.blocked_by:
        raise Blocked(f"{name} has blocked you.")
    if key in holder.blocks.blocked:
        raise Blocked(f"You have blocked {name}; /unblock comes first.")
