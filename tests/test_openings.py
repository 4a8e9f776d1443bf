"""The ways in: opened, closed and handed on as a whole or not at all.

The sockets here are :class:`Ports`, which refuses what Linux would: a port twice, or a port of one
address beside the same port of all of them.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.config import Channel as Configured
from chatd.config import Config, Door
from chatd.domain.limits import Gate
from chatd.domain.names import ChannelName
from chatd.doors.openings import Openings, Way, ways_of
from chatd.doors.reception import ListenError, Reception
from tests.certificates import write_certificate
from tests.fakes import World

ADDRESSES = ("127.0.0.1", "127.0.0.2", "0.0.0.0")


@attrs.define(eq=False)
class Port:
    """An open port."""

    ports: "Ports"
    address: Any
    factory: IProtocolFactory

    def getHost(self) -> Any:
        """Where it is."""
        return self.address

    def stopListening(self) -> Deferred[None]:
        """Close it, at the reactor's next turn, as a real one does."""
        return deferLater(self.ports.clock, 0, self.ports.open.remove, self)


@attrs.define(eq=False)
class Ports:
    """A reactor that has nothing but ports. ``taken`` are those that somebody else has."""

    clock: Clock = attrs.field(factory=Clock)
    open: list[Port] = attrs.field(factory=list)
    taken: set[int] = attrs.field(factory=set)
    opened: int = 0

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> Port:
        """Open a port, if that can be had."""
        kind: Any = IPv6Address if ":" in interface else IPv4Address
        return self._open(kind("TCP", interface, port), factory)

    def listenUNIX(
        self,
        address: str,
        factory: IProtocolFactory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> Port:
        """Open a unix socket, if that can be had."""
        return self._open(UNIXAddress(address), factory)

    def places(self) -> Counter[object]:
        """Where it listens."""
        return Counter(port.address for port in self.open)

    def _open(self, address: Any, factory: IProtocolFactory) -> Port:
        if any(self._collide(address, port.address) for port in self.open):
            raise CannotListenError("", 0, OSError(98, "Address already in use"))
        if getattr(address, "port", 0) in self.taken:
            raise CannotListenError("", 0, OSError(13, "Permission denied"))
        factory.doStart()
        self.opened += 1
        self.open.append(Port(self, address, factory))
        return self.open[-1]

    def _collide(self, one: Any, other: Any) -> bool:
        if isinstance(one, UNIXAddress) or isinstance(other, UNIXAddress):
            return bool(one == other)
        hosts = {one.host, other.host}
        return one.port == other.port != 0 and (len(hosts) == 1 or "0.0.0.0" in hosts)


@attrs.define(eq=False)
class House:
    """Openings on ports of their own."""

    world: World = attrs.field(factory=lambda: World(Clock()))
    ports: Ports = attrs.field(factory=Ports)
    openings: Openings = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.openings = Openings(self.ports, self._reception)
        self.openings.startService()  # type: ignore[no-untyped-call]

    def open(self, config: Config) -> None:
        """Open the ways in of a configuration, as a start does."""
        self.openings.open(self._ways(config))

    def change(self, config: Config) -> str:
        """Change to another configuration; what was wrong with it, if anything."""
        done: list[str] = []
        changing = Deferred.fromCoroutine(self.openings.change(self._ways(config)))
        changing.addCallbacks(lambda _: done.append(""), lambda failure: done.append(told(failure)))
        for _ in range(3):  # what is closed before and after something is opened, or opened again
            self.ports.clock.advance(0)
        assert len(done) == 1
        return done[0]

    def leads(self) -> Counter[tuple[object, str]]:
        """Each open port, with what a client there is greeted with."""
        return Counter((port.address, self._greeting(port)) for port in self.ports.open)

    def _reception(self, way: Way) -> Reception:
        return Reception(self.world.hub, Gate(0, 0), way.kind, 0, way.channel)

    def _ways(self, config: Config) -> list[Way]:
        known = {channel.name: channel for channel in self.world.hub.channels.all()}
        names = [ChannelName(one.name) for one in config.channels]
        return ways_of(config, [known.get(name) or self.world.channel(name) for name in names])

    @staticmethod
    def _greeting(port: Port) -> str:
        protocol: Any = port.factory.buildProtocol(port.address)
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.connectionLost()
        greeting: str = transport.value().decode()
        return greeting.partition(",")[0]


def told(failure: Failure) -> str:
    """What a failure tells the operator."""
    failure.trap(ListenError)
    return str(failure.value)


def leads_of(config: Config) -> Counter[tuple[object, str]]:
    """What :meth:`House.leads` is to be with a configuration."""
    ways = [(f"chatd: channel {channel.name}", channel.listen) for channel in config.channels]
    ways += [("chatd: lobby", door.listen) for door in config.doors]
    return Counter((address_of(text), told) for told, listen in ways for text in listen)


def texts_of(config: Config) -> set[str]:
    """The endpoint strings of a configuration."""
    channels = {text for channel in config.channels for text in channel.listen}
    return channels | {text for door in config.doors for text in door.listen}


def address_of(text: str) -> object:
    """Where an endpoint listens."""
    kind, place, *options = text.split(":")
    if kind == "unix":
        return UNIXAddress(place)
    return IPv4Address("TCP", options[0].partition("=")[2], int(place))


def line(*listen: str) -> Config:
    """A configuration with just a lobby."""
    return Config(channels=(), doors=(Door("line", listen),))


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Configurations of up to four ways in, none of which collide."""
    rows = [
        st.sampled_from([f"tcp:{port}:interface={address}{more}" for address in ADDRESSES])
        for port, more in ((1, ""), (2, ""), (3, draw(st.sampled_from(("", ":backlog=9")))))
    ]
    rows.append(st.sampled_from(("unix:/run/a", "unix:/run/a:mode=600")))
    way = st.sampled_from(("", "general", "random", "work"))
    found: dict[str, list[str]] = {}
    for row in draw(st.permutations(rows)):
        if draw(st.booleans()):
            found.setdefault(draw(way), []).append(draw(row))
    channels = [Configured(name, tuple(listen)) for name, listen in found.items() if name]
    doors = [Door("line", tuple(listen)) for name, listen in found.items() if not name]
    return Config(channels=tuple(channels), doors=tuple(doors))


@given(configs(), configs(), configs())
def test_any_change(first: Config, second: Config, third: Config) -> None:
    """From any configuration to any other, what listens is what is configured, and leads there."""
    house = House()
    house.open(first)
    for config in (second, third, first):
        assert house.change(config) == ""
        assert house.leads() == leads_of(config)


@given(configs(), configs(), st.sets(st.integers(1, 3)))
def test_port_that_cannot_be_had(first: Config, second: Config, taken: set[int]) -> None:
    """Where something new can't be had, everything is as it was."""
    house = House()
    house.open(first)
    house.ports.taken = taken - {getattr(address, "port", 0) for address, _ in house.leads()}
    refused = house.change(second)
    assert house.leads() == leads_of(first if refused else second)
    wanted = {getattr(address, "port", 0) for address, _ in leads_of(second)}
    assert bool(refused) == bool(wanted & house.ports.taken)


@given(configs(), configs())
def test_what_stays_is_not_touched(first: Config, second: Config) -> None:
    """A port that is in both configurations is never closed, not even when it changes its room."""
    house = House()
    house.open(first)
    before = list(house.ports.open)
    house.change(second)
    assert len([port for port in before if port in house.ports.open]) == len(
        texts_of(first) & texts_of(second)
    )


def test_lost_port() -> None:
    """A port that had to be closed, and that somebody else has taken in that moment, is told."""
    house = House()
    house.open(line("tcp:1:interface=127.0.0.1", "tcp:2:interface=127.0.0.1"))
    house.ports.taken = {1}
    assert house.change(line("tcp:1:interface=0.0.0.0", "tcp:2:interface=127.0.0.1")) == (
        "tcp:1:interface=0.0.0.0: Permission denied; what had to be closed for it is lost: "
        "tcp:1:interface=127.0.0.1: Permission denied"
    )
    assert [address_of("tcp:2:interface=127.0.0.1")] == list(house.ports.places())
    house.ports.taken = set()
    assert house.change(line("tcp:1:interface=127.0.0.1", "tcp:2:interface=127.0.0.1")) == ""
    assert len(house.ports.open) == 2


def test_any_port() -> None:
    """A way in whose port the system chooses keeps it, whatever comes before it."""
    house = House()
    general, work = (Configured(name, ("tcp:0",)) for name in ("general", "work"))
    house.open(Config(channels=(general,), doors=(Door("line", ("tcp:0",)),)))
    before = list(house.ports.open)
    house.change(Config(channels=(work, general), doors=(Door("line", ("tcp:0",)),)))
    assert house.ports.open[:2] == before
    told = [house._greeting(port) for port in house.ports.open]
    assert told == ["chatd: channel general", "chatd: lobby", "chatd: channel work"]


def test_socket_of_systemd() -> None:
    """A socket that systemd passes can only be taken at a start, and a rehash says so."""
    house = House()
    house.open(line("tcp:1"))
    assert house.change(line("systemd:domain=INET:name=general")) == (
        "systemd:domain=INET:name=general: a socket of systemd's is taken at a start only"
    )
    assert len(house.ports.open) == 1


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What is logged, a line each."""
    lines: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_warning(tmp_path: Path, log: list[str]) -> None:
    """What the network could read is warned of: neither loopback, nor unix sockets, nor TLS."""
    house = House()
    pem = write_certificate(tmp_path, "chatd")
    places = ("0.0.0.0", "127.0.0.1", r"\:\:")
    listen = [f"tcp:{port}:interface={place}" for port, place in enumerate(places, 5000)]
    listen += [f"ssl:6000:privateKey={pem}:interface=192.0.2.1", "unix:/run/general"]
    house.open(line(*listen))
    house.openings.announce(house.openings.entrances())
    assert log == [
        "listening on 0.0.0.0:5000",
        "listening on 127.0.0.1:5001",
        "listening on [::]:5002",
        "listening on 192.0.2.1:6000",
        "listening on /run/general",
        "open to the network (0.0.0.0, ::): telnet and nc carry passwords in the clear",
    ]


def test_warning_of_what_is_new(log: list[str]) -> None:
    """After a change only what is new is told, and warned of."""
    house = House()
    house.open(line("tcp:1:interface=0.0.0.0"))
    house.change(line("tcp:1:interface=0.0.0.0", "tcp:2:interface=127.0.0.1"))
    assert log == ["listening on 127.0.0.1:2"]
