"""What the tests of operators share: an operator, people around her, and what they read."""

from typing import Final

import attrs

from chatd.domain.events import Announced, Event, Joined, Left, Welcomed
from chatd.domain.names import EVERYONE, ChannelName, Name
from chatd.domain.records import Role
from chatd.domain.session import Session
from tests.fakes import World, sent_to, wire

GENERAL, WORK = ChannelName("general"), ChannelName("work")
BOB: Final = Name("bob")


@attrs.frozen
class People:
    """Olga, an operator, alice and bob in a channel for three, carol in its queue, dave outside."""

    olga: Session
    alice: Session
    bob: Session
    carol: Session
    dave: Session

    def quiet(self) -> None:
        """Forget what everybody was sent so far."""
        for one in (self.olga, self.alice, self.bob, self.carol, self.dave):
            sent_to(one)


def gather(world: World) -> People:
    """Let everybody be where he is to be, and forget what was told so far."""
    world.account("olga", role=Role.OPERATOR)
    general = world.channel("general", capacity=3)
    world.channel("work")
    people = People(
        olga=world.login("olga", general),
        alice=world.login("alice", general),
        bob=world.login("bob", general),
        carol=world.login("carol", general),
        dave=world.login("dave"),
    )
    people.quiet()
    return people


def left(name: str, at: float = 0.0) -> bytes:
    """How the channel general reads that somebody is gone."""
    return wire(Left(GENERAL, Name(name), at))


def joined(name: str, at: float = 0.0) -> bytes:
    """How the channel general reads that somebody came."""
    return wire(Joined(GENERAL, Name(name), at))


def announced(text: str, at: float = 0.0) -> bytes:
    """How everybody online reads the server's words."""
    return wire(Announced(EVERYONE, text, at))


def came_in(name: str, at: float = 0.0) -> list[bytes | Event]:
    """What somebody is told who gets into the channel general."""
    return [Welcomed(Name(name), GENERAL, "chatd", at), joined(name, at)]
