"""Accounts while people use them: what operators change, and what they remove.

The rule: whoever is just now logging in has read his account before; what has changed since then
keeps him out, so that nobody gets in as what he is no more.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import attrs

from chatd.domain.blocking import Blocking
from chatd.domain.errors import NoSuchUser, NotNow, NotStored
from chatd.domain.events import Ended
from chatd.domain.groups import Groups
from chatd.domain.mail import Mail
from chatd.domain.names import Key, RoomName, inbox_room
from chatd.domain.ports import Journal
from chatd.domain.records import Account, AccountRemoved
from chatd.domain.transfers import Files

_LOOK_SECONDS: Final = 0.01


class Desk(Protocol):
    """What accounts need of the hub."""

    journal: Journal
    groups: Groups
    mail: Mail
    blocking: Blocking
    files: Files
    wait: Callable[[float], Awaitable[object]]


@attrs.define(eq=False)
class Accounts:
    """What has become of accounts since the start. ``changes`` is how many there were."""

    _desk: Desk
    changes: int = 0
    _changed: dict[Key, int] = attrs.field(factory=dict)  # each account's last one
    _removed: dict[Key, float] = attrs.field(factory=dict)  # with when they were opened
    # Inboxes whose accounts are about to go: until that is stored, or None where it could not be.
    _going: dict[RoomName, bool | None] = attrs.field(factory=dict)

    def changed(self, key: Key) -> None:
        """Take note: an account is not what it was."""
        self.changes += 1
        self._changed[key] = self.changes

    def check_current(self, account: Account, changes: int) -> None:
        """See that an account is as it was read, after so many changes.

        Raises:
            NoSuchUser: it has been removed.
            NotNow: it has another password, or another role.
        """
        if self._removed.get(account.key) == account.created:
            raise NoSuchUser(account.name)
        if self._changed.get(account.key, 0) > changes:
            raise NotNow("Your account has been changed just now; please log in again.")

    def lock(self, account: Account) -> None:
        """Let nobody in any more under an account that is about to go."""
        self._removed[account.key] = account.created

    def unlock(self, account: Account) -> None:
        """Let people in again, as the account could not go."""
        del self._removed[account.key]

    async def remove(self, account: Account) -> None:
        """Let an account be no more. It is stored with what its groups become by that.

        Raises:
            NotStored: the account is still there.
        """
        desk, key, inbox = self._desk, account.key, inbox_room(account.key)
        desk.groups.forget(key)
        await desk.files.forget(key)
        desk.mail.forget(key)
        desk.blocking.forget(key)
        self._going[inbox] = True
        desk.journal.append(Ended(inbox), None, (AccountRemoved(key),))
        while self._going[inbox]:
            await desk.wait(_LOOK_SECONDS)
        if self._going.pop(inbox) is None:
            raise NotStored
        desk.journal.forget(inbox)

    def stored(self, room: RoomName) -> bool:
        """Take note: the end of a room is stored; whether it was that of an account."""
        return self._settle(room, going=False)

    def not_stored(self, room: RoomName) -> None:
        """Take note: the end of a room could not be stored."""
        self._settle(room, going=None)

    def _settle(self, room: RoomName, *, going: bool | None) -> bool:
        if room not in self._going:
            return False
        self._going[room] = going
        return True
