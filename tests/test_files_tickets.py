"""Tickets: what each is good for, for how long, and who loses it by what."""

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from chatd.domain.errors import NoSuchTicket, TransferBusy
from chatd.domain.events import Place, TicketGiven, Way
from chatd.domain.names import Key
from chatd.domain.records import Ban
from tests.fakes import World, result_of, sent_to
from tests.sending import (
    asked,
    begin,
    bring,
    claim,
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

HOUR = 3600


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    """A world whose store can be slow; everybody in it is sent away at the end."""
    made = files_world(clock)
    yield made
    everybody_goes(made)


def is_good(world: World, given: TicketGiven) -> bool:
    """Whether a ticket is still good for anything."""
    try:
        parcel, way = result_of(world.hub.files.look(given.ticket))
    except NoSuchTicket:
        return False
    assert (parcel.transfer.id, way) == (given.number, given.way)
    return True


@pytest.mark.parametrize(
    "ticket",
    ["", "0" * 32, "f" * 32, "1", f"{1:032x} ", f"{1:031x}", f"{1:033x}", "\x00", "é" * 32],
)
def test_guessed(world: World, ticket: str) -> None:
    """A ticket that was never given is good for nothing."""
    alice, bob = world.login("alice"), world.login("bob")
    offered(world, alice, bob, "bob notes.pdf")
    for way in Way:
        with pytest.raises(NoSuchTicket):
            claim(world, ticket, way)
    with pytest.raises(NoSuchTicket):
        result_of(world.hub.files.look(ticket))


def test_hash_is_no_ticket(world: World) -> None:
    """What the database has of a ticket can't be used in its place."""
    alice, bob = world.login("alice"), world.login("bob")
    send(world, alice, "bob one.pdf")
    offered(world, alice, bob, "bob two.pdf")
    for transfer, (offer,) in world.store.transfers():
        for way in Way:
            for kept in (transfer.ticket, offer.ticket, transfer.spool):
                with pytest.raises(NoSuchTicket):
                    claim(world, kept, way)


def test_wrong_way(world: World) -> None:
    """A ticket to send is none to fetch, and the other way round."""
    alice, bob = world.login("alice"), world.login("bob")
    sending = send(world, alice, "bob notes.pdf")
    with pytest.raises(NoSuchTicket):
        claim(world, sending.ticket, Way.GET)
    put(world, sending)
    with pytest.raises(NoSuchTicket):
        claim(world, ticket_in(words(sent_to(bob))).ticket, Way.PUT)


def test_used(world: World) -> None:
    """A ticket is good until its transfer is complete, and not once more."""
    alice, bob = world.login("alice"), world.login("bob")
    sending = send(world, alice, "bob notes.pdf")
    assert is_good(world, sending)
    stop(world, begin(world, sending.ticket))
    assert is_good(world, sending)
    put(world, sending)
    assert not is_good(world, sending)
    fetching = ticket_in(words(sent_to(bob)))
    fetch(world, fetching, 0, 99)
    assert is_good(world, fetching)
    fetch(world, fetching, 99)
    assert not is_good(world, fetching)


def test_used_twice_at_once(world: World) -> None:
    """One ticket serves one connection at a time, and meanwhile there is no other."""
    alice, bob = world.login("alice"), world.login("bob")
    sending = send(world, alice, "bob notes.pdf")
    busy = "That is under way already, in another connection."
    made = begin(world, sending.ticket)
    with pytest.raises(TransferBusy, match=busy):
        claim(world, sending.ticket, Way.PUT)
    assert asked(world, alice, "get 1") == [busy]
    stop(world, made)
    put(world, sending)
    fetching = ticket_in(words(sent_to(bob)))
    made = claim(world, fetching.ticket, Way.GET)
    with pytest.raises(TransferBusy):
        claim(world, fetching.ticket, Way.GET)
    assert asked(world, bob, "get 1") == [busy]
    result_of(world.hub.files.gave(made, 0, 50))
    assert is_good(world, fetching)


def test_login_while_fetching(world: World) -> None:
    """Who comes back while his download still runs is offered it no second time."""
    alice, bob = world.login("alice"), world.login("bob")
    fetching = offered(world, alice, bob, "bob notes.pdf")
    made = claim(world, fetching.ticket, Way.GET)
    quit_(world, bob)
    assert heard(world.login("bob")) == [[]]
    result_of(world.hub.files.gave(made, 0, 50))
    assert is_good(world, fetching)


def test_expired(world: World) -> None:
    """A ticket is good for an hour; /get gives another one."""
    alice, bob = world.login("alice"), world.login("bob")
    sending = send(world, alice, "bob notes.pdf")
    world.clock.advance(HOUR - 1)
    assert is_good(world, sending)
    world.clock.advance(1)
    assert not is_good(world, sending)
    put(world, ticket_in(asked(world, alice, "get 1")))
    fetching = ticket_in(words(sent_to(bob)))
    world.clock.advance(HOUR)
    assert not is_good(world, fetching)
    assert is_good(world, ticket_in(asked(world, bob, "get 1")))


def test_renewed(world: World) -> None:
    """With a fresh ticket the one before it is no longer good."""
    alice, bob = world.login("alice"), world.login("bob")
    sending = send(world, alice, "bob notes.pdf")
    fresh = ticket_in(asked(world, alice, "get 1"))
    assert (is_good(world, sending), is_good(world, fresh)) == (False, True)
    put(world, fresh)
    fetching = ticket_in(words(sent_to(bob)))
    fresh = ticket_in(asked(world, bob, "get 1"))
    assert (is_good(world, fetching), is_good(world, fresh)) == (False, True)
    assert len(world.hub.files._tickets) == 1


def test_each_his_own(world: World) -> None:
    """Each member of a group has a ticket of his own, and uses up nobody else's."""
    alice, bob, carol = team(world, "alice", "bob", "carol")
    put(world, send(world, alice, "@team notes.pdf"))
    his, hers = (ticket_in(words(sent_to(one))) for one in (bob, carol))
    assert his.ticket != hers.ticket
    fetch(world, his)
    assert (is_good(world, his), is_good(world, hers)) == (False, True)


# Bans, blocks, groups, members.


def ban(world: World, target: str) -> None:
    """Keep somebody out, as /ban does."""
    made = Ban(target, 0.0, "", "Olga", 0.0)
    world.hub.sanctions.ban(made)
    result_of(world.hub.end_banned(made))
    world.turn()


@pytest.mark.parametrize("way", Way)
def test_banned(world: World, way: Way) -> None:
    """Who is banned neither sends nor fetches any more, not even what is under way."""
    alice, bob = world.login("alice"), world.login("bob")
    given = send(world, alice, "bob notes.pdf")
    if way is Way.GET:
        put(world, given)
        given = ticket_in(words(sent_to(bob)))
    cuts: list[str] = []
    made = claim(world, given.ticket, way, lambda: cuts.append("cut"))
    ban(world, "carol")
    assert cuts == []
    ban(world, "alice" if way is Way.PUT else "bob")
    assert cuts == ["cut"]
    assert not is_good(world, given)
    if way is Way.PUT:
        with pytest.raises(NoSuchTicket):
            world.hub.files.begin(made, 0, None)
        result_of(world.hub.files.release(made, 0))
    else:
        result_of(world.hub.files.gave(made, 0, 30))
    world.hub.sanctions.unban("alice")
    world.hub.sanctions.unban("bob")
    assert is_good(world, given)


def test_blocked_after_the_offer(world: World) -> None:
    """A block takes an offer away, and gives it back with the block's end."""
    alice, bob = world.login("alice"), world.login("bob")
    fetching = offered(world, alice, bob, "bob notes.pdf")
    for blocker, other in ((bob, "alice"), (alice, "bob")):
        world.ask(blocker, f"block {other}")
        assert not is_good(world, fetching)
        no = "There is no file 1 for you or from you; /files lists them."
        assert asked(world, bob, "get 1") == [no]
        assert asked(world, bob, "files") == ["There are no files for you or from you."]
        assert len(asked(world, alice, "files")) == 1
        quit_(world, bob)
        bob = world.login("bob")
        assert heard(bob) == [[]]
        world.ask(alice if blocker is alice else bob, f"unblock {other}")
        assert is_good(world, fetching)


def test_blocked_meanwhile(world: World) -> None:
    """Who has blocked the sender hears nothing of a file that comes after that."""
    alice, bob = world.login("alice"), world.login("bob")
    sending = send(world, alice, "bob notes.pdf")
    world.ask(bob, "block alice")
    put(world, sending)
    assert heard(bob) == [[]]
    take(alice)
    world.ask(alice, "cancel 1")
    assert heard(bob) == [[]]


def test_block_that_is_not_stored_yet(world: World) -> None:
    """A block counts at once, also while the disk is slow."""
    alice, bob = world.login("alice"), world.login("bob")
    fetching = offered(world, alice, bob, "bob notes.pdf")
    file_store(world).slow = frozenset({"append"})
    world.ask(bob, "block alice")
    assert not is_good(world, fetching)
    file_store(world).proceed()
    world.turn()
    assert not is_good(world, fetching)


@pytest.mark.parametrize("why", ["expel bob", "leave"])
def test_group_left(world: World, why: str) -> None:
    """Who is no longer a member gets nothing that was for the group, and hears nothing of it."""
    alice, bob, carol = team(world, "alice", "bob", "carol")
    put(world, send(world, alice, "@team notes.pdf"))
    his, hers = (ticket_in(words(sent_to(one))) for one in (bob, carol))
    cuts: list[str] = []
    for given, name in ((his, "bob"), (hers, "carol")):
        claim(world, given.ticket, Way.GET, lambda name=name: cuts.append(name))  # type: ignore[misc]
    world.ask(bob if why == "leave" else alice, why)
    world.turn()
    assert cuts == ["bob"]
    assert not is_good(world, his)
    assert asked(world, bob, "get 1") == [
        "There is no file 1 for you or from you; /files lists them."
    ]
    assert asked(world, bob, "files") == ["There are no files for you or from you."]
    take(bob, carol)
    world.ask(alice, "cancel 1")
    assert heard(bob, carol) == [[], ["alice has cancelled notes.pdf."]]


def test_sender_who_left_the_group(world: World) -> None:
    """Who is no longer a member sends the group nothing; what is there already stays."""
    alice, bob = team(world, "alice", "bob")
    put(world, send(world, bob, "@team there.pdf"))
    fetching = ticket_in(words(sent_to(alice)))
    sending = send(world, bob, "@team notes.pdf")
    cuts: list[str] = []
    claim(world, sending.ticket, Way.PUT, lambda: cuts.append("cut"))
    world.ask(bob, "leave")
    assert cuts == ["cut"]
    assert not is_good(world, sending)
    assert asked(world, bob, "get 2") == ["You are not a member of team."]
    assert is_good(world, fetching)
    world.ask(alice, "leave")
    assert not is_good(world, fetching)


class Listed:
    """A members file in which only some people are."""

    def __init__(self, *names: str) -> None:
        self.members = frozenset(Key(name) for name in names)

    async def look(self) -> None:
        """Find nothing new."""

    async def set_password(self, key: Key, hashed: str) -> None:
        """Write nothing."""


def test_members_file(world: World) -> None:
    """Who is taken out of the members file neither sends nor fetches any more."""
    alice, bob = world.login("alice"), world.login("bob")
    fetching = offered(world, alice, bob, "bob notes.pdf")
    sending = send(world, bob, "alice answer.pdf")
    cuts: list[str] = []
    claim(world, fetching.ticket, Way.GET, lambda: cuts.append("get"))
    claim(world, sending.ticket, Way.PUT, lambda: cuts.append("put"))
    world.hub.members = Listed("alice")
    result_of(world.hub.only_members(world.hub.members.members))
    assert cuts == ["get", "put"]
    assert not is_good(world, fetching)
    assert not is_good(world, sending)
    world.hub.members = Listed("alice", "bob")
    assert is_good(world, fetching)
    assert is_good(world, sending)


# Where there is no way to use one.


def test_no_files_port(world: World) -> None:
    """Without a port for files nobody is given a ticket, and nobody is offered anything."""
    alice, bob = world.login("alice"), world.login("bob")
    offered(world, alice, bob, "bob notes.pdf")
    world.places = ()
    quit_(world, bob)
    bob = world.login("bob")
    assert heard(bob) == [[]]
    no = ["This server takes no files."]
    assert asked(world, bob, "get 1") == no
    assert asked(world, alice, "send bob notes.pdf") == no
    assert asked(world, bob, "cancel 1") == ["notes.pdf is declined."]


def test_where_each_has_come(world: World) -> None:
    """Everybody is told the files port at the address at which he has reached the chat himself."""
    alice, bob = world.login("alice"), world.login("bob")
    for session, host in ((alice, "192.0.2.7"), (bob, "2001:db8::7")):
        session.link.host = host  # type: ignore[misc]
    world.places = (Place("", 5080, tls=False), Place("", 5443, tls=True))
    sending = send(world, alice, "bob notes.pdf")
    assert {place.host for place in sending.places} == {"192.0.2.7"}
    put(world, sending)
    fetching = ticket_in(words(sent_to(bob)))
    assert [(place.host, place.port) for place in fetching.places] == [
        ("2001:db8::7", 5080),
        ("2001:db8::7", 5443),
    ]


def test_looked_at(world: World) -> None:
    """To look at what a ticket is for begins nothing, and may be done while it is used."""
    alice, _ = world.login("alice"), world.account("bob")
    sending = send(world, alice, "bob notes.pdf 100")
    made = begin(world, sending.ticket)
    bring(world, made, 30)
    parcel, way = result_of(world.hub.files.look(sending.ticket))
    assert (way, parcel.received, parcel.complete) == (Way.PUT, 30, False)
    stop(world, made)
