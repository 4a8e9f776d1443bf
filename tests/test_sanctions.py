"""Sanctions: who is kept out, who may not talk, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from chatd.domain.errors import Banned, StillMuted
from chatd.domain.names import ChannelName, Key
from chatd.domain.records import Ban, Mute
from chatd.domain.sanctions import Sanctions, plain_address, read_network, show_network

GENERAL, WORK = ChannelName("general"), ChannelName("work")
BOB, EVE = Key("bob"), Key("eve")


def ban(target: str, until: float = 0.0, reason: str = "") -> Ban:
    """A ban that olga made."""
    return Ban(target, until, reason, "olga", 0.0)


@pytest.fixture
def sanctions(clock: Clock) -> Sanctions:
    """Nobody is banned or muted."""
    return Sanctions(clock)


def banned(sanctions: Sanctions, address: str) -> bool:
    """Whether an address is kept out."""
    try:
        sanctions.check_address(address)
    except Banned:
        return True
    return False


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1/32", "10.0.0.1"),
        ("10.0.0.77/24", "10.0.0.0/24"),
        ("10.0.0.77/255.255.255.0", "10.0.0.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:db8::1/64", "2001:db8::/64"),
        ("::/0", "::/0"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80::1%eth0/64", "fe80::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1/104", "10.0.0.0/8"),
    ],
)
def test_networks(typed: str, shown: str) -> None:
    """An address or a network is kept in one form, however it was typed."""
    network = read_network(typed)
    assert network is not None
    assert show_network(network) == shown


@pytest.mark.parametrize(
    "typed",
    [
        *("bob", "dead.beef", "10.0.0", "10.0.0.256", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/"),
        *("/8", "10.0.0.1/8/8", "1", "2001:db8::g", "::1/129", "::%/x", "10.0.0.0/24 x", ":", ""),
    ],
)
def test_no_networks(typed: str) -> None:
    """What isn't an address or a network is none, and may be a name."""
    assert read_network(typed) is None


@given(st.ip_addresses(), st.integers(0, 32))
def test_a_network_has_its_addresses(address: object, bits: int) -> None:
    """Whoever is in a network is kept out by a ban of it, and knows no way around."""
    made = Sanctions(Clock())
    network = read_network(f"{plain_address(str(address))}/{bits}")
    assert network is not None
    made.ban(ban(show_network(network)))
    assert banned(made, str(address))
    assert made.hits(ban(show_network(network)), None, str(address))


@pytest.mark.parametrize(
    ("target", "inside", "outside"),
    [
        ("10.0.0.1", ["10.0.0.1", "::ffff:10.0.0.1", "::ffff:a00:1"], ["10.0.0.2", "::1", ""]),
        ("10.0.0.0/24", ["10.0.0.0", "10.0.0.255"], ["10.0.1.0", "::a00:0"]),
        ("fe80::1", ["fe80::1", "fe80::1%eth0"], ["fe80::2%eth0"]),
        ("2001:db8::/64", ["2001:db8::", "2001:db8::ffff"], ["2001:db8:0:1::", "32.1.13.184"]),
        ("::/0", ["::1", "2001:db8::1"], ["10.0.0.1", "::ffff:10.0.0.1"]),
    ],
)
def test_addresses(
    sanctions: Sanctions, target: str, inside: list[str], outside: list[str]
) -> None:
    """A ban keeps all addresses of its network out, and no other; a unix socket is in none."""
    sanctions.ban(ban(target))
    assert [banned(sanctions, address) for address in inside] == [True] * len(inside)
    assert [banned(sanctions, address) for address in outside] == [False] * len(outside)
    hit = [sanctions.hits(ban(target), BOB, address) for address in (*inside, *outside)]
    assert hit == [True] * len(inside) + [False] * len(outside)


def test_words(sanctions: Sanctions, clock: Clock) -> None:
    """Who is kept out is told for how long, and why."""
    sanctions.ban(ban("bob", 90.0, "spam"))
    sanctions.ban(ban("10.0.0.0/8"))
    with pytest.raises(Banned) as refused:
        sanctions.check_name(BOB)
    assert str(refused.value) == "bob is banned from this server for 1 minute 30 seconds: spam"
    with pytest.raises(Banned) as refused:
        sanctions.check_address("10.1.2.3")
    assert str(refused.value) == "Your address is banned from this server."
    clock.advance(89.5)
    with pytest.raises(Banned, match=r"^bob is banned from this server for 1 second: spam$"):
        sanctions.check_name(BOB)


def test_names(sanctions: Sanctions) -> None:
    """A ban of a name is about that name alone, and about nobody's address."""
    sanctions.ban(ban("bob"))
    sanctions.check_name(EVE)
    sanctions.check_address("10.0.0.1")
    hits = [sanctions.hits(ban("bob"), key, "10.0.0.1") for key in (BOB, EVE, None)]
    assert hits == [True, False, False]


@pytest.mark.parametrize("target", ["bob", "10.0.0.1", "10.0.0.0/8"])
def test_a_ban_ends(sanctions: Sanctions, clock: Clock, target: str) -> None:
    """A ban ends with its time, whether or not it was forgotten yet."""
    sanctions.ban(ban(target, 10.0))
    clock.advance(9.9)
    assert sanctions.bans() == [ban(target, 10.0)]
    assert sanctions.hits(sanctions.bans()[0], BOB, "10.0.0.1")
    clock.advance(0.1)
    sanctions.check_name(BOB)
    sanctions.check_address("10.0.0.1")
    assert sanctions.bans() == []
    assert sanctions.unban(target) is None


def test_a_smaller_network_of_a_larger_one(sanctions: Sanctions, clock: Clock) -> None:
    """Of several bans that an address is in, each keeps it out by itself."""
    sanctions.ban(ban("10.0.0.0/8", 10.0))
    sanctions.ban(ban("10.0.0.0/24", 5.0))
    sanctions.ban(ban("10.1.0.0/24"))
    clock.advance(5)
    assert banned(sanctions, "10.0.0.1")
    sanctions.unban("10.0.0.0/8")
    assert not banned(sanctions, "10.0.0.1")
    assert banned(sanctions, "10.1.0.1")


def test_another_ban_of_the_same(sanctions: Sanctions, clock: Clock) -> None:
    """A later ban takes the place of an earlier one, for a name and for a network."""
    for target in ("bob", "10.0.0.1"):
        sanctions.ban(ban(target, 10.0))
        sanctions.ban(ban(target, 5.0, "again"))
    clock.advance(5)
    sanctions.check_name(BOB)
    assert not banned(sanctions, "10.0.0.1")


def test_unban(sanctions: Sanctions) -> None:
    """Who is no longer banned gets in, and there is nothing to take back twice."""
    for target in ("bob", "10.0.0.1"):
        sanctions.ban(ban(target))
        assert sanctions.unban(target) == ban(target)
        assert sanctions.unban(target) is None
    sanctions.check_name(BOB)
    assert not banned(sanctions, "10.0.0.1")


def test_mute(sanctions: Sanctions, clock: Clock) -> None:
    """A mute is for one person in one channel, and is told in whole seconds, cut off."""
    sanctions.mute(Mute(GENERAL, BOB, 30.0))
    sanctions.check_talk(WORK, BOB)
    sanctions.check_talk(GENERAL, EVE)
    clock.advance(17.5)
    with pytest.raises(StillMuted, match=r"^You are still muted for 12 seconds\.$"):
        sanctions.check_talk(GENERAL, BOB)
    assert sanctions.muted_until(GENERAL, BOB) == 30.0
    clock.advance(12.5)
    sanctions.check_talk(GENERAL, BOB)
    assert sanctions.muted_until(GENERAL, BOB) == 0.0
    assert not sanctions.unmute(GENERAL, BOB)


def test_unmute(sanctions: Sanctions) -> None:
    """Who is no longer muted may talk, and there is nothing to take back twice."""
    sanctions.mute(Mute(GENERAL, BOB, 30.0))
    assert sanctions.unmute(GENERAL, BOB)
    sanctions.check_talk(GENERAL, BOB)
    assert not sanctions.unmute(GENERAL, BOB)


def test_restored(sanctions: Sanctions, clock: Clock) -> None:
    """After a restart everything that was stored is in force for the time that it had left."""
    clock.advance(5)
    sanctions.restore([ban("bob", 10.0), ban("eve", 5.0)], [Mute(GENERAL, BOB, 10.0)])
    sanctions.check_name(EVE)
    with pytest.raises(Banned, match="for 5 seconds"):
        sanctions.check_name(BOB)
    with pytest.raises(StillMuted, match="for 5 seconds"):
        sanctions.check_talk(GENERAL, BOB)


def test_what_is_over_is_forgotten(sanctions: Sanctions, clock: Clock) -> None:
    """What is over is handed out once, to be forgotten by the store; the rest stays in force."""
    bans = [ban("bob", 5.0), ban("10.0.0.1", 5.0), ban("10.0.0.2", 6.0), ban("eve")]
    sanctions.restore(bans, [Mute(GENERAL, BOB, 5.0), Mute(WORK, BOB, 6.0)])
    clock.advance(5)
    assert sanctions.forget_over() == (["bob", "10.0.0.1"], [(GENERAL, BOB)])
    assert sanctions.forget_over() == ([], [])
    assert sanctions.bans() == bans[2:]
    assert (banned(sanctions, "10.0.0.1"), banned(sanctions, "10.0.0.2")) == (False, True)
    assert sanctions.muted_until(WORK, BOB) == 6.0


def test_plain_addresses() -> None:
    """An address of IPv4 is the same one however its connection came."""
    assert plain_address("::ffff:10.0.0.1") == plain_address("10.0.0.1")
    assert plain_address("fe80::1%eth0") == plain_address("fe80::1")
