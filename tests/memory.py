"""A store in memory: the contract of the real one, for as long as a test lasts.

It passes the suites that the real one passes (``test_store.py``, ``test_store_groups.py``).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from chatd.domain.errors import BadMail, NameTaken, NotStored
from chatd.domain.events import Said
from chatd.domain.names import (
    GROUP,
    INBOX,
    ChannelName,
    GroupName,
    Key,
    Name,
    RoomName,
    group_room,
    inbox_room,
    key_of,
)
from chatd.domain.records import (
    Account,
    AccountRemoved,
    AdminSet,
    Ban,
    Blocks,
    BlockSet,
    GroupEnded,
    GroupMade,
    Mute,
    Offer,
    ReadUpTo,
    Record,
    Role,
    Standing,
    StandingSet,
    StoredGroup,
    Transfer,
    Tries,
)


@attrs.define
class Team:
    """A group, with what everybody is to it."""

    name: GroupName
    admin: Key
    standings: dict[Key, Standing] = attrs.field(factory=dict)


@attrs.define(eq=False)
class MemoryStore:
    """A store that forgets when the test ends; ``broken`` takes no record, like a full disk."""

    accounts: dict[Key, Account] = attrs.field(factory=dict)
    lines: dict[RoomName, list[Said]] = attrs.field(factory=dict)
    teams: dict[Key, Team] = attrs.field(factory=dict)
    read: dict[tuple[RoomName, Key], int] = attrs.field(factory=dict)
    blocking: set[tuple[Key, Key]] = attrs.field(factory=set)
    wrong: dict[tuple[str, str], Tries] = attrs.field(factory=dict)
    bans: dict[str, Ban] = attrs.field(factory=dict)
    mutes: dict[tuple[ChannelName, Key], Mute] = attrs.field(factory=dict)
    files: dict[int, Transfer] = attrs.field(factory=dict)
    offers: dict[int, dict[Key, Offer]] = attrs.field(factory=dict)
    last_file: int = 0
    broken: bool = False

    def account(self, key: Key) -> Deferred[Account | None]:
        """As SqlStore."""
        return succeed(self.accounts.get(key))

    def account_by_mail(self, mail: str) -> Deferred[Account | None]:
        """As SqlStore."""
        return succeed(next((a for a in self.accounts.values() if a.mail == mail), None))

    def looks_like(self, skeleton: str) -> Deferred[Name | None]:
        """As SqlStore."""
        alike = (a.name for a in self.accounts.values() if a.skeleton == skeleton)
        return succeed(next(alike, None))

    def logins_since(self, at: float) -> Deferred[Sequence[Name]]:
        """As SqlStore."""
        logins = (
            (a.last_login, a.name) for a in self.accounts.values() if a.last_login is not None
        )
        return succeed([name for last, name in sorted(logins, reverse=True) if last >= at])

    def history(self, room: RoomName, lines: int) -> Deferred[Sequence[Said]]:
        """As SqlStore."""
        return succeed(self.lines.get(self._known(room) or room, [])[-lines:] if lines else [])

    def append(self, records: Sequence[Record]) -> Deferred[Sequence[Record]]:
        """As SqlStore."""
        if self.broken:
            return fail(OSError("no space left"))
        return succeed([record for record in records if not self._stored(record)])

    def mailbox(self, key: Key) -> Deferred[tuple[int, int]]:
        """As SqlStore."""
        room = inbox_room(key)
        return succeed((self._last(room), len(self._after(room, self.read.get((room, key), 0)))))

    def unread(
        self, key: Key, after: Mapping[RoomName, int], lines: int
    ) -> Deferred[Sequence[Said]]:
        """As SqlStore."""
        rooms = [group_room(t.name) for t in self.teams.values() if _is_member(t, key)]
        found = [
            said
            for room in (*rooms, inbox_room(key))
            for said in self._after(room, max(self.read.get((room, key), 0), after.get(room, 0)))
        ]
        return succeed(sorted(found, key=lambda said: (said.at, said.room, said.seq))[:lines])

    def save_read(self, read: Iterable[ReadUpTo]) -> Deferred[None]:
        """As SqlStore."""
        for one in read:
            place = self._known(one.room) or one.room, one.key
            if one.room.startswith(INBOX) or place in self.read:
                self.read[place] = max(one.seq, self.read.get(place, 0))
        return succeed(None)

    def groups(self) -> Deferred[Sequence[StoredGroup]]:
        """As SqlStore."""
        return succeed([self._group(team) for _, team in sorted(self.teams.items())])

    def blocks(self, key: Key) -> Deferred[Blocks]:
        """As SqlStore."""
        blocked = frozenset(other for blocker, other in self.blocking if blocker == key)
        blocked_by = frozenset(blocker for blocker, other in self.blocking if other == key)
        return succeed(Blocks(blocked, blocked_by))

    def add_account(self, account: Account) -> Deferred[Account]:
        """As SqlStore."""
        for other in self.accounts.values():
            same_mail = account.mail is not None and other.mail == account.mail
            if other.key == account.key or other.skeleton == account.skeleton or same_mail:
                return fail(NameTaken(f"{account.name} is taken. Please choose another name."))
        self._empty(account.key)
        new = attrs.evolve(account, id=len(self.accounts) + 1)
        self.accounts[account.key] = new
        return succeed(new)

    def logged_in(self, account: Account, at: float) -> Deferred[None]:
        """As SqlStore."""
        return self._change(account.key, last_login=at)

    def set_role(self, account: Account, role: Role) -> Deferred[None]:
        """As SqlStore."""
        return self._change(account.key, role=role)

    def accounts_like(self, containing: str, most: int) -> Deferred[tuple[Sequence[Account], int]]:
        """As SqlStore."""
        found = [one for key, one in sorted(self.accounts.items()) if containing in key]
        return succeed((found[:most], len(found)))

    def transfers(self) -> Sequence[tuple[Transfer, tuple[Offer, ...]]]:
        """As SqlStore."""
        return [
            (transfer, tuple(offer for _, offer in sorted(self.offers[number].items())))
            for number, transfer in sorted(self.files.items())
        ]

    def add_transfer(self, transfer: Transfer, offers: Sequence[Offer]) -> Deferred[Transfer]:
        """As SqlStore."""
        self.last_file += 1
        new = self.files[self.last_file] = attrs.evolve(transfer, id=self.last_file)
        self.offers[new.id] = {offer.key: offer for offer in offers}
        return succeed(new)

    def set_transfer(self, transfer: Transfer) -> Deferred[None]:
        """As SqlStore."""
        if transfer.id in self.files:
            self.files[transfer.id] = transfer
        return succeed(None)

    def set_offer(self, transfer: int, offer: Offer) -> Deferred[None]:
        """As SqlStore."""
        if offer.key in self.offers.get(transfer, {}):
            self.offers[transfer][offer.key] = offer
        return succeed(None)

    def remove_offer(self, transfer: int, key: Key) -> Deferred[None]:
        """As SqlStore."""
        self.offers.get(transfer, {}).pop(key, None)
        return succeed(None)

    def remove_transfer(self, transfer: int) -> Deferred[None]:
        """As SqlStore."""
        self.files.pop(transfer, None)
        self.offers.pop(transfer, None)
        return succeed(None)

    def sanctions(self) -> tuple[Sequence[Ban], Sequence[Mute]]:
        """As SqlStore."""
        in_order = sorted(self.bans.values(), key=lambda ban: (ban.at, ban.target))
        return in_order, list(self.mutes.values())

    def save_ban(self, ban: Ban) -> Deferred[None]:
        """As SqlStore."""
        self.bans[ban.target] = ban
        return succeed(None)

    def save_mute(self, mute: Mute) -> Deferred[None]:
        """As SqlStore."""
        self.mutes[mute.room, mute.key] = mute
        return succeed(None)

    def forget_sanctions(
        self, targets: Sequence[str], mutes: Sequence[tuple[ChannelName, Key]]
    ) -> Deferred[None]:
        """As SqlStore."""
        for target in targets:
            self.bans.pop(target, None)
        for which in mutes:
            self.mutes.pop(which, None)
        return succeed(None)

    def set_password(self, account: Account, password: str) -> Deferred[None]:
        """As SqlStore."""
        if self.accounts[account.key].password != account.password:
            return fail(NotStored())
        return self._change(account.key, password=password)

    def set_mail(self, account: Account, mail: str | None) -> Deferred[None]:
        """As SqlStore."""
        others = [a for a in self.accounts.values() if a.key != account.key]
        if mail is not None and any(other.mail == mail for other in others):
            return fail(BadMail("That address belongs to another account."))
        return self._change(account.key, mail=mail)

    def tries(self) -> Sequence[Tries]:
        """As SqlStore."""
        return list(self.wrong.values())

    def save_tries(self, tries: Iterable[Tries]) -> Deferred[None]:
        """As SqlStore."""
        for one in tries:
            self.wrong.pop((one.account, one.address), None)
            if one.count:
                self.wrong[one.account, one.address] = one
        return succeed(None)

    def settled(self) -> Deferred[None]:
        """As SqlStore."""
        return succeed(None)

    def _change(self, key: Key, **values: Any) -> Deferred[None]:
        self.accounts[key] = attrs.evolve(self.accounts[key], **values)
        return succeed(None)

    def _empty(self, key: Key) -> None:
        """Forget an inbox."""
        room = inbox_room(key)
        self.lines.pop(room, None)
        self.read.pop((room, key), None)

    def _known(self, room: RoomName) -> RoomName | None:
        """A room as it is stored; None for a group that isn't there."""
        if not room.startswith(GROUP):
            return room
        team = self.teams.get(_team_key(room))
        return None if team is None else group_room(team.name)

    def _last(self, room: RoomName) -> int:
        return max((said.seq for said in self.lines.get(room, [])), default=0)

    def _after(self, room: RoomName, seq: int) -> list[Said]:
        return [said for said in self.lines.get(room, []) if said.seq > seq]

    def _stored(self, record: Record) -> bool:
        match record:
            case GroupMade(room, admin):
                new = Team(GroupName(room.removeprefix(GROUP)), admin)
                return self.teams.setdefault(_team_key(room), new) is new
            case AccountRemoved(key):
                self._remove_account(key)
                return True
            case BlockSet(blocker, blocked, on):
                self.blocking.discard((blocker, blocked))
                self.blocking.update([(blocker, blocked)] if on else [])
                return True
            case _:
                known = self._known(record.room)
                return known is not None and self._stored_in(known, record)

    def _stored_in(
        self, room: RoomName, record: Said | StandingSet | AdminSet | GroupEnded
    ) -> bool:
        if isinstance(record, Said):
            lines = self.lines.setdefault(room, [])
            lines.append(attrs.evolve(record, room=room))
            return True
        team = self.teams[_team_key(room)]
        if isinstance(record, AdminSet):
            team.admin = record.admin
        elif isinstance(record, StandingSet):
            if team.standings.get(record.key) is not record.standing:
                self._set_standing(room, team, record)
        else:
            del self.teams[_team_key(room)]
            self.lines.pop(room, None)
            self.read = {place: seq for place, seq in self.read.items() if place[0] != room}
        return True

    def _remove_account(self, key: Key) -> None:
        self.accounts.pop(key, None)
        self._empty(key)
        self.read = {place: seq for place, seq in self.read.items() if place[1] != key}
        self.blocking = {pair for pair in self.blocking if key not in pair}
        for team in self.teams.values():
            team.standings.pop(key, None)
        self.wrong = {which: one for which, one in self.wrong.items() if which[0] != key}

    def _set_standing(self, room: RoomName, team: Team, record: StandingSet) -> None:
        team.standings.pop(record.key, None)
        self.read.pop((room, record.key), None)
        if record.standing is not Standing.NONE:
            team.standings[record.key] = record.standing
        if record.standing is Standing.MEMBER:
            self.read[room, record.key] = self._last(room)

    def _group(self, team: Team) -> StoredGroup:
        def names(standing: Standing) -> tuple[Name, ...]:
            keys = sorted(key for key, known in team.standings.items() if known is standing)
            return tuple(self.accounts[key].name for key in keys if key in self.accounts)

        return StoredGroup(
            team.name,
            team.admin,
            names(Standing.MEMBER),
            names(Standing.REQUESTED),
            names(Standing.FORBIDDEN),
            self._last(group_room(team.name)),
        )


def _team_key(room: RoomName) -> Key:
    return key_of(GroupName(room.removeprefix(GROUP)))


def _is_member(team: Team, key: Key) -> bool:
    return team.standings.get(key) is Standing.MEMBER
