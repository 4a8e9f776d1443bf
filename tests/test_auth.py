"""Passwords: what is stored of them, what they may be, and what a check costs."""

import re

import bcrypt
import pytest

from chatd.auth import Bcrypt, Stopped
from chatd.domain.errors import BadPassword, TooBusy
from tests.threads import COST, CountingPool, in_reactor, reactor, soon


@in_reactor
async def test_password_fits_its_hash(hashing: Bcrypt) -> None:
    """The password that was hashed is right, and any other is wrong."""
    stored = await soon(hashing.hash("secret"))

    assert stored.startswith(f"chatd1:$2b$0{COST}$")
    assert await soon(hashing.check("secret", stored))
    assert not await soon(hashing.check("Secret", stored))
    assert not await soon(hashing.check("", stored))
    assert await soon(hashing.hash("secret")) != stored  # each has its own salt


@in_reactor
async def test_hash_is_not_of_the_bare_password(hashing: Bcrypt) -> None:
    """A hash from here is of no use where bare passwords are hashed."""
    stored = await soon(hashing.hash("secret"))

    assert not bcrypt.checkpw(b"secret", stored.removeprefix("chatd1:").encode())


@in_reactor
async def test_password_longer_than_bcrypt_reads(hashing: Bcrypt) -> None:
    """Every character of a password counts, those after the 72nd byte too."""
    stored = await soon(hashing.hash("x" * 1023 + "a"))

    assert await soon(hashing.check("x" * 1023 + "a", stored))
    assert not await soon(hashing.check("x" * 1023 + "b", stored))


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("x" * 1025, "A password has plain characters only, and no more than 1024 bytes."),
        ("\N{SNOWMAN}" * 342, "A password has plain characters only, and no more than 1024 bytes."),
        ("nul\0nul", "A password has plain characters only, and no more than 1024 bytes."),
        (
            "\ud800\ud800\ud800\ud800",
            "A password has plain characters only, and no more than 1024 bytes.",
        ),
        ("abc", "A password has at least 4 characters."),
        ("", "A password has at least 4 characters."),
    ],
    ids=["too long", "too many bytes", "NUL", "surrogates", "too short", "empty"],
)
@in_reactor
async def test_password_that_can_not_be_one(hashing: Bcrypt, password: str, reason: str) -> None:
    """What can't be a password is refused with the reason, and is never the right one."""
    with pytest.raises(BadPassword) as refused:
        await soon(hashing.hash(password))
    assert str(refused.value) == reason

    stored = await soon(hashing.hash("secret"))
    assert not await soon(hashing.check(password, stored))
    assert not await soon(hashing.check(password, None))


@pytest.mark.parametrize(
    ("typed", "other"),
    [("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\u0301"), ("a b c", "a\u3000b\u00a0c")],
    ids=["accents", "spaces"],
)
@in_reactor
async def test_keyboards_differ(hashing: Bcrypt, typed: str, other: str) -> None:
    """The same password from another keyboard, in other code points, is right."""
    assert await soon(hashing.check(other, await soon(hashing.hash(typed))))


@pytest.mark.parametrize("password", ["secret", "-", "nul\0", "x" * 2000])
@in_reactor
async def test_nobody_is_checked_like_somebody(
    hashing: Bcrypt, pool: CountingPool, password: str
) -> None:
    """A name without an account costs one check, as a wrong password does."""
    stored = await soon(hashing.hash("another"))
    for account in (stored, None):
        pool.checks = 0
        assert not await soon(hashing.check(password, account))
        assert pool.checks == 1


@in_reactor
async def test_what_is_checked_in_place_of_nonsense_is_no_password(hashing: Bcrypt) -> None:
    """What can't be a password isn't right either where the stand-in for it would fit."""
    stored = "chatd1:" + bcrypt.hashpw(b"-", bcrypt.gensalt(COST)).decode()

    assert not await soon(hashing.check("nul\0", stored))


@in_reactor
async def test_cost_of_a_hash(hashing: Bcrypt, pool: CountingPool) -> None:
    """A hash of another cost is out of date, and still fits."""
    dearer = Bcrypt(reactor, COST + 1, 0, 4, pool)
    stored = await soon(hashing.hash("secret"))

    assert (hashing.outdated(stored), dearer.outdated(stored)) == (False, True)
    assert await soon(dearer.check("secret", stored))


@in_reactor
async def test_many_at_once(pool: CountingPool) -> None:
    """Of those who come at once only so many wait, the next is sent away; later there is room."""
    hashing = Bcrypt(reactor, COST, 2, 4, pool)
    pool.keep_busy()
    hashed, checked = soon(hashing.hash("secret")), soon(hashing.check("secret", None))
    with pytest.raises(TooBusy) as refused:
        await soon(hashing.check("secret", None))
    assert str(refused.value) == "Many are logging in just now, please try again in a moment."

    pool.proceed()
    assert (await hashed).startswith("chatd1:")
    assert await checked is False
    assert await soon(hashing.check("secret", None)) is False


@in_reactor
async def test_failures_take_no_room(pool: CountingPool) -> None:
    """Something that fails in its thread gives its place back."""
    hashing = Bcrypt(reactor, COST, 1, 4, pool)
    for _ in range(3):
        with pytest.raises(ValueError, match="Invalid salt"):
            await soon(hashing.check("secret", "chatd1:not a hash"))


@in_reactor
async def test_stop(pool: CountingPool) -> None:
    """A stop doesn't wait for those who wait: they, and later ones, are told; none is hashed."""
    hashing = Bcrypt(reactor, COST, 0, 4, pool)
    pool.keep_busy()
    waiting = [soon(hashing.check("secret", None)) for _ in range(3)]
    hashing.stop()

    for one in (*waiting, soon(hashing.check("secret", None))):
        with pytest.raises(Stopped) as refused:
            await one
        assert str(refused.value) == "The server is stopping."
    assert pool.checks == 0


@in_reactor
async def test_start_with_its_own_threads() -> None:
    """Bcrypt as the server starts it checks on threads of its own, and ends with them."""
    hashing = Bcrypt.start(reactor, COST, 10, 4)
    assert await soon(hashing.check("secret", await soon(hashing.hash("secret"))))

    hashing.stop()


@pytest.mark.parametrize(("shortest", "length"), [(0, 19), (8, 19), (19, 19), (20, 24), (64, 64)])
@in_reactor
async def test_invented_password(pool: CountingPool, shortest: int, length: int) -> None:
    """A password that the server makes can be read aloud, is long enough, and fits its hash."""
    hashing = Bcrypt(reactor, COST, 0, shortest, pool)
    password, stored = await soon(hashing.invent())
    other, _ = await soon(hashing.invent())

    assert re.fullmatch(r"([a-hj-km-np-z2-9]{4}-)+[a-hj-km-np-z2-9]{4}", password)
    assert len(password) == length
    assert password != other
    assert await soon(hashing.check(password, stored))
