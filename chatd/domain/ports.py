"""What the domain needs from outside, as Protocols: clock, link, codec, journal, store, passwords.

The rule: nothing here names a library. The door, the journal and the store fit these shapes by
having the methods; Twisted's ``IReactorTime`` and ``task.Clock`` fit :class:`Clock` as they are.
"""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Protocol

import attrs

from chatd.domain.events import Asked, Event, Said
from chatd.domain.names import ChannelName, Key, Name, RoomName
from chatd.domain.records import (
    Account,
    Act,
    Ban,
    Blocks,
    Mute,
    Offer,
    ReadUpTo,
    Record,
    Role,
    StoredGroup,
    Transfer,
    Tries,
)

Format = Callable[[Event], bytes]
"""A wire format: the same event gives the same bytes to everyone who reads that format."""


class Mark(Enum):
    """What a door reads that is no line."""

    TOO_LONG = "a line above the limit, skipped"
    END = "the client has sent its last line"


Line = str | Mark
"""What a door hands to a session: a decoded line, not yet cleaned, or a mark in its place."""


@attrs.frozen
class Request:
    """What a client asks for: a command's name, the rest of its line, and secret answers."""

    verb: str
    text: str = ""
    secrets: tuple[str, ...] = ()


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Take it back; an error if it has happened."""

    def active(self) -> bool:
        """Whether it is still to come."""


class Clock(Protocol):
    """Time and timers; every wait in chatd goes through one of these."""

    def seconds(self) -> float:
        """Now, in seconds since the epoch."""

    def callLater(self, delay: float, call: Callable[..., object], /, *args: Any) -> Timer:
        """Call something once, ``delay`` seconds from now."""


class Spawn(Protocol):
    """Starts a coroutine and lets it run by itself; it must not raise."""

    def __call__(self, work: Coroutine[Any, Any, None]) -> object:
        """Run it at once up to its first wait."""


class Hearer(Protocol):
    """Who hears rooms: a link, or what holds a room's lines back for one.

    ``deaf_to`` are the people whose lines it is not to hear.
    """

    format: Format
    audiences: tuple[Any, ...]
    deaf_to: frozenset[Key]

    def write(self, data: bytes) -> None:
        """Take bytes already in ``format``; never waits, never raises."""


class Link(Hearer, Protocol):
    """One connection's way to its client.

    ``format`` and ``write`` serve the room at large, ``tell`` serves this client alone. ``busy``
    says whether much of what was written is not taken yet.
    """

    @property
    def busy(self) -> bool:
        """Whether the client has yet to take what it was sent."""

    @property
    def host(self) -> str:
        """The server's address that the client is connected to; empty for a unix socket."""

    def tell(self, event: Event) -> None:
        """Send an event that is meant for this client only."""

    def close(self) -> None:
        """Send what is pending, then close."""

    def abort(self) -> None:
        """Close at once and forget what is pending."""

    def pause(self) -> None:
        """Read no more for now: TCP holds the sender back."""

    def resume(self) -> None:
        """Read on."""


class Codec(Protocol):
    """One connection's reading side: lines become requests.

    ``asked`` is what the client has yet to answer; its next lines are the answers.
    """

    asked: Asked | None

    def request(self, line: Line, *, bare: bool) -> Request | None:
        """Make a request of a line, or None where it is only a part of one.

        ``bare``: a line without a slash is a command too (the lobby's manner).

        Raises:
            ChatError: the line can't be one.
        """


class Holder(Protocol):
    """Who holds a name: one logged-in session, as the roster and the hub see it."""

    link: Link

    @property
    def name(self) -> Name:
        """The name it holds."""

    @property
    def key(self) -> Key | None:
        """The key of its name, if it has one."""

    @property
    def role(self) -> Role:
        """What the person may do."""

    @property
    def account(self) -> Account | None:
        """The person's account; None for a guest."""

    @property
    def address(self) -> str:
        """Where the client is; empty for a unix socket's."""

    @property
    def host(self) -> str:
        """Where the client reached the server; empty for a unix socket."""

    @property
    def blocks(self) -> Blocks:
        """Whom it blocks, and by whom it is blocked."""

    def appoint(self, role: Role) -> None:
        """Take note of another role."""

    def muted(self, until: float) -> None:
        """Take note: it may not talk in its channel until then; 0: it may."""

    def channel_closed(self, name: ChannelName) -> None:
        """Take note: a channel is no more; who is in it, or comes for it, is in the lobby."""

    def count_silence(self, name: ChannelName) -> None:
        """Take note: silence in a channel is counted from now on, to another bound."""

    def block(self, blocks: Blocks) -> None:
        """Take note of other blocks."""

    def admitted(self) -> None:
        """Take note: there is a place in the channel now."""

    def mail(self, said: Said) -> None:
        """Take a line of its inbox."""

    def read_mail(self) -> None:
        """Take note: everything heard from here on comes by itself; what was missed may be read."""

    def group_joined(self, room: RoomName) -> None:
        """Take note: it is let into a group."""

    def group_left(self, room: RoomName) -> None:
        """Take note: it is no longer in a group."""

    def tell(self, event: Event) -> None:
        """Tell it something, in its place after what it was told before."""

    async def end(self, text: str) -> None:
        """Leave everything, say farewell with these words and close."""

    async def lost(self) -> None:
        """Take note: the connection is gone."""


class Journal(Protocol):
    """Gives every event its place in the one order, and stores what must last (DESIGN.md 3)."""

    @property
    def full(self) -> bool:
        """Whether so much waits that the doors should stop reading."""

    def append(
        self, event: Event, link: Hearer | None = None, records: tuple[Record, ...] = ()
    ) -> None:
        """Take an event: for a room, or for ``link`` alone. A joiner's link goes with the join.

        ``records`` are stored first; where one of them can't be, the event is not delivered. A line
        in a room that is kept is its own record. Events may share records.
        """

    def keep(self, room: RoomName, last: int) -> None:
        """Store the lines of a room from now on, numbered after ``last``."""

    def forget(self, room: RoomName) -> None:
        """Know nothing of a room any more, which is gone."""


Batch = Sequence[tuple[Event, Hearer | None]]
"""What a journal hands to the hub: events in its order, each with its link or None."""


class Store(Protocol):
    """What lasts, as far as the domain reads and changes it. Writes are durable once awaited."""

    def account(self, key: Key) -> Awaitable[Account | None]:
        """The account of that name."""

    def account_by_mail(self, mail: str) -> Awaitable[Account | None]:
        """The account with that (casefolded) mail address."""

    def looks_like(self, skeleton: str) -> Awaitable[Name | None]:
        """The name of an account with that skeleton."""

    def logins_since(self, at: float) -> Awaitable[Sequence[Name]]:
        """Accounts that logged in at ``at`` or later, the latest first."""

    def history(self, room: ChannelName, lines: int) -> Awaitable[Sequence[Said]]:
        """The last lines of a room, oldest first."""

    def mailbox(self, key: Key) -> Awaitable[tuple[int, int]]:
        """The last number in somebody's inbox, and how many lines there are not read."""

    def unread(
        self, key: Key, after: Mapping[RoomName, int], lines: int
    ) -> Awaitable[Sequence[Said]]:
        """Lines not read yet, of the inbox and of every group of a member, the oldest first.

        ``after`` has rooms in which more was told than is noted as read.
        """

    def save_read(self, read: Iterable[ReadUpTo]) -> Awaitable[None]:
        """Note how far people have read; never backwards. A store that can't is logged."""

    def groups(self) -> Awaitable[Sequence[StoredGroup]]:
        """All groups."""

    def blocks(self, key: Key) -> Awaitable[Blocks]:
        """Whom somebody blocks, and by whom he is blocked."""

    def add_account(self, account: Account) -> Awaitable[Account]:
        """Store a new account and return it with its id.

        Raises:
            NameTaken: the name, or one that looks like it, or the mail address is there already.
        """

    def logged_in(self, account: Account, at: float) -> Awaitable[None]:
        """Note a login."""

    def set_password(self, account: Account, password: str) -> Awaitable[None]:
        """Store another password hash.

        Raises:
            NotStored: it isn't any more the one that ``account`` has.
        """

    def set_mail(self, account: Account, mail: str | None) -> Awaitable[None]:
        """Store another mail address.

        Raises:
            BadMail: another account has it.
        """

    def set_role(self, account: Account, role: Role) -> Awaitable[None]:
        """Store another role."""

    def accounts_like(self, containing: str, most: int) -> Awaitable[tuple[Sequence[Account], int]]:
        """Accounts by name, whose key has this in it: the first ones, and how many there are."""

    def add_transfer(self, transfer: Transfer, offers: Sequence[Offer]) -> Awaitable[Transfer]:
        """Store a new transfer with its offers, and return it with its id."""

    def set_transfer(self, transfer: Transfer) -> Awaitable[None]:
        """Store what has changed of a transfer."""

    def set_offer(self, transfer: int, offer: Offer) -> Awaitable[None]:
        """Store what has changed of an offer."""

    def remove_offer(self, transfer: int, key: Key) -> Awaitable[None]:
        """Forget an offer."""

    def remove_transfer(self, transfer: int) -> Awaitable[None]:
        """Forget a transfer and its offers."""

    def save_ban(self, ban: Ban) -> Awaitable[None]:
        """Store a ban over the one of the same target."""

    def save_mute(self, mute: Mute) -> Awaitable[None]:
        """Store a mute over the one of the same person in the same channel."""

    def forget_sanctions(
        self, targets: Sequence[str], mutes: Sequence[tuple[ChannelName, Key]]
    ) -> Awaitable[None]:
        """Forget the bans of these targets, and these mutes."""

    def save_tries(self, tries: Iterable[Tries]) -> Awaitable[None]:
        """Store counts over those of the same account and address; a count of 0 is removed."""

    def settled(self) -> Awaitable[None]:
        """Fire once everything that was to be written before is."""


class Audit(Protocol):
    """The append-only log of what operators do."""

    def note(self, act: Act) -> None:
        """Write an act down; never raises."""


class Server(Protocol):
    """What operators may ask of the server as a whole."""

    async def rehash(self) -> tuple[str, ...]:
        """Read the configuration again, apply what can change, and say what was done.

        Raises:
            BadConfiguration: it has mistakes; nothing was changed.
        """

    async def stats(self) -> Mapping[str, int | float]:
        """What the server counts, by name; times are in seconds."""

    def stop(self) -> None:
        """Store everything, say goodbye to everyone and end."""


class Spool(Protocol):
    """Where the bytes of files are kept, under names of the server's own."""

    def sizes(self) -> Mapping[str, int]:
        """What is there, and how many bytes each; for use at the start."""

    def keep_only(self, names: Collection[str]) -> None:
        """Remove everything else; for use at the start."""

    def remove(self, name: str) -> None:
        """Remove a file soon; one that isn't there is removed already."""

    def free(self) -> int:
        """How many bytes the disk has left."""


class Members(Protocol):
    """The people of a closed server, as they are written down somewhere."""

    @property
    def members(self) -> frozenset[Key]:
        """Who may get in."""

    def look(self) -> Awaitable[None]:
        """See whether something else is written there by now, and bring the accounts in line."""

    def set_password(self, key: Key, hashed: str) -> Awaitable[None]:
        """Write another password's hash there."""


class Passwords(Protocol):
    """Checks and makes passwords; slow on purpose, and never in the reactor's thread."""

    def login(
        self, who: str, account: Account | None, password: str, address: str
    ) -> Awaitable[Account]:
        """Check a password of an account, or of nobody, which takes as long.

        Raises:
            WrongPassword, LockedOut, TooBusy
        """

    def invent(self) -> Awaitable[tuple[str, str]]:
        """A new password that nobody can guess, and its hash.

        Raises:
            TooBusy: too many are waiting.
        """

    def hash(self, password: str) -> Awaitable[str]:
        """Make a hash to store.

        Raises:
            BadPassword: it is too short, too long, or has characters nobody can type again.
            TooBusy: too many are waiting.
        """


class Commands(Protocol):
    """The command table, as the session sees it."""

    def run(self, session: Any, request: Request) -> Coroutine[Any, Any, None] | None:
        """Check and carry out a request; a coroutine where it needs time.

        Raises:
            ChatError: a refusal for the one who asked.
        """
