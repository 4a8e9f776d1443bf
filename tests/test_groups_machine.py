"""Groups, whatever people do in whatever order: what always holds."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from chatd.domain.events import Mailed, Said
from chatd.domain.names import Key, Name, group_room, key_of, read_group_name
from chatd.domain.records import StoredGroup
from chatd.domain.rooms import Group
from chatd.domain.session import Session
from tests.fakes import World, sent_to, spawn
from tests.memory import MemoryStore
from tests.stored import everybody_goes, now, slow_store, stored_world

PEOPLE = ("alice", "bob", "carol", "dave")
GROUPS = ("team", "club")
VERBS = ("approve", "reject", "add", "expel", "forbid", "allow", "transfer")

people, groups = st.sampled_from(PEOPLE), st.sampled_from(GROUPS)


class Community(RuleBasedStateMachine):
    """Four people, two groups, a store that may fail, and a server that may restart."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.world: World = stored_world(self.clock, groups_each=2)
        for name in PEOPLE:
            self.world.account(name)
        self.online: dict[str, Session] = {}
        self.may_hear: dict[str, set[str]] = {name: set() for name in PEOPLE}
        self.count = 0

    def turn(self) -> None:
        """Deliver everything, and see that nobody was told a line of a group that isn't his."""
        self.world.turn()
        for name, session in self.online.items():
            for event in sent_to(session):
                lines = event.lines if isinstance(event, Mailed) else ()
                texts = {str(line.text) for line in lines if line.room[0] == "@"}
                if isinstance(event, bytes) and event.startswith(b"Said("):
                    texts = {event.split(b"text='")[1].split(b"'")[0].decode()}
                assert texts <= self.may_hear[name]

    def does(self, who: str, *lines: str) -> None:
        """Let somebody who is online type lines."""
        if who in self.online:
            for line in lines:
                self.online[who].receive(line)
            self.turn()

    @rule(who=people)
    def login(self, who: str) -> None:
        """Come."""
        if who not in self.online:
            self.online[who] = self.world.connect()
            self.does(who, f"login {who}|secret")

    @rule(who=people)
    def logout(self, who: str) -> None:
        """Go."""
        if who in self.online:
            session = self.online.pop(who)
            spawn(session.lost())
            self.turn()

    @rule(who=people, group=groups, members=st.sets(people, max_size=2))
    def create(self, who: str, group: str, members: set[str]) -> None:
        """Make a group."""
        self.does(who, f"create {group} {' '.join(sorted(members))}")

    @rule(who=people, group=groups)
    def enter(self, who: str, group: str) -> None:
        """Talk there, or ask to."""
        self.does(who, f"enter {group}")

    @rule(who=people, group=groups, verb=st.sampled_from(VERBS), whom=people)
    def act(self, who: str, group: str, verb: str, whom: str) -> None:
        """Do what is the admin's to do, or try to."""
        self.does(who, f"enter {group}", f"{verb} {whom}")

    @rule(group=groups, verb=st.sampled_from(VERBS), whom=people)
    def admin_rules(self, group: str, verb: str, whom: str) -> None:
        """Do what is the admin's to do, as the admin."""
        for one in self.stored():
            if one.name == group:
                self.login(one.admin)
                self.act(one.admin, group, verb, whom)

    @rule(who=people, group=groups)
    def leave(self, who: str, group: str) -> None:
        """Be no member any more."""
        self.does(who, f"enter {group}", "leave")

    @rule(who=people, group=groups)
    def say(self, who: str, group: str) -> None:
        """Say something that only the members of this moment may ever hear."""
        self.count += 1
        text = f"line{self.count}"
        members = [one.members for one in self.stored() if one.name == group]
        for name in members[0] if members else ():
            self.may_hear[name].add(text)
        self.does(who, f"group {group} {text}")

    @rule(who=people, group=groups, whom=people, verb=st.sampled_from((*VERBS, "create", "leave")))
    def failing(self, who: str, group: str, whom: str, verb: str) -> None:
        """Try to change something that can't be stored."""
        before = self.stored()
        publisher, observers = globalLogPublisher, list(globalLogPublisher._observers)
        for observer in observers:  # the failure is meant
            publisher.removeObserver(observer)
        self.world.store.broken = True
        self.does(
            who, f"enter {group}", f"create {group}" if verb == "create" else f"{verb} {whom}"
        )
        self.world.store.broken = False
        for observer in observers:
            publisher.addObserver(observer)
        assert self.stored() == before

    @rule()
    def restart(self) -> None:
        """Stop, and begin again from the store."""
        everybody_goes(self.world)
        self.online.clear()
        self.world = stored_world(self.clock, slow_store(self.world), groups_each=2)

    def stored(self) -> list[StoredGroup]:
        """The groups of the store."""
        return sorted(now(MemoryStore.groups(self.world.store)), key=lambda one: one.name)

    def known(self) -> list[Group]:
        """The groups of the hub."""
        rooms = (group_room(read_group_name(name)) for name in GROUPS)
        found = (self.world.hub.groups.room(room) for room in rooms)
        return sorted((group for group in found if group is not None), key=lambda one: one.name)

    @invariant()
    def one_admin_who_is_a_member(self) -> None:
        """A group has an admin, and that is a member."""
        assert all(group.admin in group.members for group in self.known())

    @invariant()
    def one_standing_each(self) -> None:
        """Nobody is a member and asks to be one, or is forbidden to be."""
        for group in self.known():
            everybody = [*group.members, *group.requests, *group.forbidden]
            assert len(everybody) == len(set(everybody))

    @invariant()
    def store_is_memory(self) -> None:
        """What the hub knows is what the store has."""
        assert [self._as_stored(group) for group in self.known()] == self.stored()
        for name in PEOPLE:
            mine = self.world.hub.groups.of(Key(name))
            assert set(mine) == {key_of(g.name) for g in self.known() if Key(name) in g.members}

    @invariant()
    def members_hear(self) -> None:
        """Those who hear a group are its members who are online."""
        for group in self.known():
            links = [self.online[name].link for name in self.online if Key(name) in group.members]
            assert len(group.audience) == len(links)
            assert all(link in group.audience for link in links)

    def _as_stored(self, group: Group) -> StoredGroup:
        def names(those: dict[Key, Name]) -> tuple[Name, ...]:
            return tuple(sorted(those.values()))

        lines: list[Said] = self.world.store.lines.get(group.room, [])
        return StoredGroup(
            group.name,
            group.admin,
            names(group.members),
            names(group.requests),
            names(group.forbidden),
            max((line.seq for line in lines), default=0),
        )

    def teardown(self) -> None:
        """Send everybody away."""
        everybody_goes(self.world)
        assert self.clock.getDelayedCalls() == []


TestCommunity: Any = Community.TestCase
TestCommunity.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
