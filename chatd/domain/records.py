"""Records: what lasts, as values: accounts, groups, blocks, bans, and the changes to be stored.

The rule: frozen and complete in themselves; the store writes and reads them as they are here.
"""

from enum import Enum, IntEnum

import attrs

from chatd.domain.events import Said
from chatd.domain.filenames import FileName
from chatd.domain.names import ChannelName, GroupName, Key, Name, RoomName


class Role(IntEnum):
    """What a person may do; a higher role may all that a lower one may."""

    GUEST = 0
    USER = 1
    OPERATOR = 2


@attrs.frozen
class Account:
    """A durable identity. ``password`` is a hash in the form that :mod:`chatd.auth` writes."""

    id: int
    key: Key
    name: Name
    skeleton: str
    mail: str | None
    password: str
    role: Role
    created: float
    last_login: float | None


@attrs.frozen
class Tries:
    """Wrong passwords in a row for an account from an address ("" for all addresses).

    ``until`` is when the lock opens, in seconds since the epoch; 0 means not locked.
    """

    account: str
    address: str
    count: int
    until: float


class Standing(Enum):
    """What somebody is to a group."""

    NONE = 0
    MEMBER = 1
    REQUESTED = 2
    FORBIDDEN = 3


@attrs.frozen
class StandingSet:
    """To be stored: what somebody is to a group from now on. A new member reads from here on."""

    room: RoomName
    key: Key
    standing: Standing


@attrs.frozen
class GroupMade:
    """To be stored: a new group and its admin, who is no member by this alone."""

    room: RoomName
    admin: Key


@attrs.frozen
class AdminSet:
    """To be stored: another admin of a group."""

    room: RoomName
    admin: Key


@attrs.frozen
class GroupEnded:
    """To be stored: a group is gone, with its lines and everybody's standing."""

    room: RoomName


@attrs.frozen
class BlockSet:
    """To be stored: somebody blocks somebody else, or no longer does."""

    blocker: Key
    blocked: Key
    on: bool


@attrs.frozen
class AccountRemoved:
    """To be stored: an account is gone, with all that was its own."""

    key: Key


Record = Said | StandingSet | GroupMade | AdminSet | GroupEnded | BlockSet | AccountRemoved
"""What a journal stores before it delivers."""


@attrs.frozen
class StoredGroup:
    """A group as it is in the store; names are those of the accounts. ``last`` is its last line."""

    name: GroupName
    admin: Key
    members: tuple[Name, ...]
    requests: tuple[Name, ...]
    forbidden: tuple[Name, ...]
    last: int


@attrs.frozen
class Blocks:
    """Whom somebody blocks, and by whom he is blocked."""

    blocked: frozenset[Key]
    blocked_by: frozenset[Key]


@attrs.frozen
class Ban:
    """Who is kept out: ``target`` is a name's key, or a network as ``ipaddress`` writes it.

    ``until`` is in seconds since the epoch; 0 is for ever.
    """

    target: str
    until: float
    reason: str
    by: str
    at: float


@attrs.frozen
class Mute:
    """Who may not talk in a channel, and until when."""

    room: ChannelName
    key: Key
    until: float


@attrs.frozen
class Act:
    """What an operator did, or somebody tried to do, for the audit log.

    ``door`` is the kind of the door it came through, ``result`` "done" or a refusal's code.
    """

    at: float
    who: str
    door: str
    address: str
    act: str
    target: str
    arguments: str
    reason: str
    result: str


@attrs.frozen
class Transfer:
    """A file on its way. ``spool`` is its name on the disk, ``name`` what people call it.

    ``to`` is what people call the recipients together, ``room`` the group that they must be members
    of. ``size`` is in bytes, None where it is not known yet; ``sha256`` is empty until the server
    has all of it. ``ticket`` is the hash of the sender's ticket, empty where there is none.
    """

    id: int
    spool: str
    sender: Key
    sender_name: Name
    to: str
    room: RoomName | None
    name: FileName
    size: int | None
    sha256: str
    created: float
    expires: float
    ticket: str
    ticket_expires: float


@attrs.frozen
class Offer:
    """A file for one recipient, who has the bytes before ``upto``; ``ticket`` is a hash."""

    key: Key
    name: Name
    ticket: str = ""
    ticket_expires: float = 0.0
    upto: int = 0


@attrs.frozen
class ReadUpTo:
    """How far somebody has read a room: the number of a line."""

    key: Key
    room: RoomName
    seq: int
