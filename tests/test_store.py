"""One contract for every store: accounts, lines, and counts of wrong passwords."""

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from chatd.domain.errors import BadMail, NameTaken, NotStored
from chatd.domain.names import Key, Name, key_of, skeleton_of
from chatd.domain.records import Account, Role, Tries
from tests.stores import GENERAL, STORES, WORK, AnyStore, line, person, store_of
from tests.threads import Threads


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, threads: Threads, tmp_path: Path) -> Iterator[AnyStore]:
    """Each store in turn, empty, with two rooms."""
    with store_of(request.param, threads, tmp_path) as made:
        yield made


def test_account_comes_back_as_it_was_stored(threads: Threads, store: AnyStore) -> None:
    """A new account is found by its name and by its mail address, with an id of its own."""
    alice = attrs.evolve(person("Álice", mail="alice@example.org"), role=Role.OPERATOR)

    stored = threads.wait(store.add_account(alice))

    assert stored == attrs.evolve(alice, id=stored.id)
    assert stored.id > 0
    found = threads.wait(store.account(key_of(Name("Álice"))))
    assert found == stored
    assert found is not None
    assert type(found.role) is Role
    assert threads.wait(store.account_by_mail("alice@example.org")) == stored
    assert threads.wait(store.looks_like(alice.skeleton)) == "Álice"


def test_account_that_is_not_there(threads: Threads, store: AnyStore) -> None:
    """Nobody is found under a name, an address or a look that nobody has."""
    threads.wait(store.add_account(person("alice")))

    assert threads.wait(store.account(Key("bob"))) is None
    assert threads.wait(store.account(Key("ALICE"))) is None
    assert threads.wait(store.account_by_mail("alice@example.org")) is None
    assert threads.wait(store.looks_like("b0b")) is None


@pytest.mark.parametrize(
    "second",
    [
        person("ALICE"),
        attrs.evolve(person("bob"), skeleton=skeleton_of(Name("alice"))),
        person("bob", mail="alice@example.org"),
    ],
    ids=["same name", "same look", "same mail"],
)
def test_account_is_unique(threads: Threads, store: AnyStore, second: Account) -> None:
    """A second account of the same name, look or mail address is refused and not stored."""
    first = threads.wait(store.add_account(person("alice", mail="alice@example.org")))

    with pytest.raises(NameTaken) as refused:
        threads.wait(store.add_account(second))

    assert str(refused.value) == f"{second.name} is taken. Please choose another name."
    assert threads.wait(store.account(first.key)) == first
    assert threads.wait(store.account(Key("bob"))) is None


def test_two_accounts_without_mail(threads: Threads, store: AnyStore) -> None:
    """Any number of accounts may have no mail address, and each has another id."""
    alice = threads.wait(store.add_account(person("alice")))
    bob = threads.wait(store.add_account(person("bob")))

    assert alice.id != bob.id


def test_password_changed_meanwhile(threads: Threads, store: AnyStore) -> None:
    """Whoever knew only the password before the last can't put another in its place."""
    alice = threads.wait(store.add_account(person("alice")))
    threads.wait(store.set_password(alice, "new"))

    with pytest.raises(NotStored):
        threads.wait(store.set_password(alice, "hash of the old one"))
    assert threads.wait(store.account(alice.key)) == attrs.evolve(alice, password="new")


def test_account_changes(threads: Threads, store: AnyStore) -> None:
    """Password, mail address and last login change for that account alone."""
    alice = threads.wait(store.add_account(person("alice")))
    bob = threads.wait(store.add_account(person("bob")))

    threads.wait(store.set_password(alice, "other"))
    threads.wait(store.set_mail(alice, "alice@example.org"))
    threads.wait(store.logged_in(alice, 250.25))

    changed = attrs.evolve(alice, password="other", mail="alice@example.org", last_login=250.25)
    assert threads.wait(store.account(alice.key)) == changed
    assert threads.wait(store.account(bob.key)) == bob


def test_mail_address_of_another_account(threads: Threads, store: AnyStore) -> None:
    """An address that another account has is refused; one's own may be set again, or removed."""
    alice = threads.wait(store.add_account(person("alice", mail="a@example.org")))
    bob = threads.wait(store.add_account(person("bob", mail="b@example.org")))

    with pytest.raises(BadMail) as refused:
        threads.wait(store.set_mail(bob, "a@example.org"))
    assert str(refused.value) == "That address belongs to another account."
    assert threads.wait(store.account_by_mail("b@example.org")) == bob

    threads.wait(store.set_mail(alice, "a@example.org"))
    threads.wait(store.set_mail(bob, None))
    assert threads.wait(store.account_by_mail("a@example.org")) == alice
    assert threads.wait(store.account(bob.key)) == attrs.evolve(bob, mail=None)


def test_logins_since(threads: Threads, store: AnyStore) -> None:
    """Those who logged in since then are listed, the latest first; who never did is not."""
    for name, at in (("ann", 10.0), ("ben", 30.0), ("cyd", 20.0), ("dan", None), ("eve", 0.0)):
        threads.wait(store.add_account(person(name, last_login=at)))

    assert threads.wait(store.logins_since(20.0)) == ["ben", "cyd"]
    assert threads.wait(store.logins_since(30.5)) == []
    assert threads.wait(store.logins_since(0.0)) == ["ben", "cyd", "ann", "eve"]


def test_history_is_in_order_and_limited(threads: Threads, store: AnyStore) -> None:
    """A room's history is its last lines, oldest first, as many as were asked for."""
    lines = [line(seq, f"line {seq} \N{SNOWMAN}") for seq in range(1, 6)]
    assert threads.wait(store.append(lines[:2])) == []
    assert threads.wait(store.append(lines[2:])) == []

    assert threads.wait(store.history(GENERAL, 3)) == lines[-3:]
    assert threads.wait(store.history(GENERAL, 100)) == lines
    assert threads.wait(store.history(GENERAL, 0)) == []


def test_rooms_have_their_own_lines(threads: Threads, store: AnyStore) -> None:
    """Lines of one batch go to their own rooms, each with its own numbers."""
    here, there = line(1, "here"), line(1, "there", WORK)
    assert threads.wait(store.append([here, there])) == []

    assert threads.wait(store.history(GENERAL, 10)) == [here]
    assert threads.wait(store.history(WORK, 10)) == [there]


def test_empty_room(threads: Threads, store: AnyStore) -> None:
    """A room where nothing was said has no history, and an empty batch adds none."""
    assert threads.wait(store.append([])) == []

    assert threads.wait(store.history(GENERAL, 10)) == []


def test_wrong_passwords_are_kept(threads: Threads, store: AnyStore) -> None:
    """Counts replace those of the same account and address; a count of 0 is removed."""
    far, near = Tries("alice", "10.0.0.1", 1, 0.0), Tries("alice", "", 2, 0.0)
    bob = Tries("bob", "10.0.0.1", 3, 1060.5)
    threads.wait(store.save_tries([far, near]))
    threads.wait(store.save_tries([bob]))
    assert sorted(store.tries(), key=repr) == sorted([far, near, bob], key=repr)

    more = attrs.evolve(far, count=2)
    threads.wait(store.save_tries([more, Tries("alice", "", 0, 0.0)]))
    assert sorted(store.tries(), key=repr) == sorted([more, bob], key=repr)

    threads.wait(store.save_tries([Tries("nobody", "", 0, 0.0)]))
    assert sorted(store.tries(), key=repr) == sorted([more, bob], key=repr)
