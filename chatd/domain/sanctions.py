"""Sanctions: who is kept out of the server, and who may not talk in a channel.

The rule: what is in force is decided here and on the clock, whatever else is stored; a ban or a
mute that is over is none, whether or not it was forgotten yet. Who changes one stores it first.
"""

from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import attrs

from chatd.domain.errors import Banned, StillMuted
from chatd.domain.names import ChannelName, Key
from chatd.domain.ports import Clock
from chatd.domain.records import Ban, Mute
from chatd.domain.text import spell

Network = IPv4Network | IPv6Network

_MAPPED_BITS: Final = 96  # of an IPv4 address written as one of IPv6 (RFC 4291, 2.5.5.2)


def plain_address(text: str) -> IPv4Address | IPv6Address:
    """An address as networks compare it: one of IPv4 as such, however its connection came."""
    address = ip_address(text.partition("%")[0])  # the interface of a link-local one is no part
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def read_network(text: str) -> Network | None:
    """An address or a network that somebody typed; None if it is neither, but maybe a name."""
    try:
        address, slash, bits = text.partition("/")
        if not slash:
            return ip_network(plain_address(text))
        network = ip_network(f"{address.partition('%')[0]}/{bits}", strict=False)
    except ValueError:
        return None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= _MAPPED_BITS:
        return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def show_network(network: Network) -> str:
    """A network as people write it: a single address without its bits."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


@attrs.define(eq=False)
class Sanctions:
    """Every ban and every mute."""

    _clock: Clock
    _bans: dict[str, Ban] = attrs.field(factory=dict)  # by target
    _networks: dict[Network, Ban] = attrs.field(factory=dict)
    _sizes: Counter[tuple[int, int]] = attrs.field(factory=Counter)  # by version and bits
    _mutes: dict[tuple[ChannelName, Key], float] = attrs.field(factory=dict)

    def restore(self, bans: Iterable[Ban], mutes: Iterable[Mute]) -> None:
        """Take up what the store has."""
        for ban in bans:
            self.ban(ban)
        for mute in mutes:
            self.mute(mute)

    # Bans.

    def bans(self) -> list[Ban]:
        """Those in force, in the order of their making."""
        return [ban for ban in self._bans.values() if self._lasts(ban.until)]

    def ban(self, ban: Ban) -> None:
        """Keep somebody out from now on."""
        self.unban(ban.target)
        self._bans[ban.target] = ban
        network = read_network(ban.target)
        if network is not None:
            self._networks[network] = ban
            self._sizes[network.version, network.prefixlen] += 1

    def unban(self, target: str) -> Ban | None:
        """Keep somebody out no longer; the ban that there was, if it was in force."""
        ban = self._bans.pop(target, None)
        if ban is None:
            return None
        network = read_network(target)
        if network is not None:
            del self._networks[network]
            self._sizes[network.version, network.prefixlen] -= 1
        return ban if self._lasts(ban.until) else None

    def check_name(self, key: Key) -> None:
        """See that a name is not banned.

        Raises:
            Banned
        """
        self._check(self._bans.get(key), key)

    def check_address(self, address: str) -> None:
        """See that an address is in no banned network; a unix socket's is empty, and in none.

        Raises:
            Banned
        """
        if not address or not self._networks:
            return
        number = plain_address(address)
        for (version, bits), count in self._sizes.items():
            if count and version == number.version:
                found = self._networks.get(ip_network((number, bits), strict=False))
                self._check(found, "Your address")

    def hits(self, ban: Ban, key: Key | None, address: str) -> bool:
        """Whether a ban is about somebody; ``key`` None is somebody without a name yet."""
        network = read_network(ban.target)
        if network is None:
            return key == ban.target
        return bool(address) and plain_address(address) in network

    # Mutes.

    def mute(self, mute: Mute) -> None:
        """Let somebody not talk in a channel for some time."""
        self._mutes[mute.room, mute.key] = mute.until

    def unmute(self, room: ChannelName, key: Key) -> bool:
        """Let somebody talk again; whether he could not."""
        return self._lasts(self._mutes.pop((room, key), -1.0))

    def muted_until(self, room: ChannelName, key: Key) -> float:
        """Until when somebody may not talk in a channel; 0 if he may."""
        until = self._mutes.get((room, key), 0.0)
        return until if until > self._clock.seconds() else 0.0

    def check_talk(self, room: ChannelName, key: Key) -> None:
        """See that somebody may talk in a channel.

        Raises:
            StillMuted
        """
        if self._mutes and (until := self.muted_until(room, key)):
            raise StillMuted(int(until - self._clock.seconds()))

    def forget_over(self) -> tuple[list[str], list[tuple[ChannelName, Key]]]:
        """Forget what is over; return it, for the store: targets of bans, and mutes."""
        targets = [ban.target for ban in self._bans.values() if not self._lasts(ban.until)]
        mutes = [which for which, until in self._mutes.items() if not self._lasts(until)]
        for target in targets:
            self.unban(target)
        for which in mutes:
            del self._mutes[which]
        return targets, mutes

    def _lasts(self, until: float) -> bool:
        return not until or until > self._clock.seconds()

    def _check(self, ban: Ban | None, who: str) -> None:
        if ban is not None and self._lasts(ban.until):
            left = spell(ban.until - self._clock.seconds()) if ban.until else ""
            raise Banned(who, left, ban.reason)
