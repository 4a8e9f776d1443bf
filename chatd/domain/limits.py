"""Limits: pure policies on a given clock.

The rule: a policy counts and answers; who asks does what follows from the answer. A limit of 0
is switched off everywhere.
"""

import math
from collections.abc import Callable, Iterable
from typing import Final

import attrs

from chatd.domain.errors import LockedOut, TooBusy
from chatd.domain.ports import Clock, Timer
from chatd.domain.records import Tries

_WHOLE: Final = 10  # an account's tries over all addresses, in multiples of those from one
_FORGET: Final = 10  # tries without a lock are forgotten after so many lock times
_UNIX: Final = "unix"  # what a unix socket's clients count as; "" is all addresses
_LEAST_WAIT: Final = 0.001


@attrs.define(eq=False)
class TokenBucket:
    """Lets through ``rate`` a second on average and ``burst`` at once (a token bucket)."""

    _rate: float
    _burst: int
    _tokens: float
    _filled: float

    @classmethod
    def full(cls, rate: float, burst: int, now: float) -> "TokenBucket":
        """A bucket that nothing was taken from yet; ``rate`` 0 lets everything through."""
        return cls(rate, max(1, burst), float(max(1, burst)), now)

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        if not self._rate:
            return True
        # A clock set back must not take tokens away.
        gained = max(0.0, now - self._filled) * self._rate
        self._tokens = min(float(self._burst), self._tokens + gained)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def wait(self) -> float:
        """Seconds until the next token, right after :meth:`take` said no."""
        # Never so few that adding them to the time leaves it as it is: rounding can leave less
        # missing of a token than that.
        return max(_LEAST_WAIT, (1 - self._tokens) / self._rate)


@attrs.define(eq=False)
class Gate:
    """Counts who is in: at most ``total`` in all and ``each`` for one address."""

    total: int
    each: int
    _inside: int = 0
    _by_address: dict[str, int] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return self._inside

    def enter(self, address: str) -> None:
        """Count one more.

        Raises:
            TooBusy: there is no place; nothing was counted.
        """
        if self.total and self._inside >= self.total:
            raise TooBusy("The server is full, please try again later.")
        here = self._by_address.get(address, 0)
        if self.each and here >= self.each:
            raise TooBusy("There are too many connections from your address.")
        self._inside += 1
        self._by_address[address] = here + 1

    def leave(self, address: str) -> None:
        """Count one less."""
        self._inside -= 1
        here = self._by_address[address] - 1
        if here:
            self._by_address[address] = here
        else:
            del self._by_address[address]


@attrs.define(eq=False)
class _Entry:
    wrong: int = 0
    checking: int = 0
    until: float = 0.0
    timer: Timer | None = None


@attrs.define(eq=False)
class Lockout:
    """Locks an account against an address after some wrong passwords in a row, for some seconds.

    Two counts are kept: per (account, address), so that a stranger can't lock somebody else out,
    and, ten times as patient, per account over all addresses, so that guessing from many addresses
    is slow too. No more passwords are checked side by side than there are tries left, so that they
    can't outrun the count. ``save`` is given each change, to be kept across a restart; no more than
    ``most_counts`` are kept.
    """

    _clock: Clock
    tries: int
    seconds: int
    _save: Callable[[Iterable[Tries]], object]
    _most_counts: int = 50_000
    _entries: dict[tuple[str, str], _Entry] = attrs.field(factory=dict)

    def restore(self, rows: Iterable[Tries]) -> None:
        """Take up where an earlier run stopped; locks that are over are forgotten."""
        now = self._clock.seconds()
        for row in rows:
            which = (row.account, row.address)
            # Where the limit is lower than it was, a count alone doesn't lock anybody.
            wrong = row.count if row.until else min(row.count, self._most(row.address) - 1)
            if wrong < 1 or 0 < row.until <= now:
                self._save([Tries(*which, 0, 0)])
                continue
            entry = self._entry(which)
            entry.wrong, entry.until = wrong, row.until
            self._wake(which, entry, row.until - now if row.until else self.seconds * _FORGET)

    def attempt(self, account: str, address: str) -> None:
        """Ask leave to check a password; tell how it ended by one of the other methods.

        Raises:
            LockedOut: for so many more seconds.
            TooBusy: as many checks as there are tries left are under way.
        """
        if not self.tries:
            return
        now = self._clock.seconds()
        both = _counts(account, address)
        known = [(which, entry) for which in both if (entry := self._entries.get(which))]
        for _which, entry in known:
            if entry.until > now:
                raise LockedOut(account, math.ceil(entry.until - now))
        for (_account, where), entry in known:
            if entry.wrong + entry.checking >= self._most(where):
                raise TooBusy("A password is being checked already, please wait a moment.")
        for which in both:
            self._entry(which).checking += 1

    def failed(self, account: str, address: str) -> int | None:
        """Count a wrong password; return the tries left, or None where the lockout is off.

        Raises:
            LockedOut: that was the last one.
        """
        if not self.tries:
            self.gave_up(account, address)
            return None
        now = self._clock.seconds()
        rows: list[Tries] = []
        locked = False
        left = []
        for which in _counts(account, address):
            entry, most = self._entry(which), self._most(which[1])
            entry.checking = max(0, entry.checking - 1)
            entry.wrong += 1
            if entry.wrong >= most and entry.until <= now:
                entry.until = now + self.seconds
                locked = True
            wait = entry.until - now if entry.until > now else self.seconds * _FORGET
            self._wake(which, entry, wait)
            rows.append(Tries(*which, entry.wrong, entry.until))
            left.append(max(0, most - entry.wrong))
        self._save(rows)
        if locked:
            raise LockedOut(account, self.seconds, first=True)
        return min(left)

    def succeeded(self, account: str, address: str) -> None:
        """Forget the wrong passwords from this address; those from elsewhere still count."""
        self.gave_up(account, address)
        here, _everywhere = _counts(account, address)
        if here in self._entries and self._entries[here].wrong:
            self._forget(here)

    def gave_up(self, account: str, address: str) -> None:
        """Take back an attempt: its password was not wrong, or never checked."""
        for which in _counts(account, address):
            entry = self._entries.get(which)
            if entry is not None:
                entry.checking = max(0, entry.checking - 1)
                if not entry.checking and not entry.wrong:
                    del self._entries[which]

    def stop(self) -> None:
        """Cancel every timer; what was saved stays saved."""
        for entry in self._entries.values():
            if entry.timer is not None:
                entry.timer.cancel()
        self._entries.clear()

    def _most(self, address: str) -> int:
        return self.tries if address else self.tries * _WHOLE

    def _entry(self, which: tuple[str, str]) -> _Entry:
        entry = self._entries.get(which)
        if entry is None:
            if len(self._entries) >= self._most_counts:
                # Guessing at ever new names must not fill the memory, nor the store: the oldest
                # goes.
                self._forget(next(iter(self._entries)))
            entry = self._entries[which] = _Entry()
        return entry

    def _wake(self, which: tuple[str, str], entry: _Entry, seconds: float) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
        entry.timer = self._clock.callLater(seconds, self._expired, which)

    def _expired(self, which: tuple[str, str]) -> None:
        self._entries[which].timer = None
        self._forget(which)

    def _forget(self, which: tuple[str, str]) -> None:
        entry = self._entries.pop(which)
        if entry.timer is not None:
            entry.timer.cancel()
        if entry.wrong:
            self._save([Tries(*which, 0, 0)])


def _counts(account: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """What a try counts for: the account against this address, and against all of them."""
    return (account, address or _UNIX), (account, "")
