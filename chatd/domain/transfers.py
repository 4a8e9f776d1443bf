"""Files on their way from one person to others: who may do what with which, and what they hear.

The rule: bytes never come near. A door asks for a *claim* with a ticket, tells it what it took or
gave, and ends it; a ticket lets one person do one thing with one file, until that is done or the
ticket is too old, and only its hash is kept. What lasts is stored before anybody hears of it.
"""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Protocol

import attrs

from chatd.domain.blocking import Blocking
from chatd.domain.errors import (
    ChatError,
    Incomplete,
    NoFiles,
    NoSpace,
    NoSuchFile,
    NoSuchTicket,
    NotMember,
    NotNow,
    TooLarge,
    TooMany,
    TransferBusy,
    Unwanted,
    WrongOffset,
    WrongSize,
)
from chatd.domain.events import Place, TicketGiven, Told, Way
from chatd.domain.filenames import read_file_name
from chatd.domain.groups import Groups
from chatd.domain.names import GROUP, Key, Name, RoomName, key_of
from chatd.domain.ports import Clock, Holder, Members, Spawn, Spool, Store
from chatd.domain.records import Blocks, Offer, Transfer
from chatd.domain.roster import MemoryRoster
from chatd.domain.sanctions import Sanctions
from chatd.domain.text import plural, size_of, spell

_LOOK_BYTES: Final = 16 * 1024 * 1024
"""After so many bytes of an upload it is looked whether the disk still has room."""

_STEPS: Final = 4  # the sender hears of every quarter of his upload that is not too small for that
_LEAST_STEP: Final = 8 * 1024 * 1024
_STEP_BYTES: Final = 256 * 1024 * 1024  # the same where its size isn't known
_OFFERED: Final = 5  # files of which somebody hears in full when he logs in


@attrs.frozen
class FileRules:
    """What the configuration says of files; in bytes and seconds, 0 switches a limit off."""

    file_bytes: int
    user_bytes: int
    total_bytes: int
    spare_bytes: int
    user_files: int
    expire_seconds: int
    ticket_seconds: int


@attrs.define(eq=False)
class Parcel:
    """A file on its way: what is stored of it, and what goes on just now."""

    transfer: Transfer
    offers: dict[Key, Offer]
    received: int = 0
    told: int = 0  # up to where the sender has heard of his upload
    looked: int = 0  # up to where there was room on the disk
    busy: dict[Key, "Claim"] = attrs.field(factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the server has all of it."""
        return bool(self.transfer.sha256)

    @property
    def bytes(self) -> int:
        """What it takes of the quotas: what was promised, or what has come."""
        return max(self.transfer.size or 0, self.received)


@attrs.define(eq=False)
class Claim:
    """Somebody's leave to send or fetch a file, until :meth:`Files.release`.

    ``cut`` is called, once, when the leave is taken back before that.
    """

    parcel: Parcel
    key: Key
    way: Way
    cut: Callable[[], object]
    begun: bool = False  # bytes may have come

    @property
    def transfer(self) -> Transfer:
        """What is stored of the file."""
        return self.parcel.transfer


class Floor(Protocol):
    """What files need of the hub."""

    members: Members | None
    clock: Clock
    store: Store
    roster: MemoryRoster
    groups: Groups
    sanctions: Sanctions
    blocking: Blocking
    spawn: Spawn


@attrs.define(eq=False)
class Files:
    """All files on their way. ``new_ticket`` makes one that nobody can guess.

    ``places`` are where they are taken, by the host that somebody is connected to; ``scan`` says
    what is wrong with one, or None.
    """

    _floor: Floor
    rules: FileRules
    _spool: Spool
    _new_ticket: Callable[[], str]
    _places: Callable[[str], tuple[Place, ...]]
    _scan: Callable[[Transfer], Awaitable[str | None]]
    _parcels: dict[int, Parcel] = attrs.field(factory=dict)
    _tickets: dict[str, tuple[Parcel, Key, Way]] = attrs.field(factory=dict)  # by their hashes
    _taken: Counter[Key] = attrs.field(factory=Counter)  # bytes, by sender

    def load(self, stored: Iterable[tuple[Transfer, tuple[Offer, ...]]]) -> None:
        """Take up what the store has, with what has come of it; for use at the start."""
        sizes = self._spool.sizes()
        for transfer, offers in stored:
            received = sizes.get(transfer.spool, 0)
            if transfer.sha256 and received != transfer.size:
                # Its bytes are gone, as where only the database was restored: to be sent again.
                transfer = attrs.evolve(transfer, sha256="")
            parcel = Parcel(transfer, {offer.key: offer for offer in offers})
            parcel.received = parcel.told = parcel.looked = received
            self._keep(parcel)
        self._spool.keep_only({parcel.transfer.spool for parcel in self._parcels.values()})

    # Asked for by commands.

    async def send(
        self,
        who: Holder,
        recipients: Mapping[Key, Name],
        to: str,
        room: RoomName | None,
        path: str,
        size: int | None,
    ) -> None:
        """Open a transfer, and tell the sender how to send the file of this path on his disk.

        ``to`` is what people call the recipients together, ``room`` the group that they must be
        members of, ``size`` in bytes if it is known.

        Raises:
            BadFileName, NoFiles, TooLarge, TooMany, NoSpace
        """
        name = read_file_name(path)
        if not self._places(who.host):
            raise NoFiles
        key, now = key_of(who.name), self._floor.clock.seconds()
        mine = sum(parcel.transfer.sender == key for parcel in self._parcels.values())
        if self.rules.user_files and mine >= self.rules.user_files:
            raise TooMany(f"You have {plural(mine, 'file')} on the way; /cancel one first.")
        promised = size or 0
        self._check_room(key, promised, promised)
        self._check_disk(promised)
        ticket = self._new_ticket()
        new = Transfer(
            id=0,
            spool=self._new_ticket(),
            sender=key,
            sender_name=who.name,
            to=to,
            room=room,
            name=name,
            size=size,
            sha256="",
            created=now,
            expires=now + self.rules.expire_seconds,
            ticket=hash_of(ticket),
            ticket_expires=now + self.rules.ticket_seconds,
        )
        offers = [Offer(key, shown) for key, shown in recipients.items()]
        self._take(key, promised)  # lest somebody else is promised the same room meanwhile
        try:
            transfer = await self._floor.store.add_transfer(new, offers)
        finally:
            self._take(key, -promised)
        parcel = Parcel(transfer, {offer.key: offer for offer in offers})
        self._keep(parcel)
        self._give(parcel, who, Way.PUT, ticket, path)
        long = "" if size is None else f" ({size_of(size)})"
        self._tell_recipients(parcel, f"{who.name} is about to send you {name}{long}.")

    async def renew(self, who: Holder, number: int) -> None:
        """Give somebody a fresh ticket: the sender to send, a recipient to fetch.

        Raises:
            NoFiles, NoSuchFile, Incomplete
            TransferBusy: that is under way just now.
            NotNow: there is nothing more to send.
            NotMember: the sender isn't any more in the group that it is for.
        """
        parcel, key = self._parcel(who, number), key_of(who.name)
        sends = parcel.transfer.sender == key
        if not sends and not self._is_for(parcel, key, await self._blocks(key)):
            raise NoSuchFile(number)
        if not self._places(who.host):
            raise NoFiles
        if key in parcel.busy:
            raise TransferBusy
        if sends:
            await self._renew_sending(parcel, who)
        elif not parcel.complete:
            raise Incomplete(f"{parcel.transfer.name} is not here yet.")
        else:
            await self._offer(parcel, who)

    async def _renew_sending(self, parcel: Parcel, who: Holder) -> None:
        transfer = parcel.transfer
        if parcel.complete:
            raise NotNow(f"{transfer.name} is here already, and offered to {transfer.to}.")
        if not self._belongs(parcel, transfer.sender) and transfer.room is not None:
            raise NotMember(transfer.room.removeprefix(GROUP))
        ticket = self._new_ticket()
        until = self._floor.clock.seconds() + self.rules.ticket_seconds
        changed = attrs.evolve(transfer, ticket=hash_of(ticket), ticket_expires=until)
        await self._change(parcel, changed)
        if not self._keeps(parcel):
            raise NoSuchFile(transfer.id)  # declined meanwhile
        self._give(parcel, who, Way.PUT, ticket, changed.name)

    async def cancel(self, who: Holder, number: int) -> None:
        """Take a file back, or decline one.

        Raises:
            NoSuchFile
        """
        parcel, key = self._parcel(who, number), key_of(who.name)
        name = parcel.transfer.name
        if parcel.transfer.sender == key:
            await self._remove(parcel)
            self._tell(who, f"{name} is cancelled.")
            self._tell_recipients(parcel, f"{who.name} has cancelled {name}.")
        else:
            await self._done_with(parcel, parcel.offers[key])
            self._tell(who, f"{name} is declined.")
            self._tell_sender(parcel, f"{who.name} has declined {name}.")

    async def listed(self, who: Holder) -> list[str]:
        """What somebody is offered, and what he sends, a line each."""
        key, now = key_of(who.name), self._floor.clock.seconds()
        blocks = await self._blocks(key)
        lines = []
        for number, parcel in self._parcels.items():
            transfer = parcel.transfer
            left = spell(transfer.expires - now)
            if transfer.sender == key:
                state = "sent" if parcel.complete else f"{_percent(parcel)} here"
                waiting = ", ".join(offer.name for offer in parcel.offers.values())
                lines.append(
                    f"{number}: {transfer.name} ({_size(parcel)}) to {transfer.to}, {state}; "
                    f"not fetched by {waiting}; {left} left."
                )
            if self._is_for(parcel, key, blocks):
                state = "ready" if parcel.complete else f"{_percent(parcel)} here"
                lines.append(
                    f"{number}: {transfer.name} ({_size(parcel)}) "
                    f"from {transfer.sender_name}, {state}; {left} left."
                )
        return lines

    async def welcome(self, who: Holder) -> None:
        """Offer somebody who has logged in what is there for him."""
        key = key_of(who.name)
        blocks = await self._blocks(key)
        ready = [
            parcel
            for parcel in self._parcels.values()
            if parcel.complete and key not in parcel.busy and self._is_for(parcel, key, blocks)
        ]
        if not self._places(who.host):
            return
        for parcel in ready[:_OFFERED]:
            await self._offer(parcel, who)
        if len(ready) > _OFFERED:
            more = plural(len(ready) - _OFFERED, "more file is", "more files are")
            self._tell(who, f"{more} there for you: /files")

    # Asked for by doors.

    async def look(self, ticket: str) -> tuple[Parcel, Way]:
        """What a ticket is for; nothing is begun with it.

        Raises:
            NoSuchTicket: it is for nothing, or not any more.
        """
        parcel, _, way = await self._meant(ticket)
        return parcel, way

    async def claim(self, ticket: str, way: Way, cut: Callable[[], object]) -> Claim:
        """Give leave to send or fetch what a ticket is for.

        Raises:
            NoSuchTicket: it is for nothing, or not any more.
            TransferBusy: that is under way already.
        """
        parcel, key, meant = await self._meant(ticket)
        if meant is not way:
            raise NoSuchTicket
        if key in parcel.busy:
            raise TransferBusy
        claim = parcel.busy[key] = Claim(parcel, key, way, cut)
        return claim

    def begin(self, claim: Claim, offset: int, size: int | None) -> None:
        """An upload goes on at ``offset``, and what was here behind that is gone.

        ``size`` is that of the whole file, if the sender tells it.

        Raises:
            WrongOffset: there is less here than that.
            WrongSize: it was announced with another one, or is not even as long as the offset.
            TooLarge, NoSpace: it may not have this size.
            NoSuchTicket: the leave has been taken back.
        """
        parcel, transfer = claim.parcel, claim.transfer
        self._check_leave(claim)
        if offset > parcel.received:
            raise WrongOffset(parcel.received)
        if size is not None and transfer.size not in {None, size}:
            raise WrongSize(
                f"{transfer.name} was announced with {transfer.size} bytes, not {size}."
            )
        if size is not None and offset > size:
            raise WrongSize(f"A file of {plural(size, 'byte')} has no byte {offset}.")
        promised = max(size or 0, offset)
        self._check_room(transfer.sender, promised, max(0, promised - parcel.bytes))
        self._check_disk(max(promised, transfer.size or 0) - parcel.received)
        claim.begun = True
        self._count(parcel, offset)
        parcel.told = min(parcel.told, offset)
        parcel.looked = min(parcel.looked, offset)

    def took(self, claim: Claim, count: int) -> None:
        """More bytes of a file have come.

        Raises:
            TooLarge, NoSpace: and no more may.
            NoSuchTicket: the leave has been taken back.
        """
        parcel, transfer = claim.parcel, claim.transfer
        self._check_leave(claim)
        received = parcel.received + count
        if transfer.size is not None and received > transfer.size:
            raise TooLarge(f"There is more than the {transfer.size} bytes that were announced.")
        self._check_room(transfer.sender, received, max(0, received - parcel.bytes))
        if received - parcel.looked > _LOOK_BYTES:
            self._check_disk(count)
            parcel.looked = received
        self._count(parcel, received)
        self._tell_progress(parcel)

    async def finish(self, claim: Claim, size: int, sha256: str) -> None:
        """The server has all of a file, and it is safe on the disk: offer it.

        Raises:
            Unwanted: the scanner refuses it, and it is gone.
            NoSuchTicket: the leave has been taken back.
        """
        parcel = claim.parcel
        wrong = await self._scan(parcel.transfer)
        self._check_leave(claim)  # it may have been cancelled while it was looked at
        if wrong is not None:
            text = f"{parcel.transfer.name} was refused: {wrong}"
            del parcel.busy[claim.key]  # the door is told here, and need not be cut
            await self._remove(parcel)
            self._tell_sender(parcel, text)
            self._tell_recipients(parcel, text)
            raise Unwanted(text)
        expires = self._floor.clock.seconds() + self.rules.expire_seconds
        done = attrs.evolve(parcel.transfer, size=size, sha256=sha256, ticket="", expires=expires)
        await self._change(parcel, done)
        if not self._keeps(parcel):
            raise NoSuchTicket
        self._tell_sender(
            parcel,
            f"{done.name} is here: {size_of(size)}, sha256 {sha256}. It is offered to {done.to}.",
        )
        for key in parcel.offers:
            holder = self._floor.roster.local(key)
            if holder is not None and self._hears(parcel, holder):
                self._floor.spawn(self._offer(parcel, holder))

    async def release(self, claim: Claim, upto: int) -> None:
        """An upload is over: the server has so many bytes of it."""
        parcel = claim.parcel
        self._end(claim)
        if not claim.begun or parcel.complete or parcel.busy.get(claim.key) is not None:
            return
        self._count(parcel, upto)
        parcel.looked = min(parcel.looked, upto)
        if self._keeps(parcel):
            size = parcel.transfer.size
            of = "" if size is None else f" of {size}"
            self._tell_sender(
                parcel,
                f"{parcel.transfer.name} stopped at {upto}{of} bytes; "
                f"/get {parcel.transfer.id} tells how to go on.",
            )

    async def gave(self, claim: Claim, start: int, end: int) -> None:
        """A download is over: the recipient has the bytes from ``start`` up to ``end``."""
        parcel = claim.parcel
        self._end(claim)
        offer = parcel.offers.get(claim.key)
        if offer is None or start > offer.upto or not self._keeps(parcel):
            return
        if end >= (parcel.transfer.size or 0):
            await self._done_with(parcel, offer)
            self._tell_sender(parcel, f"{offer.name} has fetched {parcel.transfer.name}.")
        elif end > offer.upto:
            parcel.offers[claim.key] = changed = attrs.evolve(offer, upto=end)
            await self._floor.store.set_offer(parcel.transfer.id, changed)

    # Asked for by the service and the hub.

    async def forget_over(self) -> None:
        """Forget every file that nobody fetched in time, or that is still not here."""
        now = self._floor.clock.seconds()
        for parcel in list(self._parcels.values()):
            # What is under way may go on for as long as a ticket is good, and not for ever.
            more = self.rules.ticket_seconds if parcel.busy else 0
            if parcel.transfer.expires + more <= now and self._keeps(parcel):
                await self._remove(parcel)
                name = parcel.transfer.name
                self._tell_sender(parcel, f"{name} to {parcel.transfer.to} is too old, and gone.")
                self._tell_recipients(parcel, f"{name} is too old, and gone.")

    async def forget(self, key: Key) -> None:
        """Forget what somebody sends and is offered, whose account is gone."""
        for parcel in list(self._parcels.values()):
            name = parcel.transfer.name
            if parcel.transfer.sender == key:
                await self._remove(parcel)
                self._tell_recipients(parcel, f"{name} from {parcel.transfer.sender_name} is gone.")
            elif key in parcel.offers:
                offer = parcel.offers[key]
                await self._done_with(parcel, offer)
                self._tell_sender(parcel, f"{offer.name} is gone, and can't fetch {name}.")

    def look_again(self) -> None:
        """Cut those who send or fetch something and may not any more."""
        for parcel in self._parcels.values():
            for key in list(parcel.busy):
                if not self._belongs(parcel, key):
                    self._cut(parcel, key)

    # Inside.

    def _keep(self, parcel: Parcel) -> None:
        transfer = parcel.transfer
        self._parcels[transfer.id] = parcel
        self._take(transfer.sender, parcel.bytes)
        self._admit(parcel, transfer.sender, Way.PUT, "", transfer.ticket)
        for offer in parcel.offers.values():
            self._admit(parcel, offer.key, Way.GET, "", offer.ticket)

    def _admit(self, parcel: Parcel, key: Key, way: Way, old: str, new: str) -> None:
        """Let a ticket be good instead of another; both by their hashes, empty for none."""
        self._tickets.pop(old, None)
        if new:
            self._tickets[new] = (parcel, key, way)

    async def _change(self, parcel: Parcel, changed: Transfer) -> None:
        """Store what has changed of a transfer, then go by it; unless it is gone by then."""
        await self._floor.store.set_transfer(changed)
        if self._keeps(parcel):
            self._admit(parcel, changed.sender, Way.PUT, parcel.transfer.ticket, changed.ticket)
            before, parcel.transfer = parcel.bytes, changed
            self._take(changed.sender, parcel.bytes - before)

    async def _offer(self, parcel: Parcel, holder: Holder) -> None:
        """Tell a recipient how to fetch a file, with a fresh ticket."""
        key, ticket = key_of(holder.name), self._new_ticket()
        blocks = await self._blocks(key)
        if not self._keeps(parcel) or not self._is_for(parcel, key, blocks):
            return
        old = parcel.offers[key]
        until = self._floor.clock.seconds() + self.rules.ticket_seconds
        new = attrs.evolve(old, ticket=hash_of(ticket), ticket_expires=until)
        # At once, so that of two at a time the store and we keep the same one.
        parcel.offers[key] = new
        self._admit(parcel, key, Way.GET, old.ticket, new.ticket)
        await self._floor.store.set_offer(parcel.transfer.id, new)
        now = parcel.offers.get(key)
        if now is not None and now.ticket == new.ticket and self._keeps(parcel):
            self._give(parcel, holder, Way.GET, ticket, parcel.transfer.name)

    def _give(self, parcel: Parcel, holder: Holder, way: Way, ticket: str, path: str) -> None:
        """Tell somebody his ticket."""
        transfer = parcel.transfer
        given = TicketGiven(
            way=way,
            number=transfer.id,
            ticket=ticket,
            name=transfer.name,
            path=path,
            size=transfer.size,
            sha256=transfer.sha256,
            other=transfer.to if way is Way.PUT else transfer.sender_name,
            done=parcel.received if way is Way.PUT else parcel.offers[key_of(holder.name)].upto,
            places=self._places(holder.host),
            seconds=self.rules.ticket_seconds,
            at=self._floor.clock.seconds(),
        )
        holder.tell(given)

    async def _done_with(self, parcel: Parcel, offer: Offer) -> None:
        """Forget an offer, and the file with the last one."""
        if len(parcel.offers) > 1:
            await self._floor.store.remove_offer(parcel.transfer.id, offer.key)
            gone = parcel.offers.pop(offer.key, offer)
            self._tickets.pop(gone.ticket, None)
            self._cut(parcel, offer.key)
            if parcel.offers:
                return  # else two have come at once
        await self._remove(parcel)

    async def _remove(self, parcel: Parcel) -> None:
        """Forget a file."""
        transfer = parcel.transfer
        await self._floor.store.remove_transfer(transfer.id)
        if not self._keeps(parcel):
            return
        del self._parcels[transfer.id]
        self._take(transfer.sender, -parcel.bytes)
        for ticket in (parcel.transfer.ticket, *(one.ticket for one in parcel.offers.values())):
            self._tickets.pop(ticket, None)
        for key in list(parcel.busy):
            self._cut(parcel, key)
        self._spool.remove(transfer.spool)

    def _keeps(self, parcel: Parcel) -> bool:
        """Whether a file is still on its way."""
        return self._parcels.get(parcel.transfer.id) is parcel

    def _cut(self, parcel: Parcel, key: Key) -> None:
        claim = parcel.busy.pop(key, None)
        if claim is not None:
            claim.cut()

    def _end(self, claim: Claim) -> None:
        """Let a claim be over, if it wasn't cut."""
        if claim.parcel.busy.get(claim.key) is claim:
            del claim.parcel.busy[claim.key]

    @staticmethod
    def _check_leave(claim: Claim) -> None:
        if claim.parcel.busy.get(claim.key) is not claim:
            raise NoSuchTicket

    def _parcel(self, who: Holder, number: int) -> Parcel:
        """The file of that number, if it is any of somebody's business."""
        parcel, key = self._parcels.get(number), key_of(who.name)
        if parcel is None or (key != parcel.transfer.sender and key not in parcel.offers):
            raise NoSuchFile(number)
        return parcel

    async def _meant(self, ticket: str) -> tuple[Parcel, Key, Way]:
        """What a ticket is for, and whose it is."""
        hashed = hash_of(ticket)
        found = self._tickets.get(hashed)
        if found is None:
            raise NoSuchTicket
        parcel, key, way = found
        blocks = await self._blocks(key) if way is Way.GET else None
        if self._tickets.get(hashed) is not found or self._stale(parcel, key, way):
            raise NoSuchTicket
        if not self._belongs(parcel, key):
            raise NoSuchTicket
        if blocks is not None and not (parcel.complete and self._is_for(parcel, key, blocks)):
            raise NoSuchTicket
        return found

    # Who may.

    def _belongs(self, parcel: Parcel, key: Key) -> bool:
        """Whether somebody is still among those between whom a file goes."""
        members, room = self._floor.members, parcel.transfer.room
        if members is not None and key not in members.members:
            return False
        if room is not None:
            group = self._floor.groups.room(room)
            if group is None or key not in group.members:
                return False
        try:
            self._floor.sanctions.check_name(key)
        except ChatError:
            return False
        return True

    def _is_for(self, parcel: Parcel, key: Key, blocks: Blocks) -> bool:
        """Whether a file is for somebody who has these blocks."""
        if key not in parcel.offers or not self._belongs(parcel, key):
            return False
        return parcel.transfer.sender not in blocks.blocked | blocks.blocked_by

    def _hears(self, parcel: Parcel, holder: Holder) -> bool:
        """Whether somebody online is to hear of a file that was for him."""
        blocks, sender = holder.blocks, parcel.transfer.sender
        if sender in blocks.blocked | blocks.blocked_by:
            return False
        return self._belongs(parcel, key_of(holder.name))

    async def _blocks(self, key: Key) -> Blocks:
        return self._floor.blocking.with_changes(key, await self._floor.store.blocks(key))

    def _stale(self, parcel: Parcel, key: Key, way: Way) -> bool:
        """Whether a ticket is too old."""
        until = parcel.transfer.ticket_expires
        if way is Way.GET:
            until = parcel.offers[key].ticket_expires
        return min(until, parcel.transfer.expires) <= self._floor.clock.seconds()

    def _count(self, parcel: Parcel, received: int) -> None:
        """Take note of how much of a file is here."""
        before = parcel.bytes
        parcel.received = received
        if self._keeps(parcel):
            self._take(parcel.transfer.sender, parcel.bytes - before)

    def _take(self, sender: Key, count: int) -> None:
        """Take so many bytes more of somebody's quota."""
        self._taken[sender] += count
        if not self._taken[sender]:
            del self._taken[sender]

    def _check_room(self, sender: Key, bytes_: int, more: int) -> None:
        """See that a file may have so many bytes, so many more than it has by now."""
        rules = self.rules
        if rules.file_bytes and bytes_ > rules.file_bytes:
            raise TooLarge(f"A file has at most {size_of(rules.file_bytes)} here.")
        if rules.user_bytes and self._taken[sender] + more > rules.user_bytes:
            raise TooLarge(f"Your files may have {size_of(rules.user_bytes)} together.")
        if rules.total_bytes and self._taken.total() + more > rules.total_bytes:
            raise NoSpace

    def _check_disk(self, more: int) -> None:
        """See that the disk has room for so many bytes more, and for everything else."""
        if self._spool.free() - more < self.rules.spare_bytes:
            raise NoSpace

    def _tell_progress(self, parcel: Parcel) -> None:
        size = parcel.transfer.size
        step = _STEP_BYTES if size is None else max(_LEAST_STEP, size // _STEPS)
        if parcel.received - parcel.told < step or parcel.received == size:
            return
        parcel.told = parcel.received - parcel.received % step
        name, here = parcel.transfer.name, size_of(parcel.received)
        of = "" if size is None else f" of {size_of(size)}, {_percent(parcel)}"
        self._tell_sender(parcel, f"{name}: {here}{of}.")

    def _tell_sender(self, parcel: Parcel, text: str) -> None:
        holder = self._floor.roster.local(parcel.transfer.sender)
        if holder is not None:
            self._tell(holder, text)

    def _tell_recipients(self, parcel: Parcel, text: str) -> None:
        for key in parcel.offers:
            holder = self._floor.roster.local(key)
            if holder is not None and self._hears(parcel, holder):
                self._tell(holder, text)

    def _tell(self, holder: Holder, *lines: str) -> None:
        holder.tell(Told(lines, self._floor.clock.seconds()))


def hash_of(ticket: str) -> str:
    """What is kept of a ticket: it has 128 random bits, so that a plain hash can't be undone."""
    return hashlib.sha256(ticket.encode()).hexdigest()


def _percent(parcel: Parcel) -> str:
    size = parcel.transfer.size
    return size_of(parcel.received) if not size else f"{parcel.received * 100 // size} %"


def _size(parcel: Parcel) -> str:
    size = parcel.transfer.size
    return "size unknown" if size is None else size_of(size)
