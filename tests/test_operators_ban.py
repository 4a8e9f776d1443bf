"""Bans: who is put out, who doesn't get in, and what operators see of it."""

import attrs
import pytest

from chatd.domain.errors import BadArguments, BadName, Banned, ChatError, NotSanctioned, NotYourself
from chatd.domain.events import ASK_NAME, Farewell, Invited, Told, Welcomed
from chatd.domain.names import Key, Name
from chatd.domain.records import Ban
from chatd.domain.session import State
from tests.crowd import BOB, People, gather, joined, left
from tests.fakes import World, link_of, refused, sent_to, told

DAY = 86_400.0


@pytest.fixture
def people(world: World) -> People:
    """An operator with people around her."""
    return gather(world)


@pytest.mark.parametrize(
    ("line", "words", "answer"),
    [
        ("ban BOB", ".", "Banned bob for ever. 1 session ended."),
        ("ban bob spam", ": spam", "Banned bob for ever. 1 session ended."),
        ("ban bob 10m", ".", "Banned bob for 10 minutes. 1 session ended."),
        (
            "ban bob 90 lots of spam",
            ": lots of spam",
            "Banned bob for 1 minute 30 seconds. 1 session ended.",
        ),
    ],
)
def test_ban(world: World, people: People, line: str, words: str, answer: str) -> None:
    """Who is banned is cut off with the reason; the others only hear him go."""
    assert world.ask(people.olga, line) == [left("bob"), joined("carol"), Told((answer,), 0.0)]
    assert sent_to(people.bob) == [Farewell(f"You have been banned from this server{words}", 0.0)]
    assert sent_to(people.alice) == [left("bob"), joined("carol")]
    assert list(world.store.bans) == ["bob"]


@pytest.mark.parametrize("line", ["login BOB|secret", "introduce bob", "introduce B@example.org"])
def test_a_banned_name(world: World, people: People, line: str) -> None:
    """A banned name is refused before any password is asked for, in any case, and by mail too."""
    bob = world.store.accounts[Key("bob")]
    world.store.accounts[Key("bob")] = attrs.evolve(bob, mail="b@example.org")
    world.ask(people.olga, "ban bob 1h spam")
    stranger = world.connect()
    assert world.ask(stranger, line) == [
        *refused(Banned("bob", "60 minutes", "spam")),
        ASK_NAME,
    ]
    world.clock.advance(3600)
    again = world.connect()
    assert world.ask(again, "login bob|secret")[:1] == [Welcomed(BOB, None, "chatd", 3600.0)]


def test_a_banned_name_that_nobody_has(world: World, people: People) -> None:
    """A name that nobody has yet can be banned: nobody registers it, and no guest has it."""
    assert world.ask(people.olga, "ban eve") == told("Banned eve for ever.")
    stranger = world.connect()
    for guests in (False, True):
        world.change(guests=guests)
        for line in ("introduce Eve", "signup Eve|secret"):
            assert world.ask(stranger, line)[0] == refused(Banned("eve", "", ""))[0]
    assert Key("eve") not in world.store.accounts
    world.change(guests=False)
    world.ask(people.olga, "unban EVE")
    assert world.ask(stranger, "introduce Eve")[0] == Invited(Name("Eve"))


def test_banned_while_his_password_is_checked(world: World, people: People) -> None:
    """Who is banned between his password and his welcome doesn't get in."""
    world.account("eve")
    stranger = world.connect()
    sent_to(stranger)
    stranger.receive("login eve|slow")
    world.ask(people.olga, "ban eve")
    world.passwords.proceed()
    assert sent_to(stranger) == [*refused(Banned("eve", "", "")), ASK_NAME]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("10.0.0.9", "10.0.0.9"),
        ("10.0.0.9/30", "10.0.0.8/30"),
        ("::ffff:10.0.0.9", "10.0.0.9"),
    ],
)
def test_ban_an_address(world: World, people: People, typed: str, shown: str) -> None:
    """A ban of an address ends every connection from it, logged in or not, and no other."""
    world.account("eve")
    near, far = world.connect(address="10.0.0.9"), world.connect(address="10.0.1.9")
    world.ask(near, "login eve|secret")
    unnamed = world.connect(address="::ffff:10.0.0.9")
    local = world.connect(address="")
    for one in (near, far, unnamed, local):
        sent_to(one)
    assert world.ask(people.olga, f"ban {typed} 1d") == told(
        f"Banned {shown} for 24 hours. 2 sessions ended."
    )
    words = [Farewell("You have been banned from this server.", 0.0)]
    assert [sent_to(one) for one in (near, far, unnamed, local)] == [words, [], words, []]
    assert link_of(unnamed).closed


@pytest.mark.parametrize(
    "target", ["olga", "OLGA", "10.0.0.1", "::ffff:10.0.0.1", "10.0.0.0/8", "0.0.0.0/0"]
)
def test_nobody_bans_himself(world: World, people: People, target: str) -> None:
    """An operator can't shut himself out, by his name or his address."""
    assert world.ask(people.olga, f"ban {target}") == refused(
        NotYourself("That would ban you too.")
    )
    assert (world.store.bans, world.hub.sanctions.bans()) == ({}, [])


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("ban", BadArguments("Usage: /ban TARGET [DURATION] [REASON]")),
        ("ban 10.0.0.1/33", BadArguments("10.0.0.1/33 is neither an address nor a network.")),
        ("ban 1.2.3", BadArguments("1.2.3 is neither an address nor a network.")),
        ("ban ::1::", BadArguments("::1:: is neither an address nor a network.")),
        ("ban /8", BadArguments("/8 is neither an address nor a network.")),
        ("ban b@example.org", BadName("A name is made of letters, digits, '_', '-' and '.' only.")),
        ("unban 1.2.3", BadArguments("1.2.3 is neither an address nor a network.")),
        ("unban bob", NotSanctioned("bob is not banned.")),
        ("unban 10.0.0.1/24", NotSanctioned("10.0.0.0/24 is not banned.")),
        ("unban", BadArguments("Usage: /unban TARGET")),
    ],
)
def test_nobody_is_banned(world: World, people: People, line: str, error: ChatError) -> None:
    """What is no name, address or network can't be banned, and who isn't can't be unbanned."""
    assert world.ask(people.olga, line) == refused(error)
    assert world.store.bans == {}


@pytest.mark.parametrize(
    "time",
    ["-1", "+5", "10min", "1y", "1.5h", "1e5", "9" * 10, "9" * 11 + "d", "10\u017f", "\u0663"],
)
def test_no_time_to_ban(world: World, people: People, time: str) -> None:
    """A time that is none isn't taken for the reason, or the ban would be for ever."""
    error = BadArguments(f"{time} is not a time; write it as 90, 15m, 12h, 7d or 2w.")
    assert world.ask(people.olga, f"ban bob {time} spam") == refused(error)
    assert world.store.bans == {}
    assert people.bob.state is State.IN_ROOM


def test_many_bans(world: World, people: People) -> None:
    """Of very many bans the latest are listed, and the others counted."""
    for number in range(103):
        world.hub.sanctions.ban(Ban(f"10.0.0.{number}", 0.0, "", "olga", float(number)))
    (told_all,) = world.ask(people.olga, "bans")
    assert isinstance(told_all, Told)
    assert len(told_all.lines) == 101
    assert told_all.lines[0].startswith("10.0.0.3,")
    assert told_all.lines[-1] == "and 3 older ones."


def test_bans(world: World, people: People) -> None:
    """Bans are listed in their order, each with what is left of it, by whom and why."""
    assert world.ask(people.olga, "bans") == told("Nobody is banned.")
    for line in ("ban Eve 2d being rude", "ban 10.9.0.0/16", "ban fay 90s", "ban gus"):
        world.ask(people.olga, line)
    world.ask(people.olga, "unban GUS")
    world.clock.advance(30)
    assert world.ask(people.olga, "bans") == told(
        "eve, for 2 days more, by olga: being rude",
        "10.9.0.0/16, for ever, by olga.",
        "fay, for 60 seconds more, by olga.",
        at=30.0,
    )
    world.clock.advance(60)
    assert len(world.ask(people.olga, "bans")) == 1
    assert world.store.bans.keys() == {"eve", "10.9.0.0/16", "fay"}


def test_unban(world: World, people: People) -> None:
    """Who is unbanned gets in again, under whatever form the ban was written."""
    world.ask(people.olga, "ban bob")
    world.ask(people.olga, "ban 10.9.1.1/16")
    assert world.ask(people.olga, "unban BOB") == told("bob is no longer banned.")
    assert world.ask(people.olga, "unban ::ffff:10.9.0.0/112") == told(
        "10.9.0.0/16 is no longer banned."
    )
    assert world.store.bans == {}
    world.hub.sanctions.check_address("10.9.0.1")
    assert world.login("bob").state is State.LOBBY


def test_who_banned(world: World, people: People) -> None:
    """What is stored of a ban is who is meant, until when, why, by whom and since when."""
    world.clock.advance(5)
    world.ask(people.olga, "ban eve 1w being  rude \x1b[2J")
    reason = "being  rude \ufffd[2J"
    assert world.store.bans == {"eve": Ban("eve", 5 + 7 * DAY, reason, "olga", 5.0)}
