"""The audience of a room: who hears what, in which order, with how many writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.domain.audience import Audience
from chatd.domain.events import Event, Joined, Left, Muted, RoomEvent, Said
from chatd.domain.names import ChannelName, Key, Name
from chatd.domain.text import Text
from tests.fakes import FakeLink, other_wire, wire

ROOM = ChannelName("general")


def said(number: int) -> Said:
    """The line of that number."""
    return Said(ROOM, Name("alice"), Text(str(number)), 0.0, number)


def tell(audience: Audience, *events: RoomEvent) -> None:
    """A batch of nothing but events."""
    for event in events:
        audience.gather(event)
    audience.flush()


def heard(*events: RoomEvent) -> list[bytes | Event]:
    """What a link reads of these events."""
    return [wire(event) for event in events]


def test_everyone_hears_a_batch_in_one_write() -> None:
    """A batch reaches each link as one write, in order."""
    audience, links = Audience(), [FakeLink(), FakeLink()]
    for link in links:
        audience.add(link)
    tell(audience, said(1), said(2))
    assert [(link.writes, link.take()) for link in links] == [(1, heard(said(1), said(2)))] * 2


def test_each_format_is_encoded_once() -> None:
    """However many read a format, an event is encoded once in it."""
    encoded: list[Event] = []

    def counting(event: Event) -> bytes:
        encoded.append(event)
        return b"counted\n"

    audience = Audience()
    links = [FakeLink(counting), FakeLink(counting), FakeLink(other_wire)]
    for link in links:
        audience.add(link)
    tell(audience, said(1))
    assert encoded == [said(1)]
    assert [link.take() for link in links] == [
        [b"counted\n"],
        [b"counted\n"],
        [other_wire(said(1))],
    ]


def test_nothing_to_tell() -> None:
    """Without an event nothing is written."""
    audience, link = Audience(), FakeLink()
    audience.add(link)
    audience.flush()
    assert link.writes == 0


def test_joiner_hears_only_what_follows() -> None:
    """Who comes in the middle of a batch hears what follows, and the others all of it."""
    audience, old, new = Audience(), FakeLink(), FakeLink()
    audience.add(old)
    audience.gather(said(1))
    audience.add(new)
    joined = Joined(ROOM, Name("bob"), 0.0)
    tell(audience, joined)
    assert (old.take(), new.take()) == (heard(said(1), joined), heard(joined))
    tell(audience, said(2))
    assert new.take() == heard(said(2))


def test_leaver_hears_only_what_was_before() -> None:
    """Who leaves in the middle of a batch hears what was before, and nothing later."""
    audience, one, other = Audience(), FakeLink(), FakeLink()
    audience.add(one)
    audience.add(other)
    audience.gather(said(1))
    audience.discard(one)
    left = Left(ROOM, Name("bob"), 0.0)
    tell(audience, left)
    tell(audience, said(2))
    assert (one.take(), other.take()) == (heard(said(1)), heard(said(1), left, said(2)))
    assert (one.audiences, other.audiences) == ((), (audience,))


def test_leave_and_come_back() -> None:
    """Who leaves and comes back within a batch misses just what was said in between."""
    audience, link = Audience(), FakeLink()
    audience.add(link)
    audience.gather(said(1))
    audience.discard(link)
    audience.gather(said(2))
    audience.add(link)
    tell(audience, said(3))
    assert link.take() == heard(said(1), said(3))


def test_own_line_stands_in_its_place() -> None:
    """What a link alone is told comes after what the room heard before it."""
    audience, link = Audience(), FakeLink()
    audience.add(link)
    audience.gather(said(1))
    audience.catch_up(link)
    audience.catch_up(link)
    link.write(b"own\n")
    tell(audience, said(2))
    assert (link.writes, link.take()) == (3, [wire(said(1)), b"own\n", wire(said(2))])


def test_who_is_in() -> None:
    """An audience knows its size and its links; coming or going twice changes nothing."""
    audience, link, other = Audience(), FakeLink(), FakeLink(other_wire)
    audience.discard(link)
    audience.add(link)
    audience.add(link)
    audience.add(other)
    assert (len(audience), link in audience, FakeLink() in audience) == (2, True, False)
    audience.discard(other)
    audience.discard(other)
    assert (len(audience), other in audience, link.audiences) == (1, False, (audience,))
    tell(audience, said(1))
    assert (link.take(), other.take()) == (heard(said(1)), [])


def test_an_event_that_cannot_be_encoded() -> None:
    """An event on which a codec fails is gone with its batch; the room lives on."""

    def failing(event: Event) -> bytes:
        return b"%d\n" % (1 // int(isinstance(event, Said)))

    audience, link = Audience(), FakeLink(failing)
    audience.add(link)
    audience.gather(said(1))
    with pytest.raises(ZeroDivisionError):
        tell(audience, Joined(ROOM, Name("bob"), 0.0))
    tell(audience, said(2))
    assert link.take() == [b"1\n"]


def test_deaf() -> None:
    """Who is deaf to somebody misses just what that one says, until he is no longer."""
    audience, deaf, other = Audience(), FakeLink(deaf_to=frozenset({Key("alice")})), FakeLink()
    audience.add(deaf)
    audience.add(other)
    by_bob = Said(ROOM, Name("bob"), Text("hi"), 0.0, 2)
    came = Joined(ROOM, Name("alice"), 0.0)
    tell(audience, said(1), by_bob, came)
    tell(audience, said(3))
    assert (deaf.take(), other.take()) == (
        heard(by_bob, came),
        heard(said(1), by_bob, came, said(3)),
    )
    assert (deaf.writes, other.writes) == (1, 2)
    deaf.deaf_to = frozenset()
    audience.refresh(deaf)
    tell(audience, said(4))
    assert deaf.take() == heard(said(4))


def test_everybody_but_one() -> None:
    """What one alone is told in other words reaches everybody else, and he misses nothing else."""
    audience, one, other = Audience(), FakeLink(), FakeLink()
    audience.skip(one)
    audience.add(one)
    audience.add(other)
    audience.gather(said(1))
    audience.catch_up(one)
    one.write(b"own\n")
    muted = Muted(ROOM, Name("bob"), 30, 0.0)
    audience.gather(muted)
    audience.skip(one)
    tell(audience, said(2))
    assert one.take() == [wire(said(1)), b"own\n", wire(said(2))]
    assert (other.writes, other.take()) == (1, heard(said(1), muted, said(2)))


def test_how_much_was_told() -> None:
    """A batch is counted in bytes, once for each who hears it, in his own format."""
    audience = Audience()
    assert audience.flush() == 0
    audience.gather(said(1))
    assert audience.flush() == 0
    for link in (FakeLink(), FakeLink(), FakeLink(other_wire)):
        audience.add(link)
    audience.gather(said(1))
    audience.gather(said(2))
    of_one, of_other = len(wire(said(1))), len(other_wire(said(1)))
    assert audience.flush() == 2 * 2 * of_one + 2 * of_other


LINKS = 4
ACTS = st.lists(
    st.sampled_from(["say", "say", "flush"])
    | st.tuples(st.sampled_from(["add", "discard", "alone", "deafen"]), st.integers(0, LINKS - 1))
)


@given(ACTS)
def test_every_link_hears_its_part(acts: list[str | tuple[str, int]]) -> None:
    """Each link hears all from its joins to its leaves, in order, whatever the batches are."""
    audience = Audience()
    links = [FakeLink(wire if number % 2 else other_wire) for number in range(LINKS)]
    due: list[list[bytes | Event]] = [[] for _ in links]
    for number, act in enumerate([*acts, "flush"]):
        match act:
            case "say":
                audience.gather(said(number))
                for link, lines in zip(links, due, strict=True):
                    if link in audience and not link.deaf_to:
                        lines.append(link.format(said(number)))
            case "flush":
                audience.flush()
                assert [link.sent for link in links] == due
            case "add", int(which):
                audience.add(links[which])
            case "discard", int(which):
                audience.discard(links[which])
                assert links[which].sent == due[which]
            case "deafen", int(which):
                audience.flush()  # whom a link is deaf to is asked when it is told
                links[which].deaf_to ^= {Key("alice")}
                for of in links[which].audiences:
                    of.refresh(links[which])
            case "alone", int(which):
                if links[which] in audience:
                    audience.catch_up(links[which])
                links[which].tell(said(number))
                due[which].append(said(number))
                assert links[which].sent == due[which]
