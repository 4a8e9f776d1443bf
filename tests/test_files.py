"""Files on their way from one person to others: what each is told, and in which order."""

from collections.abc import Iterator

import attrs
import pytest
from twisted.internet.task import Clock

from chatd.domain.errors import NoSuchTicket, Unwanted, WrongOffset, WrongSize
from chatd.domain.events import Place, TicketGiven, Way
from chatd.domain.names import Key
from chatd.domain.transfers import hash_of
from tests.fakes import World, result_of, sent_to, spawn
from tests.sending import (
    SUM,
    asked,
    begin,
    bring,
    claim,
    complete,
    fetch,
    files_world,
    heard,
    offered,
    put,
    restarted,
    send,
    stop,
    ticket_in,
    words,
)
from tests.stored import everybody_goes, quit_, take, team

MIB = 1024**2
GIB = 1024**3
DAY = 86_400


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    """A world whose store can be slow; everybody in it is sent away at the end."""
    made = files_world(clock)
    yield made
    everybody_goes(made)


def test_from_one_to_another(world: World) -> None:
    """A file is announced, sent, offered and fetched; then nothing of it is left."""
    alice, bob = world.login("alice"), world.login("bob")
    take(bob)
    sending = send(world, alice, "bob notes.pdf 100")
    assert sending == TicketGiven(
        way=Way.PUT,
        number=1,
        ticket=f"{1:032x}",
        name=sending.name,
        path="notes.pdf",
        size=100,
        sha256="",
        other="bob",
        done=0,
        places=(Place("192.0.2.1", 5080, tls=False),),
        seconds=3600,
        at=0.0,
    )
    assert heard(alice, bob) == [[], ["alice is about to send you notes.pdf (100 bytes)."]]

    put(world, sending)
    told, got = heard(alice, bob)
    assert told == [f"notes.pdf is here: 100 bytes, sha256 {SUM}. It is offered to bob."]
    fetching = ticket_in(got)
    assert got == [fetching]
    assert fetching == attrs.evolve(
        sending, way=Way.GET, ticket=fetching.ticket, sha256=SUM, other="alice"
    )
    assert fetching.ticket != sending.ticket
    assert list(world.spool.files.values()) == [100]

    fetch(world, fetching)
    assert heard(alice, bob) == [["bob has fetched notes.pdf."], []]
    assert world.store.transfers() == []
    assert world.spool.files == {}
    assert asked(world, alice, "files") == ["There are no files for you or from you."]


def test_only_hashes_are_kept(world: World) -> None:
    """Whoever reads the database finds no ticket that he could use."""
    alice, bob = world.login("alice"), world.login("bob")
    sending = send(world, alice, "bob notes.pdf")
    ((transfer, _),) = world.store.transfers()
    assert transfer.ticket == hash_of(sending.ticket)
    put(world, sending)
    fetching = ticket_in(words(sent_to(bob)))
    ((transfer, (offer,)),) = world.store.transfers()
    assert (transfer.ticket, offer.ticket) == ("", hash_of(fetching.ticket))
    assert sending.ticket not in repr(world.store.transfers())
    assert fetching.ticket not in repr(world.store.transfers())


def test_size_that_nobody_knew(world: World) -> None:
    """A file can be sent without anybody saying before how large it is."""
    alice, bob = world.login("alice"), world.login("bob")
    sending = send(world, alice, "bob notes.pdf")
    assert sending.size is None
    assert words(sent_to(bob))[-1] == "alice is about to send you notes.pdf."
    assert asked(world, alice, "files")[0] == (
        "1: notes.pdf (size unknown) to bob, 0 bytes here; not fetched by bob; 3 days left."
    )
    put(world, sending, 2048)
    assert ticket_in(words(sent_to(bob))).size == 2048


def test_empty_file(world: World) -> None:
    """A file without a byte is sent and fetched as any other."""
    alice, bob = world.login("alice"), world.login("bob")
    sending = send(world, alice, "bob empty 0")
    assert asked(world, bob, "files") == [
        "1: empty (0 bytes) from alice, 0 bytes here; 3 days left."
    ]
    made = begin(world, sending.ticket)
    complete(world, made)
    fetching = ticket_in(words(sent_to(bob)))
    take(alice)
    fetch(world, fetching, 0, 0)
    assert heard(alice) == [["bob has fetched empty."]]
    assert world.store.transfers() == []


def test_who_is_offline(world: World) -> None:
    """Who is offline is offered a file when he comes, and then each time until he has it."""
    alice = world.login("alice")
    world.account("bob")
    put(world, send(world, alice, "bob notes.pdf"))
    first = world.login("bob")
    fetching = ticket_in(words(sent_to(first)))
    quit_(world, first)
    second = world.login("bob")
    again = ticket_in(words(sent_to(second)))
    assert again == attrs.evolve(fetching, ticket=again.ticket)
    with pytest.raises(NoSuchTicket):
        claim(world, fetching.ticket, Way.GET)
    fetch(world, again)
    quit_(world, second)
    assert not any(isinstance(one, TicketGiven) for one in words(sent_to(world.login("bob"))))


def test_not_yet_sent(world: World) -> None:
    """Who comes while a file is not here yet is offered nothing."""
    alice = world.login("alice")
    world.account("bob")
    made = begin(world, send(world, alice, "bob notes.pdf").ticket)
    bob = world.login("bob")
    assert len(words(sent_to(bob))) == 0
    assert asked(world, bob, "get 1") == ["notes.pdf is not here yet."]
    stop(world, made)


def test_many_files_at_login(world: World) -> None:
    """Who comes back to many files is offered some of them, and told how to see the others."""
    alice = world.login("alice")
    world.account("bob")
    for number in range(1, 8):
        put(world, send(world, alice, f"bob {number}.pdf"))
        told = words(sent_to(bob := world.login("bob")))
        names = [one.name for one in told if isinstance(one, TicketGiven)]
        assert names == [f"{n}.pdf" for n in range(1, min(number, 5) + 1)]
        assert told[5:] == {6: ["1 more file is there for you: /files"]}.get(
            number, ["2 more files are there for you: /files"] if number == 7 else []
        )
        quit_(world, bob)


def test_to_a_group(world: World) -> None:
    """Every other member is offered a file, and it is gone when the last one has it."""
    alice, bob, _ = team(world, "alice", "bob", "carol")
    quit_(world, world.hub.roster.local(Key("carol")))  # type: ignore[arg-type]
    take(alice, bob)
    sending = send(world, alice, "@team notes.pdf 100")
    assert sending.other == "the group team"
    assert heard(bob) == [["alice is about to send you notes.pdf (100 bytes)."]]
    put(world, sending)
    (told,) = heard(alice)
    assert told == [f"notes.pdf is here: 100 bytes, sha256 {SUM}. It is offered to the group team."]
    fetch(world, ticket_in(words(sent_to(bob))))
    assert heard(alice) == [["bob has fetched notes.pdf."]]
    assert world.spool.files
    assert asked(world, bob, "files") == ["There are no files for you or from you."]
    assert asked(world, alice, "files") == [
        "1: notes.pdf (100 bytes) to the group team, sent; not fetched by carol; 3 days left."
    ]
    carol = world.login("carol")
    fetch(world, ticket_in(words(sent_to(carol))))
    assert heard(alice) == [["carol has fetched notes.pdf."]]
    assert world.spool.files == {}


def test_listed_for_both(world: World) -> None:
    """Each side sees in its list how far a file is, and how long it stays."""
    alice, bob = world.login("alice"), world.login("bob")
    given = send(world, alice, "bob notes.pdf 200")
    made = begin(world, given.ticket)
    bring(world, made, 50)
    world.clock.advance(3600)
    assert asked(world, alice, "files") == [
        "1: notes.pdf (200 bytes) to bob, 25 % here; not fetched by bob; 2 days 23 hours left."
    ]
    assert asked(world, bob, "files") == [
        "1: notes.pdf (200 bytes) from alice, 25 % here; 2 days 23 hours left."
    ]
    bring(world, made, 150)
    complete(world, made)
    assert asked(world, alice, "files") == [
        "1: notes.pdf (200 bytes) to bob, sent; not fetched by bob; 3 days left."
    ]
    assert asked(world, bob, "files") == [
        "1: notes.pdf (200 bytes) from alice, ready; 3 days left."
    ]
    assert asked(world, world.login("carol"), "files") == [
        "There are no files for you or from you."
    ]


@pytest.mark.parametrize(
    ("size", "announced", "steps"),
    [
        (4 * MIB, True, []),
        (20 * MIB, True, ["8.0 MiB of 20.0 MiB, 40 %", "16.0 MiB of 20.0 MiB, 80 %"]),
        (
            GIB,
            True,
            [
                "256.0 MiB of 1.0 GiB, 25 %",
                "512.0 MiB of 1.0 GiB, 50 %",
                "768.0 MiB of 1.0 GiB, 75 %",
            ],
        ),
        (600 * MIB, False, ["256.0 MiB", "512.0 MiB"]),
        (100 * MIB, False, []),
    ],
)
def test_progress(world: World, size: int, announced: bool, steps: list[str]) -> None:
    """The sender hears a few times how far his upload is, and nobody else does."""
    alice, bob = world.login("alice"), world.login("bob")
    given = send(world, alice, f"bob x.iso {size}" if announced else "bob x.iso")
    take(alice, bob)
    made = begin(world, given.ticket)
    for _ in range(size // MIB):
        bring(world, made, MIB)
    world.turn()
    assert heard(alice, bob) == [[f"x.iso: {step}." for step in steps], []]
    complete(world, made)


def test_sender_who_is_offline(world: World) -> None:
    """A file that is large goes on when its sender has left the chat."""
    alice, bob = world.login("alice"), world.login("bob")
    made = begin(world, send(world, alice, "bob x.iso").ticket)
    quit_(world, alice)
    bring(world, made, 300 * MIB)
    complete(world, made)
    assert ticket_in(words(sent_to(bob))).size == 300 * MIB


def test_stopped_and_gone_on(world: World) -> None:
    """After a break the sender hears how far it came; the same ticket goes on, and a fresh one."""
    alice = world.login("alice")
    world.account("bob")
    given = send(world, alice, "bob notes.pdf 100")
    made = begin(world, given.ticket)
    bring(world, made, 40)
    stop(world, made)
    assert heard(alice) == [["notes.pdf stopped at 40 of 100 bytes; /get 1 tells how to go on."]]
    made = begin(world, given.ticket, 40)
    bring(world, made, 20)
    stop(world, made)
    (told,) = heard(alice)
    assert told == ["notes.pdf stopped at 60 of 100 bytes; /get 1 tells how to go on."]
    fresh = ticket_in(asked(world, alice, "get 1"))
    assert (fresh.done, fresh.path) == (60, "notes.pdf")
    made = begin(world, fresh.ticket, 60)
    bring(world, made, 40)
    complete(world, made)
    assert words(sent_to(alice))[0] == (
        f"notes.pdf is here: 100 bytes, sha256 {SUM}. It is offered to bob."
    )


def test_stopped_where_no_size_is_known(world: World) -> None:
    """The same where nobody has said how large the file is."""
    alice, _ = world.login("alice"), world.account("bob")
    made = begin(world, send(world, alice, "bob notes.pdf").ticket)
    bring(world, made, 40)
    stop(world, made)
    assert heard(alice) == [["notes.pdf stopped at 40 bytes; /get 1 tells how to go on."]]


def test_sent_again_from_further_back(world: World) -> None:
    """An upload may go on from before what is here, but not from behind it."""
    alice, _ = world.login("alice"), world.account("bob")
    given = send(world, alice, "bob notes.pdf 100")
    made = begin(world, given.ticket)
    bring(world, made, 40)
    stop(world, made)
    with pytest.raises(WrongOffset) as caught:
        begin(world, given.ticket, 41)
    assert caught.value.offset == 40
    assert str(caught.value) == "The server has 40 bytes of it: go on from there."
    result_of(world.hub.files.release(next(iter(world.hub.files._parcels[1].busy.values())), 40))
    made = begin(world, given.ticket, 10)
    stop(world, made)
    assert ticket_in(asked(world, alice, "get 1")).done == 10


@pytest.mark.parametrize(
    ("announced", "offset", "size", "text"),
    [
        ("100", 0, 99, "notes.pdf was announced with 100 bytes, not 99."),
        ("100", 0, 101, "notes.pdf was announced with 100 bytes, not 101."),
        ("", 20, 10, "A file of 10 bytes has no byte 20."),
    ],
)
def test_other_size(world: World, announced: str, offset: int, size: int, text: str) -> None:
    """A file that is sent with another size than announced is refused, and what is here stays."""
    alice, _ = world.login("alice"), world.account("bob")
    given = send(world, alice, f"bob notes.pdf {announced}")
    made = begin(world, given.ticket)
    bring(world, made, 30)
    stop(world, made)
    take(alice)
    made = claim(world, given.ticket, Way.PUT)
    with pytest.raises(WrongSize, match="^" + text):
        world.hub.files.begin(made, offset, size)
    result_of(world.hub.files.release(made, 30))
    world.turn()
    assert heard(alice) == [[]]
    assert ticket_in(asked(world, alice, "get 1")).done == 30


def test_more_than_was_announced(world: World) -> None:
    """Not a byte more is taken than was announced."""
    alice, _ = world.login("alice"), world.account("bob")
    made = begin(world, send(world, alice, "bob notes.pdf 100").ticket, size=100)
    bring(world, made, 100)
    with pytest.raises(Exception, match="more than the 100 bytes that were announced"):
        bring(world, made, 1)
    complete(world, made)


def test_fetched_in_parts(world: World) -> None:
    """A broken download goes on where it stopped; what was fetched twice counts once."""
    alice, bob = world.login("alice"), world.login("bob")
    fetching = offered(world, alice, bob, "bob notes.pdf 100")
    take(alice)
    fetch(world, fetching, 0, 40)
    fetch(world, fetching, 0, 10)
    fetch(world, fetching, 20, 30)
    assert ticket_in(asked(world, bob, "get 1")).done == 40
    ((_, (offer,)),) = world.store.transfers()
    assert offer.upto == 40
    # Only the end of it, without what is before that, is not all of it.
    again = ticket_in(asked(world, bob, "get 1"))
    fetch(world, again, 41, 100)
    assert heard(alice) == [[]]
    fetch(world, again, 40, 100)
    assert heard(alice) == [["bob has fetched notes.pdf."]]


def test_refused_by_the_scanner(world: World) -> None:
    """What the scanner refuses is gone; both sides are told why, and the files port too."""
    alice, bob = world.login("alice"), world.login("bob")
    world.wrong = "Eicar-Signature FOUND"
    cuts: list[str] = []
    given = send(world, alice, "bob notes.pdf")
    take(alice, bob)
    made = claim(world, given.ticket, Way.PUT, lambda: cuts.append("cut"))
    world.hub.files.begin(made, 0, None)
    world.spool.files[made.transfer.spool] = 0
    bring(world, made, 100)
    with pytest.raises(Unwanted) as caught:
        complete(world, made)
    text = "notes.pdf was refused: Eicar-Signature FOUND"
    assert str(caught.value) == text
    assert heard(alice, bob) == [[text], [text]]
    assert (cuts, world.spool.files, world.store.transfers()) == ([], {}, [])


# Who changes his mind.


def test_cancelled(world: World) -> None:
    """The sender takes a file back, whether it is here or not, and the recipient hears of it."""
    alice, bob = world.login("alice"), world.login("bob")
    for line in ("bob notes.pdf", "bob notes.pdf 100"):
        given = send(world, alice, line)
        take(bob)
        assert asked(world, alice, f"cancel {given.number}") == ["notes.pdf is cancelled."]
        assert heard(bob) == [["alice has cancelled notes.pdf."]]
        with pytest.raises(NoSuchTicket):
            claim(world, given.ticket, Way.PUT)
    fetching = offered(world, alice, bob, "bob notes.pdf")
    assert asked(world, alice, "cancel 3") == ["notes.pdf is cancelled."]
    assert heard(bob) == [["alice has cancelled notes.pdf."]]
    with pytest.raises(NoSuchTicket):
        claim(world, fetching.ticket, Way.GET)
    assert (world.spool.files, world.store.transfers()) == ({}, [])


@pytest.mark.parametrize("way", Way)
def test_cancelled_under_way(world: World, way: Way) -> None:
    """A file that is taken back while it moves is cut at once, and nobody hears of it again."""
    alice, bob = world.login("alice"), world.login("bob")
    given = send(world, alice, "bob notes.pdf 100")
    if way is Way.GET:
        put(world, given)
        given = ticket_in(words(sent_to(bob)))
    cuts: list[str] = []
    made = claim(world, given.ticket, way, lambda: cuts.append("cut"))
    if way is Way.PUT:
        world.hub.files.begin(made, 0, None)
        world.hub.files.took(made, 30)
    assert asked(world, alice, "cancel 1") == ["notes.pdf is cancelled."]
    assert cuts == ["cut"]
    take(alice, bob)
    with pytest.raises(NoSuchTicket):
        world.hub.files.begin(made, 0, None)
    with pytest.raises(NoSuchTicket):
        world.hub.files.took(made, 30)
    with pytest.raises(NoSuchTicket):
        result_of(world.hub.files.finish(made, 30, SUM))
    result_of(world.hub.files.release(made, 60))
    result_of(world.hub.files.gave(made, 0, 100))
    world.turn()
    assert heard(alice, bob) == [[], []]
    assert (cuts, world.hub.files._taken.total()) == (["cut"], 0)


def test_declined(world: World) -> None:
    """A recipient declines a file, here or not, and the sender hears of it."""
    alice, bob = world.login("alice"), world.login("bob")
    given = send(world, alice, "bob notes.pdf")
    assert asked(world, bob, "cancel 1") == ["notes.pdf is declined."]
    assert heard(alice) == [["bob has declined notes.pdf."]]
    with pytest.raises(NoSuchTicket):
        claim(world, given.ticket, Way.PUT)
    fetching = offered(world, alice, bob, "bob notes.pdf")
    take(alice)
    assert asked(world, bob, "cancel 2") == ["notes.pdf is declined."]
    assert heard(alice) == [["bob has declined notes.pdf."]]
    with pytest.raises(NoSuchTicket):
        claim(world, fetching.ticket, Way.GET)
    assert (world.spool.files, world.store.transfers()) == ({}, [])


def test_declined_by_one_of_many(world: World) -> None:
    """Who declines what a group is sent takes it away from nobody else."""
    alice, bob, carol = team(world, "alice", "bob", "carol")
    put(world, send(world, alice, "@team notes.pdf"))
    hers = ticket_in(words(sent_to(carol)))
    cuts: list[str] = []
    claim(world, ticket_in(words(sent_to(bob))).ticket, Way.GET, lambda: cuts.append("cut"))
    assert asked(world, bob, "cancel 1") == ["notes.pdf is declined."]
    assert cuts == ["cut"]
    assert asked(world, bob, "get 1") == asked(world, bob, "cancel 1")
    assert asked(world, bob, "cancel 1") == [
        "There is no file 1 for you or from you; /files lists them."
    ]
    fetch(world, hers)
    assert world.store.transfers() == []


def test_no_business_of_others(world: World) -> None:
    """Nobody learns of a file between others, nor can do anything to it."""
    alice, bob, carol = (world.login(name) for name in ("alice", "bob", "carol"))
    offered(world, alice, bob, "bob notes.pdf")
    no = "There is no file {} for you or from you; /files lists them."
    for verb in ("get", "cancel"):
        assert asked(world, carol, f"{verb} 1") == [no.format(1)]
        assert asked(world, carol, f"{verb} 2") == [no.format(2)]
    assert asked(world, carol, "files") == ["There are no files for you or from you."]


def test_nothing_more_to_send(world: World) -> None:
    """Who wants to send a file again that is here hears that it is."""
    alice, bob = world.login("alice"), world.login("bob")
    offered(world, alice, bob, "bob notes.pdf")
    assert asked(world, alice, "get 1") == ["notes.pdf is here already, and offered to bob."]


# Time.


def test_too_old(world: World) -> None:
    """What nobody fetches in three days is gone, and both sides hear of it."""
    alice, bob = world.login("alice"), world.login("bob")
    world.clock.advance(DAY)
    offered(world, alice, bob, "bob notes.pdf")
    send(world, alice, "bob never.pdf")
    take(alice, bob)
    world.clock.advance(3 * DAY - 1)
    result_of(world.hub.files.forget_over())
    world.turn()
    assert heard(alice, bob) == [[], []]
    world.clock.advance(1)
    result_of(world.hub.files.forget_over())
    world.turn()
    names = ("notes.pdf", "never.pdf")
    assert heard(alice, bob) == [
        [f"{name} to bob is too old, and gone." for name in names],
        [f"{name} is too old, and gone." for name in names],
    ]
    assert (world.spool.files, world.store.transfers()) == ({}, [])


def test_waits_from_when_it_is_here(world: World) -> None:
    """However long the sender took, a recipient has the same time to fetch a file."""
    alice, bob = world.login("alice"), world.login("bob")
    send(world, alice, "bob notes.pdf")
    world.clock.advance(2 * DAY)
    put(world, ticket_in(asked(world, alice, "get 1")))
    assert asked(world, bob, "files") == [
        "1: notes.pdf (100 bytes) from alice, ready; 3 days left."
    ]


def test_too_old_under_way(world: World) -> None:
    """What is on its way when its time is over may come to its end, but not stay for ever."""
    alice, bob = world.login("alice"), world.login("bob")
    fetching = offered(world, alice, bob, "bob notes.pdf")
    world.clock.advance(3 * DAY - 10)
    fetching = ticket_in(asked(world, bob, "get 1"))
    cuts: list[str] = []
    made = claim(world, fetching.ticket, Way.GET, lambda: cuts.append("cut"))
    world.clock.advance(3609)
    result_of(world.hub.files.forget_over())
    assert (cuts, len(world.store.transfers())) == ([], 1)
    world.clock.advance(1)
    result_of(world.hub.files.forget_over())
    assert (cuts, world.store.transfers()) == (["cut"], [])
    result_of(world.hub.files.gave(made, 0, 100))


def test_ticket_after_its_file(world: World) -> None:
    """A ticket is good for no longer than its file, whether or not that is cleared away by now."""
    alice, bob = world.login("alice"), world.login("bob")
    offered(world, alice, bob, "bob notes.pdf")
    world.clock.advance(3 * DAY - 10)
    fetching = ticket_in(asked(world, bob, "get 1"))
    world.clock.advance(9)
    result_of(world.hub.files.look(fetching.ticket))
    world.clock.advance(1)
    with pytest.raises(NoSuchTicket):
        result_of(world.hub.files.look(fetching.ticket))


# A restart.


def test_after_a_restart(world: World) -> None:
    """A restart takes nothing: what is here stays, half an upload goes on, tickets are good."""
    alice, bob = world.login("alice"), world.login("bob")
    fetching = offered(world, alice, bob, "bob whole.pdf")
    fetch(world, fetching, 0, 30)
    half = send(world, alice, "bob half.pdf 100")
    made = begin(world, half.ticket)
    bring(world, made, 40)
    everybody_goes(world)
    world.spool.files["orphan"] = 7

    again = restarted(world)
    alice = again.login("alice")
    assert "orphan" not in again.spool.files
    assert len(again.spool.files) == 2
    assert again.hub.files._taken == {"alice": 200}
    assert asked(again, alice, "files") == [
        "1: whole.pdf (100 bytes) to bob, sent; not fetched by bob; 3 days left.",
        "2: half.pdf (100 bytes) to bob, 40 % here; not fetched by bob; 3 days left.",
    ]
    made = begin(again, half.ticket, 40)
    bring(again, made, 60)
    complete(again, made)
    fetch(again, fetching, 30, 100)
    bob = again.login("bob")
    assert [one.number for one in words(sent_to(bob)) if isinstance(one, TicketGiven)] == [2]
    assert send(again, alice, "bob third.pdf").number == 3
    everybody_goes(again)


def test_bytes_that_are_gone(world: World) -> None:
    """Where the disk has lost a file that the database has, it is to be sent again."""
    alice, bob = world.login("alice"), world.login("bob")
    fetching = offered(world, alice, bob, "bob notes.pdf")
    everybody_goes(world)
    world.spool.files.clear()

    again = restarted(world)
    bob, alice = again.login("bob"), again.login("alice")
    assert words(sent_to(bob)) == []
    assert asked(again, bob, "get 1") == ["notes.pdf is not here yet."]
    with pytest.raises(NoSuchTicket):
        result_of(again.hub.files.look(fetching.ticket))
    put(again, ticket_in(asked(again, alice, "get 1")))
    fetch(again, ticket_in(words(sent_to(bob))))
    assert again.store.transfers() == []
    everybody_goes(again)


# Accounts that go.


def test_sender_whose_account_is_removed(world: World) -> None:
    """With an account its files are gone, and those who were to have them hear of it."""
    alice, bob, carol = (world.login(name) for name in ("alice", "bob", "carol"))
    send(world, carol, "bob hers.pdf")
    offered(world, alice, bob, "bob notes.pdf")
    quit_(world, alice)
    spawn(world.hub.accounts.remove(world.store.accounts[Key("alice")]))
    world.clock.advance(1)
    assert heard(bob) == [["notes.pdf from alice is gone."]]
    assert [transfer.name for transfer, _ in world.store.transfers()] == ["hers.pdf"]
    assert world.spool.files == {}


def test_recipient_whose_account_is_removed(world: World) -> None:
    """Somebody who takes the name of a removed account gets none of its files."""
    alice, _, carol = team(world, "alice", "bob", "carol")
    put(world, send(world, alice, "@team notes.pdf"))
    put(world, send(world, alice, "bob secret.pdf"))
    take(alice, carol)
    quit_(world, world.hub.roster.local(Key("bob")))  # type: ignore[arg-type]
    spawn(world.hub.accounts.remove(world.store.accounts[Key("bob")]))
    world.clock.advance(1)
    told, _ = heard(alice, carol)
    assert told == [
        "bob is gone, and can't fetch notes.pdf.",
        "bob is gone, and can't fetch secret.pdf.",
    ]
    assert asked(world, world.login("bob"), "files") == ["There are no files for you or from you."]
    assert asked(world, alice, "files") == [
        "1: notes.pdf (100 bytes) to the group team, sent; not fetched by carol; 3 days left."
    ]
