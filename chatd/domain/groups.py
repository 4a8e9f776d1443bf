"""Groups: rooms that users make, and what somebody may do in them.

The rule: memory leads and the journal follows. A change is checked and made here at once, and its
records go into the journal with the words for it, so that it is stored before anybody hears of it,
in one order with the lines of the group. Where it can't be stored, the group is read again.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from chatd.domain.errors import (
    BadName,
    Forbidden,
    GroupExists,
    NoSuchGroup,
    NotAdmin,
    NotMember,
    NotRequested,
    NotStored,
    TooMany,
)
from chatd.domain.events import Announced, Ended, Event, Joined, Left, Said, Told, Tuned
from chatd.domain.mail import Desk, Mail
from chatd.domain.names import (
    EVERYONE,
    GroupName,
    Key,
    Name,
    RoomName,
    key_of,
    read_group_name,
    skeleton_of,
)
from chatd.domain.ports import Holder
from chatd.domain.records import (
    AdminSet,
    GroupEnded,
    GroupMade,
    Record,
    Standing,
    StandingSet,
    StoredGroup,
)
from chatd.domain.rooms import Group
from chatd.domain.text import Text, clean

_NO_GROUPS: Final[dict[Key, Group]] = {}


@attrs.define(eq=False)
class Groups:
    """All groups. ``most`` is how many one person may be admin of; 0 is no limit."""

    _desk: Desk
    _mail: Mail
    most: int
    _by_key: dict[Key, Group] = attrs.field(factory=dict)
    _by_room: dict[RoomName, Group] = attrs.field(factory=dict)
    _of: dict[Key, dict[Key, Group]] = attrs.field(factory=dict)
    _most_gone: int = 10_000
    _gone: dict[RoomName, None] = attrs.field(factory=dict)

    def load(self, stored: Iterable[StoredGroup]) -> None:
        """Make known what the store has, at the start."""
        for one in stored:
            group = Group(one.name, one.admin, last=one.last)
            group.load(one)
            self._open(group)
            self._desk.journal.keep(group.room, one.last)

    def find(self, text: str) -> Group:
        """The group that somebody named, in any case.

        Raises:
            NoSuchGroup: there is none.
        """
        try:
            return self._by_key[key_of(read_group_name(text))]
        except (BadName, KeyError):
            raise NoSuchGroup(clean(text)) from None

    def room(self, room: RoomName) -> Group | None:
        """The group of a room's name."""
        return self._by_room.get(room)

    def rooms(self) -> tuple[RoomName, ...]:
        """The rooms of all groups."""
        return tuple(self._by_room)

    def of(self, key: Key) -> Mapping[Key, Group]:
        """The groups that somebody is a member of."""
        return self._of.get(key, _NO_GROUPS)

    def create(self, who: Holder, name: GroupName, members: Iterable[Name]) -> None:
        """Make a group, with its maker as the admin.

        Raises:
            GroupExists, TooMany
        """
        key, me = key_of(name), key_of(who.name)
        alike = skeleton_of(name)
        for group in self._by_key.values():
            if key_of(group.name) == key or skeleton_of(group.name) == alike:
                raise GroupExists(group.name)
        self._check_number(me, "You are")
        everyone = {me: who.name} | {key_of(member): member for member in members}
        records = self._make(name, everyone, f"{who.name} has made the group {name}.")
        self._tell(who, records, f"You are its admin. Type /enter {name} to talk there.")

    def say(self, who: Holder, group: Group, text: Text) -> None:
        """Say a line to all members, wherever they are.

        Raises:
            NotMember
        """
        self._check_member(who, group)
        said = Said(group.room, who.name, text, self._desk.clock.seconds())
        self._desk.journal.append(said, who.link)

    def request(self, who: Holder, group: Group) -> None:
        """Ask to be let in.

        Raises:
            Forbidden: the admin doesn't want to be asked.
            NotRequested: it was asked for already.
        """
        self._check_settled(group)
        key = key_of(who.name)
        if key in group.forbidden:
            raise Forbidden(f"You can't join the group {group.name}.")
        waits = f"Your request to join the group {group.name} waits for its admin."
        if key in group.requests:
            raise NotRequested(waits)
        group.requests[key] = who.name
        records = (StandingSet(group.room, key, Standing.REQUESTED),)
        text = f"{who.name} has requested to join the group {group.name}."
        self._announce(group, text, records)
        self._tell(who, records, waits)

    async def approve(self, who: Holder, group: Group, name: Name) -> None:
        """Let somebody in who has asked for it.

        Raises:
            NotAdmin, NotRequested
        """
        self.check_admin(who, group)
        await self._let_in(who, group, *self._requested(group, name))

    async def reject(self, who: Holder, group: Group, name: Name) -> None:
        """Refuse a request.

        Raises:
            NotAdmin, NotRequested
        """
        self.check_admin(who, group)
        key, shown = self._requested(group, name)
        del group.requests[key]
        text = f"You have rejected the request of {shown}."
        self._decide(who, group, StandingSet(group.room, key, Standing.NONE), text)
        await self._mail.notify([key], f"Your request to join the group {group.name} was rejected.")

    async def add(self, who: Holder, group: Group, name: Name) -> None:
        """Let somebody in who need not have asked; ``name`` is an account's.

        Raises:
            NotAdmin
            NotRequested: he is a member already.
        """
        self.check_admin(who, group)
        key = key_of(name)
        if key in group.members:
            raise NotRequested(f"{name} is a member of {group.name} already.")
        await self._let_in(who, group, key, name)

    async def expel(self, who: Holder, group: Group, name: Name) -> None:
        """Put a member out, at once.

        Raises:
            NotAdmin, NotMember
            Forbidden: it is the admin himself.
        """
        self.check_admin(who, group)
        key = self._member(group, name)
        self._check_other(who, key)
        await self._put_out(who, group, key, Standing.NONE)

    async def forbid(self, who: Holder, group: Group, name: Name) -> None:
        """Put somebody out and let him not even ask; ``name`` is an account's.

        Raises:
            NotAdmin
            Forbidden: it is the admin himself.
        """
        self.check_admin(who, group)
        key = key_of(name)
        self._check_other(who, key)
        group.forbidden[key] = name
        group.requests.pop(key, None)
        if key in group.members:
            await self._put_out(who, group, key, Standing.FORBIDDEN)
            return
        text = f"{name} can't join the group {group.name} any more."
        self._decide(who, group, StandingSet(group.room, key, Standing.FORBIDDEN), text)

    def allow(self, who: Holder, group: Group, name: Name) -> None:
        """Let somebody ask again who was forbidden to.

        Raises:
            NotAdmin
            NotRequested: he wasn't.
        """
        self.check_admin(who, group)
        key = key_of(name)
        if group.forbidden.pop(key, None) is None:
            raise NotRequested(f"{name} is not forbidden to join {group.name}.")
        text = f"{name} may ask to join the group {group.name} again."
        self._decide(who, group, StandingSet(group.room, key, Standing.NONE), text)

    def transfer(self, who: Holder, group: Group, name: Name) -> None:
        """Make a member, online or not, the admin.

        Raises:
            NotAdmin, NotMember
            TooMany: that member is the admin of as many groups as may be.
        """
        self.check_admin(who, group)
        key = self._member(group, name)
        if key != group.admin:
            self._check_number(key, f"{group.members[key]} is")
        self._vouch(who, self._hand_over(group, key))

    def leave(self, who: Holder, group: Group) -> None:
        """Be a member no longer; the last one ends the group.

        Raises:
            NotMember
            Forbidden: an admin hands over first.
        """
        self._check_member(who, group)
        key = key_of(who.name)
        if len(group.members) == 1:
            self._end(group)
            return
        if group.admin == key:
            raise Forbidden("Hand the group over first: /transfer and a member's name.")
        self._remove(group, key, Standing.NONE, who)

    def forget(self, key: Key) -> None:
        """Take somebody whose account is gone out of every group.

        Where he was the admin, the first of the others by name is it from now on.

        Raises:
            NotStored: one of the groups is being read again; call it again later.
        """
        for group in list(self._by_key.values()):
            if key in group.members or key in group.requests or key in group.forbidden:
                self._check_settled(group)
            records = (StandingSet(group.room, key, Standing.NONE),)
            known = (group.requests.pop(key, None), group.forbidden.pop(key, None))
            if key in group.members and len(group.members) == 1:
                self._end(group)
            elif key in group.members:
                if group.admin == key:
                    self._hand_over(group, min(other for other in group.members if other != key))
                self._remove(group, key, Standing.NONE, None)
            elif any(known):
                self._tell_nobody(group, records)

    def keep_only(self, keys: frozenset[Key]) -> None:
        """Take everybody else out of every group.

        Raises:
            NotStored: as :meth:`forget`.
        """
        everybody: set[Key] = set()
        for group in self._by_key.values():
            everybody |= {*group.members, *group.requests, *group.forbidden}
        for key in everybody - keys:
            self.forget(key)

    def sync(self, name: GroupName, members: Iterable[Name]) -> None:
        """Let a group have exactly these members, as somebody outside has written them down.

        It is made where it is missing, with the first of them as its admin, and ends without any.

        Raises:
            NotStored: it is being read again; call it again later.
        """
        wanted = {key_of(member): member for member in members}
        group = self._by_key.get(key_of(name))
        if group is None:
            if wanted:
                self._make(name, wanted, f"The group {name} has been made.")
            return
        self._check_settled(group)
        for key, member in wanted.items():
            if key not in group.members:
                self._admit(group, key, member)
        if wanted and group.admin not in wanted:
            self._hand_over(group, next(iter(wanted)))
        for key in [key for key in group.members if key not in wanted]:
            if len(group.members) == 1:
                self._end(group)
            else:
                self._remove(group, key, Standing.NONE, None)

    def spoil(self, rooms: Iterable[RoomName]) -> list[RoomName]:
        """Let no group of these change until it is read again; return those that are groups.

        What is read then must not miss a change that is still on its way into the store.
        """
        groups = [group for room in rooms if (group := self._by_room.get(room)) is not None]
        for group in groups:
            group.stale = True
        return [group.room for group in groups]

    def reload(self, stored: Iterable[StoredGroup], group: Group) -> None:
        """Let a group be as the store has it: what was changed here could not be stored."""
        before, group.stale = list(group.members), False
        for key in before:
            self._strike(group, key)
        one = next((one for one in stored if one.name == group.name), None)
        if one is None:
            self._close(group)
        else:
            group.load(one)
            self._open(group)
        for key in before:
            holder = self._desk.roster.local(key)
            if key not in group.members and holder is not None:
                holder.group_left(group.room)

    def ended(self, room: RoomName) -> None:
        """Everything that a group was told before its end is delivered."""
        group = self._by_room.get(room)
        if group is not None and self._by_key.get(key_of(group.name)) is not group:
            del self._by_room[room]
            self._forget(room)

    def _forget(self, room: RoomName) -> None:
        """Let an ended group's numbers go, in time.

        One that is made again soon goes on from them, lest how far people had read the old one
        count for the new one; but groups made and ended without end must not fill the memory.
        """
        self._gone.pop(room, None)
        self._gone[room] = None
        while len(self._gone) > self._most_gone:
            oldest = next(iter(self._gone))
            del self._gone[oldest]
            if oldest not in self._by_room:
                self._desk.journal.forget(oldest)

    # Inside: a change in memory, with the records and the words for it.

    def _open(self, group: Group) -> None:
        self._by_key[key_of(group.name)] = self._by_room[group.room] = group
        for key, name in group.members.items():
            self._enrol(group, key, name)

    def _close(self, group: Group) -> None:
        if self._by_key.get(key_of(group.name)) is group:
            del self._by_key[key_of(group.name)]
        del self._by_room[group.room]

    def _make(self, name: GroupName, members: Mapping[Key, Name], text: str) -> tuple[Record, ...]:
        """Make a group whose admin is the first of its members, and announce it."""
        group = Group(name, next(iter(members)))
        ending = self._by_room.get(group.room)
        if ending is not None:  # what is still to be told of its end takes people out of this one
            group.audience = ending.audience
        self._open(group)
        self._desk.journal.keep(group.room, 0)
        sets = tuple(StandingSet(group.room, key, Standing.MEMBER) for key in members)
        records: tuple[Record, ...] = (GroupMade(group.room, group.admin), *sets)
        for key, member in members.items():
            self._enrol(group, key, member)
            self._tune(group, key, records)
        self._announce(group, text, records)
        return records

    def _enrol(self, group: Group, key: Key, name: Name) -> None:
        group.members[key] = name
        group.requests.pop(key, None)
        group.forbidden.pop(key, None)
        self._of.setdefault(key, {})[key_of(group.name)] = group

    def _strike(self, group: Group, key: Key) -> None:
        group.members.pop(key)
        mine = self._of.get(key, {})
        if mine.get(key_of(group.name)) is group:
            del mine[key_of(group.name)]
            if not mine:
                del self._of[key]

    async def _let_in(self, who: Holder, group: Group, key: Key, name: Name) -> None:
        self._vouch(who, self._admit(group, key, name))
        await self._mail.notify([key], f"You are a member of the group {group.name} now.")

    async def _put_out(self, who: Holder, group: Group, key: Key, standing: Standing) -> None:
        self._vouch(who, self._remove(group, key, standing, who))
        await self._mail.notify([key], f"You have been expelled from the group {group.name}.")

    def _decide(self, who: Holder, group: Group, change: StandingSet, text: str) -> None:
        """Store what the admin has decided on somebody who is no member; only he is told."""
        self._tell_nobody(group, (change,))
        self._tell(who, (change,), text)

    def _admit(self, group: Group, key: Key, name: Name) -> tuple[Record, ...]:
        self._enrol(group, key, name)
        records = (StandingSet(group.room, key, Standing.MEMBER),)
        joined = Joined(group.room, name, self._desk.clock.seconds())
        holder = self._desk.roster.local(key)
        self._desk.journal.append(joined, None if holder is None else holder.link, records)
        if holder is not None:
            holder.group_joined(group.room)
        return records

    def _remove(
        self, group: Group, key: Key, standing: Standing, who: Holder | None
    ) -> tuple[Record, ...]:
        name = group.members[key]
        self._strike(group, key)
        records = (StandingSet(group.room, key, standing),)
        holder = self._desk.roster.local(key)
        left = Left(group.room, name, self._desk.clock.seconds())
        self._desk.journal.append(left, None if holder is None else holder.link, records)
        if holder is not None:
            holder.group_left(group.room)
        if who is holder and who is not None:
            self._tell(who, records, f"You have left the group {group.name}.")
        return records

    def _end(self, group: Group) -> None:
        (key,) = group.members
        self._strike(group, key)
        del self._by_key[key_of(group.name)]
        records = (GroupEnded(group.room),)
        holder = self._desk.roster.local(key)
        if holder is not None:
            holder.group_left(group.room)
            left = Left(group.room, holder.name, self._desk.clock.seconds())
            self._desk.journal.append(left, holder.link, records)
            self._tell(holder, records, f"You were the last: the group {group.name} is no more.")
        self._desk.journal.append(Ended(group.room), None, records)

    def _hand_over(self, group: Group, key: Key) -> tuple[Record, ...]:
        group.admin = key
        records = (AdminSet(group.room, key),)
        text = f"{group.members[key]} is the admin of the group {group.name} now."
        self._announce(group, text, records)
        return records

    def _tune(self, group: Group, key: Key, records: tuple[Record, ...]) -> None:
        holder = self._desk.roster.local(key)
        if holder is not None:
            self._desk.journal.append(Tuned(group.room), holder.link, records)
            holder.group_joined(group.room)

    def _announce(self, group: Group, text: str, records: tuple[Record, ...]) -> None:
        announced = Announced(group.room, text, self._desk.clock.seconds())
        self._desk.journal.append(announced, None, records)

    def _tell(self, who: Holder, records: tuple[Record, ...], text: str) -> None:
        told: Event = Told((text,), self._desk.clock.seconds())
        self._desk.journal.append(told, who.link, records)

    def _vouch(self, who: Holder, records: tuple[Record, ...]) -> None:
        """Let him who has changed something hear of it where it can't be stored."""
        self._desk.journal.append(Tuned(EVERYONE), who.link, records)

    def _tell_nobody(self, group: Group, records: tuple[Record, ...]) -> None:
        """Let the group be read again where the records can't be stored."""
        self._desk.journal.append(Tuned(group.room), None, records)

    # Checks.

    @staticmethod
    def _check_settled(group: Group) -> None:
        if group.stale:
            raise NotStored

    def _check_number(self, key: Key, who: str) -> None:
        """See that somebody may be the admin of one more group."""
        number = sum(group.admin == key for group in self.of(key).values())
        if self.most and number >= self.most:
            raise TooMany(f"{who} the admin of {number} groups; that is as many as may be.")

    def _check_member(self, who: Holder, group: Group) -> None:
        self._check_settled(group)
        if key_of(who.name) not in group.members:
            raise NotMember(group.name)

    def check_admin(self, who: Holder, group: Group) -> None:
        """See that somebody is the admin.

        Raises:
            NotAdmin, NotMember
        """
        self._check_member(who, group)
        if group.admin != key_of(who.name):
            raise NotAdmin(group.name)

    @staticmethod
    def _check_other(who: Holder, key: Key) -> None:
        if key == key_of(who.name):
            raise Forbidden("You can't do that to yourself.")

    @staticmethod
    def _member(group: Group, name: Name) -> Key:
        key = key_of(name)
        if key not in group.members:
            raise NotMember(group.name, name)
        return key

    @staticmethod
    def _requested(group: Group, name: Name) -> tuple[Key, Name]:
        key = key_of(name)
        if key not in group.requests:
            raise NotRequested(f"{name} has not requested to join {group.name}.")
        return key, group.requests[key]
