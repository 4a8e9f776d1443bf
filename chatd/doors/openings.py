"""Openings: every way in that is open, and how they become others while people are inside.

The rule: the ways in are changed as a whole or not at all, and whoever is connected notices
nothing. What is new is opened first, next to what there is. Only what stands in the way of
something new is closed before that, and opened again where not all of the new can be had.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
from twisted.application.service import IService, MultiService
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from chatd.config import Config, Door, kind_of
from chatd.domain.rooms import Channel
from chatd.domain.session import is_local
from chatd.doors import known_doors
from chatd.doors.entrance import Entrance
from chatd.doors.reception import ListenError, Reception

_log = Logger()


@attrs.frozen
class Way:
    """A way in, as it is configured. ``listen`` has endpoint strings with their interfaces."""

    kind: str
    settings: Any
    channel: Channel | None
    listen: tuple[str, ...]

    def same_door(self, other: "Way") -> bool:
        """Whether one door can serve both."""
        mine, others = (self.kind, self.settings), (other.kind, other.settings)
        return mine == others and self.channel is other.channel


def ways_of(config: Config, channels: Iterable[Channel]) -> list[Way]:
    """The ways in of a configuration; ``channels`` are its channels, in its order."""
    kinds = known_doors()
    ways = []
    doors = [
        *(
            (Door("line", one.listen), channel)
            for one, channel in zip(config.channels, channels, strict=True)
        ),
        *((door, None) for door in config.doors),
    ]
    for door, channel in doors:
        settings = kinds[door.kind].load().Settings() if door.settings is None else door.settings
        listen = tuple(config.endpoint(text, settings) for text in door.listen)
        ways.append(Way(door.kind, settings, channel, listen))
    return ways


@attrs.define(eq=False)
class Opening:
    """A way in that is open."""

    way: Way
    reception: Reception
    service: IService
    entrances: list[Entrance] = attrs.field(factory=list)


@attrs.define
class _Plan:
    """What becomes of the ways in. ``openings`` are all of them, each with its entrances to be."""

    openings: list[tuple[Opening, Way, list[Entrance]]] = attrs.field(factory=list)
    made: list[Opening] = attrs.field(factory=list)
    to_open: list[Entrance] = attrs.field(factory=list)
    to_close: list[Entrance] = attrs.field(factory=list)
    renewed: list[tuple[Entrance, IProtocolFactory]] = attrs.field(factory=list)
    opened: list[Entrance] = attrs.field(factory=list)
    closed: list[Entrance] = attrs.field(factory=list)

    def in_the_way(self) -> list[Entrance]:
        """What must be closed before something else can be opened."""
        return [old for old in self.to_close if any(map(old.collides, self.to_open))]

    def open(self, *, after: Sequence[Entrance] | None = None) -> None:
        """Open what collides with none of ``after``; all that is left where that is None.

        Raises:
            ListenError: one can't be had.
        """
        for entrance in self.to_open:
            waits = after is not None and any(map(entrance.collides, after))
            if entrance not in self.opened and not waits:
                entrance.open()
                self.opened.append(entrance)


class Openings(MultiService):
    """All ways in. ``reception`` makes what a new door is given.

    A door that is configured no longer has no ports, but its service goes on until the server
    stops, as there may be people connected through it.
    """

    def __init__(self, reactor: Any, reception: Callable[[Way], Reception]) -> None:
        MultiService.__init__(self)
        self._reactor = reactor
        self._reception = reception
        self.ways: list[Opening] = []

    def open(self, ways: Iterable[Way]) -> None:
        """Open these ways in, at the start.

        Raises:
            ListenError: one can't be had.
        """
        plan = self._plan(ways)
        self._begin(plan)
        self._settle(plan)
        plan.open()

    async def change(self, ways: Iterable[Way]) -> None:
        """Have these ways in and no others; the connections that there are stay as they are.

        Raises:
            ListenError: one can't be had; all is as it was.
        """
        plan = self._plan(ways)
        for entrance in plan.to_open:
            if kind_of(entrance.text) == "systemd":
                raise ListenError(
                    f"{entrance.text}: a socket of systemd's is taken at a start only"
                )
        try:
            plan.renewed = _renewed(plan)
            self._begin(plan)
            in_the_way = plan.in_the_way()
            plan.open(after=in_the_way)
            plan.closed = in_the_way
            await _close(in_the_way)
            plan.open()
        except Exception as error:
            lost = await self._undo(plan)
            if isinstance(error, ListenError):
                raise ListenError("; ".join([str(error), *lost])) from None
            raise
        self._settle(plan)
        self.announce(plan.opened)
        await _close([entrance for entrance in plan.to_close if entrance not in plan.closed])

    def announce(self, opened: Sequence[Entrance]) -> None:
        """Log what has been opened, and warn of what the network can read."""
        exposed: set[str] = set()
        for opening in self.ways:
            for entrance in opening.entrances:
                if entrance in opened:
                    _log.info("listening on {place}", place=_shown(entrance.address))
                    secret = entrance.has_certificate or getattr(
                        opening.way.settings, "SECRET", False
                    )
                    if not secret:
                        exposed.add(getattr(entrance.address, "host", ""))
        hosts = sorted(host for host in exposed if not is_local(host))
        if hosts:
            _log.warn(
                "open to the network ({hosts}): telnet and nc carry passwords in the clear",
                hosts=", ".join(hosts),
            )

    def stopService(self) -> Deferred[Any]:
        """Take no more connections, and stop every door."""
        return gatherResults([_close(self.entrances()), MultiService.stopService(self)])

    def entrances(self) -> list[Entrance]:
        """Every entrance that is open."""
        return [entrance for opening in self.ways for entrance in opening.entrances]

    def _plan(self, ways: Iterable[Way]) -> _Plan:
        """What to do to have these ways in; nothing is changed yet.

        Raises:
            ListenError: a door can't be made.
        """
        plan, left = _Plan(), list(self.ways)
        wanted: list[tuple[Opening, Way, list[Entrance | None]]] = []
        for way in ways:
            opening = next((one for one in left if one.way.same_door(way)), None)
            if opening is None:
                opening = self._make(way)
                plan.made.append(opening)
                own: list[Entrance] = []
            else:
                left.remove(opening)
                own = list(opening.entrances)
            wanted.append((opening, way, [_take(own, text) for text in way.listen]))
            plan.to_close += own
        plan.to_close += [entrance for one in left for entrance in one.entrances]
        # What one door had, another may have now: the port stays open.
        for opening, way, found in wanted:
            entrances = []
            for text, own_one in zip(way.listen, found, strict=True):
                entrance = own_one or _take(plan.to_close, text)
                if entrance is None:
                    entrance = Entrance.to(opening.reception.factory, text, self._reactor)
                    plan.to_open.append(entrance)
                entrances.append(entrance)
            plan.openings.append((opening, way, entrances))
        return plan

    def _make(self, way: Way) -> Opening:
        reception = self._reception(way)
        service = known_doors()[way.kind].load().open_door(way.settings, reception)
        return Opening(way, reception, service)

    def _begin(self, plan: _Plan) -> None:
        for opening in plan.made:
            opening.service.setServiceParent(self)

    def _settle(self, plan: _Plan) -> None:
        """Let every entrance lead where it is to lead from now on."""
        for opening, way, entrances in plan.openings:
            opening.way, opening.entrances = way, entrances
            for entrance in entrances:
                entrance.lead_to(opening.reception.factory)
        for entrance, factory in plan.renewed:
            entrance.renew(factory)
        self.ways = [opening for opening, _way, _entrances in plan.openings]

    async def _undo(self, plan: _Plan) -> list[str]:
        """Make all as it was; return a sentence for each port that could not be had back."""
        lost: list[str] = []
        await _close(plan.opened)
        for entrance in plan.closed:
            try:
                entrance.open()
            except ListenError as error:
                lost.append(f"what had to be closed for it is lost: {error}")
                for opening in self.ways:
                    opening.entrances = [one for one in opening.entrances if one is not entrance]
        for opening in plan.made:
            if opening.service.parent is self:
                await maybeDeferred(opening.service.disownServiceParent)
        return lost


def _renewed(plan: _Plan) -> list[tuple[Entrance, IProtocolFactory]]:
    """Every certificate of what stays open, as it is in its files now."""
    kept = [
        entrance
        for _opening, _way, entrances in plan.openings
        for entrance in entrances
        if entrance not in plan.to_open
    ]
    return [(one, factory) for one in kept if (factory := one.renewed()) is not None]


def _take(entrances: list[Entrance], text: str) -> Entrance | None:
    """Take the entrance with this endpoint out of a list, if there is one."""
    found = next((entrance for entrance in entrances if entrance.text == text), None)
    if found is not None:
        entrances.remove(found)
    return found


def _close(entrances: Iterable[Entrance]) -> Deferred[Any]:
    return gatherResults([entrance.close() for entrance in entrances])


def _shown(address: object) -> str:
    """An address that is listened on, as people write it: a host and a port, or a path."""
    if isinstance(address, IPv4Address | IPv6Address):
        host = f"[{address.host}]" if isinstance(address, IPv6Address) else address.host
        return f"{host}:{address.port}"
    return os.fsdecode(getattr(address, "name", None) or str(address))
