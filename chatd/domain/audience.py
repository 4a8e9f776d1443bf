"""The audience of a room: who hears it, and the hot loop that tells them.

The rule: within a batch, events are only gathered; :meth:`Audience.flush` encodes what was gathered
once per wire format and hands the same bytes to every link, one write a batch. The few whose place
changed within the batch, or who must read something of their own between two lines, get their part
by themselves: a link hears a room from its own join on, up to its own leave, and in one order with
what it alone is told.

Measured: one write per batch costs 0.3 us a delivery where one per line costs 5 (LIBRARIES.md 1).
"""

import attrs

from chatd.domain.events import Broadcasted, RoomEvent, Said
from chatd.domain.names import Key, key_of
from chatd.domain.ports import Format, Hearer


@attrs.define(eq=False)
class Audience:
    """Those who hear one room, by wire format."""

    _groups: dict[Format, dict[Hearer, None]] = attrs.field(factory=dict)
    _gathered: list[RoomEvent] = attrs.field(factory=list)
    _encoded: dict[Format, list[bytes]] = attrs.field(factory=dict)
    _heard: dict[Hearer, int] = attrs.field(factory=dict)
    _deaf: dict[Hearer, None] = attrs.field(factory=dict)  # those who don't hear everybody

    def __len__(self) -> int:
        return sum(len(links) for links in self._groups.values())

    def __contains__(self, link: Hearer) -> bool:
        return link in self._groups.get(link.format, ())

    def gather(self, event: RoomEvent) -> None:
        """Take an event of the batch; everyone hears it at the next :meth:`flush`."""
        self._gathered.append(event)

    def add(self, link: Hearer) -> None:
        """Let a link hear what is gathered from now on."""
        if link not in self:
            self._groups.setdefault(link.format, {})[link] = None
            link.audiences += (self,)
            self.refresh(link)
            if self._gathered:
                self._heard[link] = len(self._gathered)

    def refresh(self, link: Hearer) -> None:
        """Take note of whom a link is deaf to."""
        if link.deaf_to:
            self._deaf[link] = None
        else:
            self._deaf.pop(link, None)

    def discard(self, link: Hearer) -> None:
        """Tell a link what was gathered so far, and nothing more."""
        if link in self:
            self.catch_up(link)
            self._heard.pop(link, None)
            self._deaf.pop(link, None)
            del self._groups[link.format][link]
            link.audiences = tuple(other for other in link.audiences if other is not self)

    def dissolve(self) -> None:
        """Tell everyone what was gathered so far, and nothing more."""
        for links in self._groups.values():
            for link in list(links):
                self.discard(link)

    def catch_up(self, link: Hearer) -> None:
        """Tell a link at once what was gathered so far, so that its own line comes after that."""
        start = self._heard.get(link, 0)
        if start < len(self._gathered):
            encoded = self._encode(link.format)[start:]
            if link.deaf_to:
                events = self._gathered[start:]
                pairs = zip(events, encoded, strict=True)
                encoded = [data for event, data in pairs if _author(event) not in link.deaf_to]
            if encoded:
                link.write(b"".join(encoded))
            self._heard[link] = len(self._gathered)

    def skip(self, link: Hearer) -> None:
        """Tell everyone but this link the event that was gathered last."""
        if link in self:
            self._heard[link] = len(self._gathered)

    def flush(self) -> int:
        """Tell everyone what was gathered; return about how many bytes that was, to all of them."""
        if not self._gathered:
            return 0
        try:
            return self._tell_all()
        finally:
            # An event that a codec fails on must not be tried, and kept, for ever.
            self._gathered.clear()
            self._encoded.clear()
            self._heard.clear()

    def _tell_all(self) -> int:
        single, told = self._single(), 0
        for encode, links in self._groups.items():
            if not links:
                continue
            data = b"".join(self._encode(encode))
            told += len(data) * len(links)
            if single:
                for link in links:
                    if link not in single:
                        link.write(data)
            else:
                for link in links:
                    link.write(data)
        for link in single:
            self.catch_up(link)
        return told

    def _single(self) -> dict[Hearer, None]:
        """Those who can't be told the same as everybody; none, nearly always."""
        single = dict.fromkeys(self._heard)
        if self._deaf:
            authors = {_author(event) for event in self._gathered}
            single |= {link: None for link in self._deaf if not authors.isdisjoint(link.deaf_to)}
        return single

    def _encode(self, encode: Format) -> list[bytes]:
        encoded = self._encoded.setdefault(encode, [])
        encoded.extend(encode(event) for event in self._gathered[len(encoded) :])
        return encoded


def _author(event: RoomEvent) -> Key | None:
    """Whose words an event is; what only happens to somebody is heard by all."""
    return key_of(event.author) if isinstance(event, Said | Broadcasted) else None
