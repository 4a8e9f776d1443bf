"""Blocks: who hears nothing of whom, online and in the store.

The rule: a block holds from the moment it is asked for, and where it can't be stored it is undone.
"""

from typing import Protocol

import attrs

from chatd.domain.errors import Blocked
from chatd.domain.events import Event, Told
from chatd.domain.names import Key, Name, key_of
from chatd.domain.ports import Clock, Holder, Journal
from chatd.domain.records import Blocks, BlockSet
from chatd.domain.roster import MemoryRoster


class Desk(Protocol):
    """What blocks need of the hub."""

    clock: Clock
    journal: Journal
    roster: MemoryRoster
    sessions: dict[Holder, None]


@attrs.define(eq=False)
class Blocking:
    """Everybody's blocks that change just now; those that don't are with the sessions."""

    _desk: Desk
    # By the id of the answer that waits in the journal until the change is stored.
    _changing: dict[int, BlockSet] = attrs.field(factory=dict)

    def block(self, holder: Holder, name: Name, *, on: bool) -> None:
        """Let two people hear nothing of each other, or hear each other again."""
        change = BlockSet(key_of(holder.name), key_of(name), on)
        words = "You have blocked" if on else "You no longer block"
        told = Told((f"{words} {name}.",), self._desk.clock.seconds())
        self._changing[id(told)] = change
        self._change(change)
        self._desk.journal.append(told, holder.link, (change,))

    def with_changes(self, key: Key, stored: Blocks) -> Blocks:
        """Somebody's blocks from the store, with those that are still on their way into it."""
        for change in self._changing.values():
            stored = _changed(stored, key, change)
        return stored

    def forget(self, key: Key) -> None:
        """Let nobody online block somebody whose account is gone: the name may be another's."""
        for holder in self._desk.sessions:
            blocks = holder.blocks
            if key in blocks.blocked | blocks.blocked_by:
                holder.block(Blocks(blocks.blocked - {key}, blocks.blocked_by - {key}))

    def stored(self, answer: Event) -> None:
        """Take note: the change that this is the answer to, if to one, is stored."""
        self._changing.pop(id(answer), None)

    def not_stored(self, answer: Event) -> None:
        """Undo the change that this was to be the answer to, if to one."""
        change = self._changing.pop(id(answer), None)
        if change is not None:
            self._change(attrs.evolve(change, on=not change.on))

    def _change(self, change: BlockSet) -> None:
        for key in (change.blocker, change.blocked):
            holder = self._desk.roster.local(key)
            if holder is not None:
                holder.block(_changed(holder.blocks, key, change))


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
