"""One contract for every store: files on their way, and to whom each is offered."""

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from chatd.domain.filenames import FileName
from chatd.domain.names import GroupName, Key, Name, group_room
from chatd.domain.records import Offer, Transfer
from tests.stores import STORES, AnyStore, store_of
from tests.threads import Threads, sql_store

NEW = Transfer(
    id=0,
    spool="0" * 32,
    sender=Key("alice"),
    sender_name=Name("Alice"),
    to="the group Team",
    room=group_room(GroupName("Team")),
    name=FileName("notes \N{SNOWMAN}.pdf"),
    size=10**18 - 1,
    sha256="",
    created=1000.25,
    expires=2000.5,
    ticket="a" * 64,
    ticket_expires=1500.75,
)
OTHER = attrs.evolve(NEW, spool="1" * 32, room=None, to="bob", size=None, ticket="b" * 64)
BOB = Offer(Key("bob"), Name("Bob"))
CAROL = Offer(Key("carol"), Name("carol"), "c" * 64, 1600.5, 2**62)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, threads: Threads, tmp_path: Path) -> Iterator[AnyStore]:
    """Each store in turn, empty."""
    with store_of(request.param, threads, tmp_path) as made:
        yield made


def test_come_back(threads: Threads, store: AnyStore) -> None:
    """Files come back as they were stored, the oldest first, with their recipients by name."""
    assert store.transfers() == []
    first = threads.wait(store.add_transfer(NEW, [CAROL, BOB]))
    second = threads.wait(store.add_transfer(OTHER, [BOB]))
    assert (first, second) == (attrs.evolve(NEW, id=1), attrs.evolve(OTHER, id=2))
    assert store.transfers() == [(first, (BOB, CAROL)), (second, (BOB,))]
    ((transfer, offers), _) = store.transfers()
    assert {type(value) for value in attrs.astuple(transfer)} == {int, float, str}
    assert all(type(offer.upto) is int for offer in offers)


def test_changed(threads: Threads, store: AnyStore) -> None:
    """What changes of a file changes of no other one."""
    first = threads.wait(store.add_transfer(NEW, [BOB]))
    second = threads.wait(store.add_transfer(OTHER, [BOB]))
    done = attrs.evolve(first, size=7, sha256="d" * 64, ticket="", expires=3000.5)
    threads.wait(store.set_transfer(done))
    assert store.transfers() == [(done, (BOB,)), (second, (BOB,))]


def test_changed_offer(threads: Threads, store: AnyStore) -> None:
    """What changes of an offer changes for that recipient of that file alone."""
    for new in (NEW, OTHER):
        threads.wait(store.add_transfer(new, [BOB, CAROL]))
    changed = attrs.evolve(BOB, ticket="e" * 64, ticket_expires=1700.5, upto=5)
    threads.wait(store.set_offer(1, changed))
    assert [offers for _, offers in store.transfers()] == [(changed, CAROL), (BOB, CAROL)]


def test_removed_offer(threads: Threads, store: AnyStore) -> None:
    """An offer is taken from one recipient of one file; a file may be left without any."""
    for new in (NEW, OTHER):
        threads.wait(store.add_transfer(new, [BOB, CAROL]))
    threads.wait(store.remove_offer(1, BOB.key))
    assert [offers for _, offers in store.transfers()] == [(CAROL,), (BOB, CAROL)]
    threads.wait(store.remove_offer(1, CAROL.key))
    assert [offers for _, offers in store.transfers()] == [(), (BOB, CAROL)]


def test_removed(threads: Threads, store: AnyStore) -> None:
    """A file goes with its offers, and no later one has its number."""
    for new in (NEW, OTHER):
        threads.wait(store.add_transfer(new, [BOB, CAROL]))
    threads.wait(store.remove_transfer(2))
    ((transfer, offers),) = store.transfers()
    assert (transfer.id, offers) == (1, (BOB, CAROL))
    again = threads.wait(store.add_transfer(OTHER, [CAROL]))
    assert again.id == 3
    assert store.transfers()[1] == (again, (CAROL,))


def test_what_is_gone(threads: Threads, store: AnyStore) -> None:
    """What is gone can't be changed back into something, nor removed once more."""
    made = threads.wait(store.add_transfer(NEW, [BOB]))
    threads.wait(store.remove_offer(1, BOB.key))
    threads.wait(store.set_offer(1, attrs.evolve(BOB, upto=1)))
    threads.wait(store.remove_offer(1, BOB.key))
    assert store.transfers() == [(made, ())]
    threads.wait(store.remove_transfer(1))
    threads.wait(store.remove_transfer(1))
    threads.wait(store.set_transfer(made))
    threads.wait(store.set_offer(1, BOB))
    threads.wait(store.remove_offer(1, BOB.key))
    assert store.transfers() == []


def test_after_a_restart(threads: Threads, tmp_path: Path) -> None:
    """Files outlast the server; their numbers go on, even where the last one is gone."""
    with sql_store(threads, tmp_path) as store:
        threads.wait(store.add_transfer(NEW, [BOB]))
        threads.wait(store.add_transfer(OTHER, [BOB]))
        threads.wait(store.remove_transfer(2))
        before = store.transfers()
    with sql_store(threads, tmp_path) as store:
        assert store.transfers() == before
        assert threads.wait(store.add_transfer(OTHER, [BOB])).id == 3
