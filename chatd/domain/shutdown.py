"""A shutdown: announced as a countdown, and taken back as long as it hasn't come.

The rule: nobody logs in any more while it counts, and nothing is closed before it is over.
"""

from collections.abc import Callable
from typing import Final

import attrs

from chatd.domain.errors import ShuttingDown
from chatd.domain.ports import Clock, Timer
from chatd.domain.text import spell

_STEPS: Final = (3600, 1800, 900, 600, 300, 120, 60, 30, 10, 5, 4, 3, 2, 1)
"""Seconds before the end at which it is announced again."""


@attrs.define(eq=False)
class Shutdown:
    """At most one at a time. ``announce`` tells everybody online, ``stop`` ends the server."""

    _clock: Clock
    _announce: Callable[[str], None]
    _stop: Callable[[], None]
    _at: float | None = None
    _reason: str = ""
    _timer: Timer | None = None

    def begin(self, seconds: int, reason: str) -> None:
        """Count down; one that was under way goes on from here."""
        self.cancel()
        self._at, self._reason = self._clock.seconds() + seconds, reason
        self._tell(seconds)
        self._wait(seconds)

    def cancel(self) -> bool:
        """Go on as if nothing had been announced; whether there was still time for that."""
        if self._timer is None:
            return False
        self._timer.cancel()
        self._at = self._timer = None
        return True

    def check_open(self) -> None:
        """See that people may log in.

        Raises:
            ShuttingDown
        """
        if self._at is not None:
            raise ShuttingDown(spell(max(1.0, self._at - self._clock.seconds())))

    def _tell(self, seconds: int) -> None:
        because = f": {self._reason}" if self._reason else "."
        when = f"in {spell(seconds)}" if seconds else "now"
        self._announce(f"The server shuts down {when}{because}")

    def _left(self) -> float:
        assert self._at is not None  # only a shutdown under way has a timer
        return self._at - self._clock.seconds()

    def _wait(self, told: int) -> None:
        """Wait for the next step; ``told`` is what was announced last, and not again."""
        left = self._left()
        step = next((step for step in _STEPS if step < min(left, told)), 0)
        self._timer = self._clock.callLater(max(0.0, left - step), self._next, step)

    def _next(self, step: int) -> None:
        self._timer = None
        if step:
            self._tell(step)
            self._wait(step)
        else:
            self._stop()
