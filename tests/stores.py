"""What the stores' tests share: each store in turn, and what goes into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from chatd.domain.events import Said
from chatd.domain.names import ChannelName, Name, RoomName, key_of, skeleton_of
from chatd.domain.records import Account, Role
from chatd.domain.text import Text
from chatd.store.sql import SqlStore
from tests.memory import MemoryStore
from tests.threads import Threads, sql_store

GENERAL, WORK = ChannelName(RoomName("general")), ChannelName(RoomName("work"))

AnyStore = MemoryStore | SqlStore

STORES: Final = ["memory", "sql"]


@contextmanager
def store_of(kind: str, threads: Threads, state: Path) -> Iterator[AnyStore]:
    """One of the stores, empty, with two channels."""
    if kind == "memory":
        yield MemoryStore()
    else:
        with sql_store(threads, state, GENERAL, WORK) as made:
            yield made


def person(name: str, *, mail: str | None = None, last_login: float | None = None) -> Account:
    """An account that no store has yet."""
    shown = Name(name)
    skeleton = skeleton_of(shown)
    return Account(0, key_of(shown), shown, skeleton, mail, "hash", Role.USER, 100.5, last_login)


def line(seq: int, text: str = "hello", room: RoomName = GENERAL, at: float = 0.0) -> Said:
    """A line with its place."""
    return Said(room, Name("alice"), Text(text), at or 1000.0 + seq, seq)
