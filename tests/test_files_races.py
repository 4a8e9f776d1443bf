"""Files, where something else happens while the disk or the scanner is slow."""

from collections.abc import Coroutine, Iterator
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatd.domain.errors import ChatError, NoSuchTicket, NotStored, Unwanted
from chatd.domain.events import TicketGiven, Way
from chatd.domain.names import Key
from chatd.domain.records import Transfer
from chatd.domain.transfers import hash_of
from tests.fakes import World, result_of, sent_to
from tests.sending import (
    SUM,
    asked,
    begin,
    bring,
    claim,
    complete,
    fetch,
    file_store,
    files_world,
    heard,
    offered,
    put,
    send,
    stop,
    ticket_in,
    words,
)
from tests.stored import everybody_goes, quit_, take, team

NO_FILES = ["There are no files for you or from you."]


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    """A world whose store can be slow; everybody in it is sent away at the end."""
    made = files_world(clock)
    yield made
    everybody_goes(made)
    assert sorted(world_tickets(made)) == sorted(stored_tickets(made))


def world_tickets(world: World) -> list[str]:
    """The hashes of the tickets that are good."""
    return list(world.hub.files._tickets)


def stored_tickets(world: World) -> list[str]:
    """Those that the store has."""
    found = []
    for transfer, offers in world.store.transfers():
        found += [transfer.ticket, *(offer.ticket for offer in offers)]
    return [one for one in found if one]


def start(work: Coroutine[Any, Any, None]) -> list[str]:
    """Begin something that waits; how it ended, once it has."""
    ended: list[str] = []
    running = Deferred.fromCoroutine(work)
    running.addCallbacks(lambda _: ended.append("done"), lambda why: ended.append(why.value.code))
    return ended


def slow(world: World, *what: str) -> None:
    """Let the store take its time over something."""
    file_store(world).slow = frozenset(what)


def proceed(world: World) -> None:
    """Let it go on."""
    file_store(world).proceed()
    world.turn()


@attrs.define
class SlowScan:
    """A scanner that takes its time."""

    answer: Deferred[str | None] = attrs.field(factory=Deferred)

    async def __call__(self, transfer: Transfer) -> str | None:
        """What is wrong with a file."""
        return await self.answer


@pytest.fixture
def scan(world: World) -> SlowScan:
    """The scanner of the world."""
    world.hub.files._scan = made = SlowScan()
    return made


@pytest.mark.parametrize("verdict", [None, "Eicar FOUND"])
@pytest.mark.parametrize("who", ["cancelled", "declined"])
def test_over_during_the_scan(world: World, scan: SlowScan, who: str, verdict: str | None) -> None:
    """A file that is cancelled or declined while it is scanned is gone, whatever is found in it."""
    alice, bob = world.login("alice"), world.login("bob")
    made = begin(world, send(world, alice, "bob notes.pdf").ticket)
    bring(world, made, 100)
    ended = start(world.hub.files.finish(made, 100, SUM))
    take(alice, bob)
    does, hears = (alice, bob) if who == "cancelled" else (bob, alice)
    assert asked(world, does, "cancel 1") == [f"notes.pdf is {who}."]
    name = "alice" if who == "cancelled" else "bob"
    assert heard(hears) == [[f"{name} has {who} notes.pdf."]]
    scan.answer.callback(verdict)
    stop(world, made)
    assert ended == [NoSuchTicket.code]
    assert heard(alice, bob) == [[], []]
    assert (world.spool.files, world.store.transfers()) == ({}, [])


def test_declined_by_one_during_the_scan(world: World, scan: SlowScan) -> None:
    """Who declines a file while it is scanned is not offered it; the others are."""
    alice, bob, carol = team(world, "alice", "bob", "carol")
    made = begin(world, send(world, alice, "@team notes.pdf").ticket)
    bring(world, made, 100)
    ended = start(world.hub.files.finish(made, 100, SUM))
    world.ask(bob, "cancel 1")
    take(bob, carol)
    scan.answer.callback(None)
    stop(world, made)
    assert ended == ["done"]
    told, got = heard(bob, carol)
    assert told == []
    assert ticket_in(got).name == "notes.pdf"


def test_sender_gone_during_the_scan(world: World, scan: SlowScan) -> None:
    """A sender who logs out takes nothing away; one who loses his account takes his files."""
    alice, bob = world.login("alice"), world.login("bob")
    made = begin(world, send(world, alice, "bob notes.pdf").ticket)
    bring(world, made, 100)
    ended = start(world.hub.files.finish(made, 100, SUM))
    quit_(world, alice)
    assert asked(world, bob, "get 1") == ["notes.pdf is not here yet."]
    result_of(world.hub.files.forget(Key("alice")))
    scan.answer.callback("Eicar FOUND")
    stop(world, made)
    assert ended == [NoSuchTicket.code]
    assert heard(bob) == [["notes.pdf from alice is gone."]]


def test_meanwhile_nothing_else_is_sent(world: World, scan: SlowScan) -> None:
    """While a file is scanned its ticket is in use, and there is no other."""
    alice, _ = world.login("alice"), world.account("bob")
    given = send(world, alice, "bob notes.pdf")
    made = begin(world, given.ticket)
    bring(world, made, 100)
    start(world.hub.files.finish(made, 100, SUM))
    assert asked(world, alice, "get 1") == ["That is under way already, in another connection."]
    with pytest.raises(ChatError):
        claim(world, given.ticket, Way.PUT)
    scan.answer.callback(None)
    stop(world, made)


def test_gone_before_it_is_stored(world: World) -> None:
    """A file that is declined in the moment in which it is complete is gone."""
    alice, bob = world.login("alice"), world.login("bob")
    made = begin(world, send(world, alice, "bob notes.pdf").ticket)
    bring(world, made, 100)
    slow(world, "set_transfer")
    ended = start(world.hub.files.finish(made, 100, SUM))
    world.ask(bob, "cancel 1")
    take(alice, bob)
    proceed(world)
    assert ended == [NoSuchTicket.code]
    stop(world, made)
    assert heard(alice, bob) == [[], []]
    assert (world.spool.files, world_tickets(world)) == ({}, [])


def test_complete_but_not_stored(world: World) -> None:
    """Where it can't be stored that a file is here, its sender hears so, and goes on later."""
    alice, bob = world.login("alice"), world.login("bob")
    given = send(world, alice, "bob notes.pdf 100")
    made = begin(world, given.ticket)
    bring(world, made, 100)
    take(alice, bob)
    file_store(world).full = True
    with pytest.raises(NotStored):
        complete(world, made)
    assert heard(alice, bob) == [
        ["notes.pdf stopped at 100 of 100 bytes; /get 1 tells how to go on."],
        [],
    ]
    file_store(world).full = False
    complete(world, begin(world, given.ticket, 100))
    assert ticket_in(words(sent_to(bob))).size == 100


@pytest.mark.parametrize("verb", ["cancel", "decline"])
def test_not_stored_that_it_is_over(world: World, verb: str) -> None:
    """Where it can't be stored that somebody has changed his mind, nobody is told so."""
    alice, bob = world.login("alice"), world.login("bob")
    offered(world, alice, bob, "bob notes.pdf")
    take(alice, bob)
    file_store(world).full = True
    told = asked(world, alice if verb == "cancel" else bob, "cancel 1")
    assert told == ["That could not be stored, and was not sent. Please try again later."]
    assert heard(alice, bob) == [[], []]
    file_store(world).full = False
    assert ticket_in(asked(world, bob, "get 1")).number == 1


def test_refused_but_not_stored(world: World) -> None:
    """What the scanner refuses is offered to nobody, even where that can't be stored."""
    alice, bob = world.login("alice"), world.login("bob")
    given = send(world, alice, "bob notes.pdf")
    made = begin(world, given.ticket)
    bring(world, made, 100)
    take(alice, bob)
    world.wrong = "Eicar FOUND"
    file_store(world).full = True
    with pytest.raises(NotStored):
        complete(world, made)
    assert heard(alice, bob) == [["notes.pdf stopped at 100 bytes; /get 1 tells how to go on."], []]
    assert asked(world, bob, "get 1") == ["notes.pdf is not here yet."]
    file_store(world).full = False
    with pytest.raises(Unwanted):
        complete(world, begin(world, given.ticket, 100))


def test_declined_while_renewed(world: World) -> None:
    """A ticket for a file that is declined meanwhile is not given any more."""
    alice, bob = world.login("alice"), world.login("bob")
    send(world, alice, "bob notes.pdf")
    slow(world, "set_transfer")
    assert asked(world, alice, "get 1") == []
    world.ask(bob, "cancel 1")
    take(alice)
    proceed(world)
    assert heard(alice) == [["There is no file 1 for you or from you; /files lists them."]]
    assert world_tickets(world) == []


def test_cancelled_while_offered(world: World) -> None:
    """Who is just being offered a file that is taken back hears only of that."""
    alice, bob = world.login("alice"), world.login("bob")
    offered(world, alice, bob, "bob notes.pdf")
    for what in ("blocks", "set_offer"):
        slow(world, what)
        assert asked(world, bob, "get 1") == []
        proceed(world)
        assert ticket_in(words(sent_to(bob))).number == 1
    slow(world, "set_offer")
    assert asked(world, bob, "get 1") == []
    world.ask(alice, "cancel 1")
    assert heard(bob) == [["alice has cancelled notes.pdf."]]
    proceed(world)
    assert heard(bob) == [[]]


def test_cancelled_while_looked_for(world: World) -> None:
    """Who logs in while a file for him is taken back is not offered it."""
    alice, bob = world.login("alice"), world.login("bob")
    offered(world, alice, bob, "bob notes.pdf")
    quit_(world, bob)
    slow(world, "set_offer")
    bob = world.login("bob")
    take(bob)
    slow(world, "blocks", "set_offer")
    ended = start(world.hub.files.welcome(bob))
    world.ask(alice, "cancel 1")
    take(bob)
    proceed(world)
    assert ended == ["done"]
    assert heard(bob) == [[]]


def test_cancelled_as_soon_as_it_is_here(world: World) -> None:
    """A file that is taken back in the moment in which it would be offered is not."""
    alice, bob = world.login("alice"), world.login("bob")
    made = begin(world, send(world, alice, "bob notes.pdf").ticket)
    bring(world, made, 100)
    take(bob)
    slow(world, "blocks")
    complete(world, made)
    world.ask(alice, "cancel 1")
    proceed(world)
    assert heard(bob) == [["alice has cancelled notes.pdf."]]


def test_two_offers_at_once(world: World) -> None:
    """Of two tickets that are made at one moment one is told, and it is the one that is good."""
    alice, bob = world.login("alice"), world.login("bob")
    offered(world, alice, bob, "bob notes.pdf")
    slow(world, "set_offer")
    for _ in range(2):
        start(world.hub.files.welcome(bob))
    take(bob)
    proceed(world)
    given = ticket_in(words(sent_to(bob)))
    assert world_tickets(world) == [hash_of(given.ticket)] == stored_tickets(world)
    fetch(world, given)


def test_ticket_while_fetching(world: World) -> None:
    """What is fetched while a fresh ticket is stored is not forgotten."""
    alice, bob = world.login("alice"), world.login("bob")
    fetching = offered(world, alice, bob, "bob notes.pdf")
    slow(world, "set_offer")
    made = claim(world, fetching.ticket, Way.GET)
    start(world.hub.files.welcome(bob))
    result_of(world.hub.files.gave(made, 0, 0))
    assert asked(world, bob, "get 1") == []
    ended = start(world.hub.files.gave(made, 0, 60))
    take(bob)
    proceed(world)
    assert ended == ["done"]
    given = ticket_in(words(sent_to(bob)))
    ((_, (offer,)),) = world.store.transfers()
    assert (offer.upto, offer.ticket) == (60, hash_of(given.ticket))


def test_last_two_at_once(world: World) -> None:
    """A file that the last two recipients have at the same moment is gone."""
    alice, bob, carol = team(world, "alice", "bob", "carol")
    put(world, send(world, alice, "@team notes.pdf"))
    claims = [claim(world, ticket_in(words(sent_to(one))).ticket, Way.GET) for one in (bob, carol)]
    take(alice)
    slow(world, "remove_offer")
    for made in claims:
        start(world.hub.files.gave(made, 0, 100))
    proceed(world)
    assert heard(alice) == [["bob has fetched notes.pdf.", "carol has fetched notes.pdf."]]
    assert (world.spool.files, world.store.transfers()) == ({}, [])
    assert asked(world, alice, "files") == NO_FILES


def test_declined_twice_at_once(world: World) -> None:
    """Who declines what he has just fetched takes it away from nobody else."""
    alice, bob, carol = team(world, "alice", "bob", "carol")
    put(world, send(world, alice, "@team notes.pdf"))
    his, hers = (ticket_in(words(sent_to(one))) for one in (bob, carol))
    made = claim(world, his.ticket, Way.GET)
    slow(world, "remove_offer")
    start(world.hub.files.gave(made, 0, 100))
    world.ask(bob, "cancel 1")
    proceed(world)
    fetch(world, hers)
    assert world.store.transfers() == []


def test_cancelled_twice_at_once(world: World) -> None:
    """A file that its sender takes back while it is too old is gone once."""
    alice, bob = world.login("alice"), world.login("bob")
    offered(world, alice, bob, "bob notes.pdf")
    world.clock.advance(3 * 86_400)
    slow(world, "remove_transfer")
    ended = start(world.hub.files.forget_over())
    world.ask(alice, "cancel 1")
    proceed(world)
    assert ended == ["done"]
    assert not world.hub.files._taken
    assert world.spool.files == {}


def test_old_ones_while_cleared_away(world: World) -> None:
    """What its sender takes back while older files are cleared away is not told to be too old."""
    alice, bob = world.login("alice"), world.login("bob")
    for name in "ab":
        send(world, alice, f"bob {name}")
    world.clock.advance(3 * 86_400)
    slow(world, "remove_transfer")
    ended = start(world.hub.files.forget_over())
    file_store(world).slow = frozenset()
    world.ask(alice, "cancel 2")
    take(alice, bob)
    proceed(world)
    assert ended == ["done"]
    assert heard(alice, bob) == [["a to bob is too old, and gone."], ["a is too old, and gone."]]


def test_cancelled_while_a_ticket_is_looked_up(world: World) -> None:
    """A ticket that is taken back in the moment in which somebody comes with it is no good."""
    alice, bob = world.login("alice"), world.login("bob")
    fetching = offered(world, alice, bob, "bob notes.pdf")
    cuts: list[str] = []
    slow(world, "blocks")

    async def come() -> None:
        await world.hub.files.claim(fetching.ticket, Way.GET, lambda: cuts.append("cut"))

    ended = start(come())
    world.ask(alice, "cancel 1")
    proceed(world)
    assert (ended, cuts) == ([NoSuchTicket.code], [])


def test_two_with_one_ticket(world: World) -> None:
    """Of two who come with one ticket at the same moment one is let in."""
    alice, bob = world.login("alice"), world.login("bob")
    fetching = offered(world, alice, bob, "bob notes.pdf")
    slow(world, "blocks")

    async def come() -> None:
        await world.hub.files.claim(fetching.ticket, Way.GET, lambda: None)

    ended = [start(come()) for _ in range(2)]
    proceed(world)
    assert ended == [["done"], ["transfer_busy"]]


def test_late_end_of_an_upload(world: World) -> None:
    """An upload that was cut says nothing of one that has begun after it."""
    alice, _, _ = team(world, "alice", "bob", "carol")
    world.ask(alice, "transfer bob")
    given = send(world, alice, "@team notes.pdf")
    old = begin(world, given.ticket)
    bring(world, old, 50)
    world.ask(alice, "leave")
    world.ask(world.hub.roster.local(Key("bob")), "add alice")  # type: ignore[arg-type]
    new = begin(world, given.ticket)
    bring(world, new, 70)
    take(alice)
    result_of(world.hub.files.release(old, 50))
    assert heard(alice) == [[]]
    assert new.parcel.received == 70
    complete(world, new)


def test_list_while_files_go(world: World) -> None:
    """A list that is asked for while a file goes has no mistake in it."""
    alice, bob = world.login("alice"), world.login("bob")
    for name in "ab":
        send(world, alice, f"bob {name}")
    slow(world, "blocks")
    assert asked(world, bob, "files") == []
    world.ask(alice, "cancel 1")
    take(bob)
    proceed(world)
    told = heard(bob)[0]
    assert told == ["2: b (size unknown) from alice, 0 bytes here; 3 days left."]
    assert not any(isinstance(one, TicketGiven) for one in told)
