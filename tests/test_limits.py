"""Limits: how fast, how many, and how often a wrong password."""

from collections.abc import Callable, Iterable, Iterator

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from chatd.domain.errors import LockedOut, TooBusy
from chatd.domain.limits import Gate, Lockout, TokenBucket
from chatd.domain.records import Tries

BUSY = "A password is being checked already, please wait a moment."


def taken(bucket: TokenBucket, now: float, most: int = 1000) -> int:
    """How much a bucket lets through at one moment."""
    return next((count for count in range(most) if not bucket.take(now)), most)


def test_burst_then_rate() -> None:
    """A burst goes through at once, and what follows at the rate."""
    bucket = TokenBucket.full(4, 10, now=0)
    assert taken(bucket, 0) == 10
    assert bucket.wait() == 0.25
    assert taken(bucket, 0.25) == 1
    assert taken(bucket, 1.25) == 4


def test_bucket_holds_no_more_than_a_burst() -> None:
    """However long somebody is silent, no more than a burst goes through at once."""
    bucket = TokenBucket.full(4, 10, now=0)
    assert taken(bucket, 1_000_000) == 10


def test_a_burst_of_nothing() -> None:
    """Without a burst, one at a time goes through."""
    bucket = TokenBucket.full(4, 0, now=0)
    assert taken(bucket, 0) == 1
    assert taken(bucket, 1) == 1


def test_no_rate() -> None:
    """A rate of 0 lets everything through."""
    assert taken(TokenBucket.full(0, 1, now=0), 0) == 1000


def test_clock_set_back() -> None:
    """A clock that is set back takes nothing away, and the rate holds from there."""
    bucket = TokenBucket.full(4, 10, now=1000)
    assert taken(bucket, 1000) == 10
    assert taken(bucket, 500) == 0
    assert taken(bucket, 500.5) == 2


@given(
    rate=st.floats(min_value=0.1, max_value=1000),
    start=st.floats(min_value=0, max_value=4e9),
    lines=st.integers(min_value=1, max_value=50),
)
def test_waiting_ends(rate: float, start: float, lines: int) -> None:
    """Whoever waits as long as he is told to moves on in time, and gets through soon."""
    bucket, now = TokenBucket.full(rate, 1, start), start
    for _ in range(lines):
        for _try in range(3):
            if bucket.take(now):
                break
            later = now + bucket.wait()
            assert later > now
            now = later
        else:
            pytest.fail("did not get through")
    assert now - start >= (lines - 1) / rate * 0.99 - 0.001


def test_gate_total() -> None:
    """Only so many come in; a place that is given back can be had again."""
    gate = Gate(2, 0)
    gate.enter("10.0.0.1")
    gate.enter("10.0.0.1")
    with pytest.raises(TooBusy, match=r"^The server is full, please try again later\.$"):
        gate.enter("10.0.0.2")
    gate.leave("10.0.0.1")
    gate.enter("10.0.0.2")
    assert len(gate) == 2


def test_gate_each() -> None:
    """One address takes only so many places, and doesn't hinder others."""
    gate = Gate(0, 1)
    gate.enter("10.0.0.1")
    with pytest.raises(TooBusy, match=r"^There are too many connections from your address\.$"):
        gate.enter("10.0.0.1")
    gate.enter("10.0.0.2")
    gate.leave("10.0.0.1")
    gate.enter("10.0.0.1")
    assert len(gate) == 2


def test_gate_off() -> None:
    """A limit of 0 lets everybody in, and they are still counted."""
    gate = Gate(0, 0)
    for _ in range(100):
        gate.enter("10.0.0.1")
    for _ in range(99):
        gate.leave("10.0.0.1")
    assert len(gate) == 1


@attrs.define
class Saved:
    """What a lockout has stored: the counts that a restart would find."""

    rows: dict[tuple[str, str], Tries] = attrs.field(factory=dict)

    def __call__(self, changed: Iterable[Tries]) -> None:
        """Store counts; a count of 0 is removed."""
        for row in changed:
            self.rows.pop((row.account, row.address), None)
            if row.count:
                self.rows[row.account, row.address] = row


@pytest.fixture
def saved() -> Saved:
    """An empty store of counts."""
    return Saved()


@pytest.fixture
def start(clock: Clock, saved: Saved) -> Iterator[Callable[..., Lockout]]:
    """Start a lockout with what is stored, as a server does; all are stopped in the end."""
    started: list[Lockout] = []

    def make(tries: int = 3, most_counts: int = 1000) -> Lockout:
        lockout = Lockout(clock, tries, 60, saved, most_counts)
        lockout.restore(list(saved.rows.values()))
        started.append(lockout)
        return lockout

    yield make
    for lockout in started:
        lockout.stop()


@pytest.fixture
def lockout(start: Callable[..., Lockout]) -> Lockout:
    """A lockout of three tries and 60 seconds."""
    return start()


def wrong(lockout: Lockout, account: str = "bob", address: str = "10.0.0.1") -> int | None:
    """Type a wrong password; return the tries left."""
    lockout.attempt(account, address)
    return lockout.failed(account, address)


def lock(lockout: Lockout, address: str = "10.0.0.1", tries: int = 3) -> str:
    """Type wrong passwords until the lock; return what is said then."""
    for left in range(tries - 1, 0, -1):
        assert wrong(lockout, address=address) == left
    with pytest.raises(LockedOut) as locked:
        wrong(lockout, address=address)
    assert locked.value.first
    return str(locked.value)


def refusal(lockout: Lockout, account: str = "bob", address: str = "10.0.0.1") -> str:
    """What is said to the next try, before its password is looked at."""
    with pytest.raises((LockedOut, TooBusy)) as refused:
        lockout.attempt(account, address)
    return str(refused.value)


@pytest.mark.parametrize("address", ["10.0.0.1", "2001:db8::1", ""])
def test_third_wrong_password_locks(clock: Clock, lockout: Lockout, address: str) -> None:
    """The third wrong password in a row locks for 60 seconds, wherever one comes from."""
    assert lock(lockout, address) == "Too many wrong passwords: bob is locked for 60 seconds."
    assert refusal(lockout, address=address) == "bob is locked for 60 more seconds."
    clock.advance(58.5)
    assert refusal(lockout, address=address) == "bob is locked for 2 more seconds."
    clock.advance(1)
    assert refusal(lockout, address=address) == "bob is locked for 1 more second."


def test_lock_opens_by_itself(clock: Clock, lockout: Lockout, saved: Saved) -> None:
    """After its time the lock is open, with all tries, and no longer stored."""
    lock(lockout)
    clock.advance(60)
    assert list(saved.rows) == [("bob", "")]
    assert wrong(lockout) == 2


def test_lock_is_for_one_address(lockout: Lockout) -> None:
    """Somebody else can't lock bob out where bob is."""
    lock(lockout, "10.0.0.1")
    assert wrong(lockout, address="10.0.0.2") == 2
    assert wrong(lockout, address="") == 2


def test_lock_is_for_one_account(lockout: Lockout) -> None:
    """A lock of one account is none of another from the same address."""
    lock(lockout)
    assert wrong(lockout, account="alice") == 2


def test_right_password_forgives(lockout: Lockout, saved: Saved) -> None:
    """Only wrong passwords in a row count: a right one starts the count again."""
    for _ in range(2):
        assert wrong(lockout) == 2
        assert wrong(lockout) == 1
        lockout.attempt("bob", "10.0.0.1")
        lockout.succeeded("bob", "10.0.0.1")
    assert saved.rows == {("bob", ""): Tries("bob", "", 4, 0)}


def test_right_password_at_once(lockout: Lockout, saved: Saved) -> None:
    """A right password at the first try leaves nothing behind."""
    lockout.attempt("bob", "10.0.0.1")
    lockout.succeeded("bob", "10.0.0.1")
    assert saved.rows == {}
    assert wrong(lockout) == 2


def test_wrong_passwords_are_forgotten(clock: Clock, lockout: Lockout, saved: Saved) -> None:
    """Wrong passwords that led to no lock are forgotten after ten minutes without another."""
    wrong(lockout)
    clock.advance(599)
    assert wrong(lockout) == 1
    clock.advance(599)
    assert saved.rows != {}
    clock.advance(1)
    assert saved.rows == {}


def test_guessing_from_many_addresses(clock: Clock, lockout: Lockout) -> None:
    """Thirty wrong passwords from all addresses together lock the account everywhere."""
    for number in range(14):
        assert wrong(lockout, address=f"10.1.0.{number}") == 2
        assert wrong(lockout, address=f"10.1.0.{number}") == 1
    assert wrong(lockout, address="10.2.0.1") == 1  # fewer are left in all than from here
    with pytest.raises(LockedOut, match=r"^Too many wrong passwords: bob is locked for 60 sec"):
        wrong(lockout, address="10.2.0.2")
    assert refusal(lockout, address="10.3.0.1") == "bob is locked for 60 more seconds."
    clock.advance(60)
    assert wrong(lockout, address="10.3.0.1") == 2


def test_side_by_side(lockout: Lockout) -> None:
    """No more passwords are checked at once than there are tries, so that guesses can't race."""
    for _ in range(3):
        lockout.attempt("bob", "10.0.0.1")
    assert refusal(lockout) == BUSY
    assert lockout.failed("bob", "10.0.0.1") == 2
    assert refusal(lockout) == BUSY
    assert lockout.failed("bob", "10.0.0.1") == 1
    with pytest.raises(LockedOut):
        lockout.failed("bob", "10.0.0.1")
    assert refusal(lockout) == "bob is locked for 60 more seconds."


def test_side_by_side_from_many_addresses(lockout: Lockout) -> None:
    """The same holds for the account as a whole."""
    for number in range(30):
        lockout.attempt("bob", f"10.0.0.{number}")
    assert refusal(lockout, address="10.0.1.1") == BUSY
    lockout.gave_up("bob", "10.0.0.7")
    lockout.attempt("bob", "10.0.1.1")


def test_right_beside_wrong(lockout: Lockout) -> None:
    """A wrong password beside a right one that is still being checked is one wrong password."""
    for _ in range(3):
        lockout.attempt("bob", "10.0.0.1")
    assert lockout.failed("bob", "10.0.0.1") == 2
    lockout.succeeded("bob", "10.0.0.1")
    assert lockout.failed("bob", "10.0.0.1") == 2


def test_gave_up(lockout: Lockout, saved: Saved) -> None:
    """A try whose password was never checked doesn't count."""
    for _ in range(10):
        lockout.attempt("bob", "10.0.0.1")
        lockout.gave_up("bob", "10.0.0.1")
    assert saved.rows == {}
    assert wrong(lockout) == 2
    lockout.gave_up("nobody", "10.0.0.1")


def test_lock_survives_restart(
    clock: Clock, lockout: Lockout, start: Callable[..., Lockout], saved: Saved
) -> None:
    """A restart doesn't open a lock, and doesn't make it longer."""
    lock(lockout)
    lockout.stop()
    clock.advance(20)
    again = start()
    assert refusal(again) == "bob is locked for 40 more seconds."
    clock.advance(40)
    assert wrong(again) == 2


def test_count_survives_restart(
    clock: Clock, lockout: Lockout, start: Callable[..., Lockout], saved: Saved
) -> None:
    """Wrong passwords before a restart count after it, and are forgotten like others."""
    wrong(lockout)
    lockout.stop()
    again = start()
    assert wrong(again) == 1
    clock.advance(600)
    assert saved.rows == {}


def test_lock_over_before_restart(
    clock: Clock, lockout: Lockout, start: Callable[..., Lockout], saved: Saved
) -> None:
    """A lock whose time ended while the server was down is open, and no longer stored."""
    lock(lockout)
    lockout.stop()
    clock.advance(60)
    again = start()
    assert list(saved.rows) == [("bob", "")]
    assert wrong(again) == 2


def test_fewer_tries_after_restart(
    lockout: Lockout, start: Callable[..., Lockout], saved: Saved
) -> None:
    """Where fewer tries are configured than before, nobody is locked out by the restart alone."""
    wrong(lockout)
    wrong(lockout)
    lockout.stop()
    again = start(tries=1)
    assert list(saved.rows) == [("bob", "")]
    again.attempt("bob", "10.0.0.1")
    again.succeeded("bob", "10.0.0.1")
    with pytest.raises(LockedOut):
        wrong(again)


def test_off(start: Callable[..., Lockout], saved: Saved) -> None:
    """With no limit on tries, wrong passwords are not counted."""
    lockout = start(tries=0)
    for _ in range(100):
        assert wrong(lockout) is None
    lockout.attempt("bob", "10.0.0.1")
    lockout.succeeded("bob", "10.0.0.1")
    assert saved.rows == {}


@pytest.mark.parametrize("right", [True, False])
def test_switched_off_while_a_password_is_checked(lockout: Lockout, *, right: bool) -> None:
    """A check that was under way when the lock was switched off doesn't count once it is on."""
    lockout.attempt("bob", "10.0.0.1")
    lockout.tries = 0
    if right:
        lockout.succeeded("bob", "10.0.0.1")
    else:
        assert lockout.failed("bob", "10.0.0.1") is None
    lockout.tries = 1
    lockout.attempt("bob", "10.0.0.1")
    lockout.gave_up("bob", "10.0.0.1")


def test_other_numbers(clock: Clock, lockout: Lockout) -> None:
    """Fewer tries and a longer lock hold from the next wrong password on."""
    assert wrong(lockout) == 2
    lockout.tries, lockout.seconds = 2, 600
    with pytest.raises(LockedOut) as raised:
        wrong(lockout)
    assert raised.value.seconds == 600


def test_guessing_names_is_bounded(
    clock: Clock, start: Callable[..., Lockout], saved: Saved
) -> None:
    """Wrong passwords for ever new names fill neither the memory nor the store."""
    lockout = start(most_counts=20)
    wrong(lockout)
    for number in range(100):
        wrong(lockout, f"name{number}", "10.6.6.6")
    assert len(saved.rows) == len(clock.getDelayedCalls()) == 20
    assert wrong(lockout) == 2  # the oldest count is the one that was given up


def test_checks_side_by_side_are_bounded(start: Callable[..., Lockout], saved: Saved) -> None:
    """So are passwords for ever new names that are still being checked."""
    lockout = start(most_counts=4)
    for number in range(10):
        lockout.attempt(f"name{number}", "10.6.6.6")
    assert saved.rows == {}
    assert lockout.failed("name0", "10.6.6.6") == 2


def test_refused_tries_are_not_remembered(lockout: Lockout, clock: Clock) -> None:
    """Asking at an account that is locked everywhere, from ever new addresses, takes no memory."""
    lockout.restore([Tries("bob", "", 30, clock.seconds() + 60)])
    lockout.restore([Tries("carol", "10.0.0.1", 2, 0)])
    for number in range(2000):
        assert refusal(lockout, address=f"a{number}") == "bob is locked for 60 more seconds."
    with pytest.raises(LockedOut):  # carol's two were not pushed out
        wrong(lockout, "carol")
