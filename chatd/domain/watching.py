"""Watching: what operators see of a server, live and afterwards.

The rule: whatever is worth knowing is noted here once, and goes from here to those who watch, to
the log, and, where it is an act, to the audit log. Nobody can fill the disk by being refused.
"""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

import attrs

from chatd.domain.audience import Audience
from chatd.domain.counts import Counts
from chatd.domain.errors import NotAllowed
from chatd.domain.events import Seen, Tuned, Untuned, Watched
from chatd.domain.limits import TokenBucket
from chatd.domain.names import WATCHERS
from chatd.domain.ports import Audit, Clock, Hearer, Holder, Journal
from chatd.domain.records import Act, Role

_REFUSALS: Final = 100  # written down at once, and so many a second after that
_REFUSALS_SECOND: Final = 1.0


class Desk(Protocol):
    """What watching needs of the hub."""

    clock: Clock
    journal: Journal
    counts: Counts
    closing: bool


@attrs.define(eq=False)
class Watch:
    """What was seen, and who watches. ``log`` writes it down."""

    _desk: Desk
    audit: Audit
    _log: Callable[[Watched], None]
    audience: Audience = attrs.field(factory=Audience)
    _refusals: TokenBucket = attrs.field(init=False)  # those that are written down
    _attempts: TokenBucket = attrs.field(init=False)  # the same of what only operators may do

    def __attrs_post_init__(self) -> None:
        now = self._desk.clock.seconds()
        self._refusals = TokenBucket.full(_REFUSALS_SECOND, _REFUSALS, now)
        self._attempts = TokenBucket.full(_REFUSALS_SECOND, _REFUSALS, now)

    def let(self, link: Hearer, *, on: bool) -> None:
        """Let somebody see what happens, or no longer."""
        self._desk.journal.append(Tuned(WATCHERS) if on else Untuned(WATCHERS), link)

    def appoint(self, holder: Holder, role: Role) -> None:
        """Let somebody online have another role from now on."""
        holder.appoint(role)
        if holder.role < Role.OPERATOR:
            self.let(holder.link, on=False)  # even if it has only now asked to

    def only_operators(self, holders: Iterable[Holder]) -> None:
        """Let nobody of these see what happens who is no operator any more."""
        for holder in holders:
            if self.audience in holder.link.audiences and holder.role < Role.OPERATOR:
                self.let(holder.link, on=False)

    def note(self, what: Seen, who: str, text: str = "", *, logged: bool = True) -> None:
        """Let operators see something live, and where it is ``logged`` in the log too.

        Of refusals only so many are logged that nobody can fill the disk with them.
        """
        watched = Watched(WATCHERS, what, who, text, self._desk.clock.seconds())
        if logged and (what is not Seen.REFUSAL or self._refusals.take(watched.at)):
            self._log(watched)
        if len(self.audience) and not self._desk.closing:
            self._desk.journal.append(watched)

    def audited(self, act: Act) -> None:
        """Write down what an operator did, or somebody tried to; see :meth:`note` on refusals."""
        self._desk.counts.acts += 1
        if act.result == NotAllowed.code and not self._attempts.take(act.at):
            return
        self.audit.note(act)
        words = (act.act, act.target, act.arguments, act.result)
        self.note(Seen.ACT, act.who, " ".join(word for word in words if word))
