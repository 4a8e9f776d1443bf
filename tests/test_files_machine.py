"""Files, whatever people do in whatever order: what always holds."""

from collections import Counter
from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.task import Clock

from chatd.domain.errors import ChatError
from chatd.domain.events import TicketGiven, Way
from chatd.domain.names import Key
from chatd.domain.session import Session
from chatd.domain.transfers import Claim, hash_of
from tests.fakes import FILE_RULES, World, result_of, sent_to, spawn
from tests.sending import SUM, file_store, files_world, restarted, words
from tests.stored import everybody_goes

PEOPLE = ("alice", "bob", "carol")
RULES = attrs.evolve(
    FILE_RULES, file_bytes=100, user_bytes=150, total_bytes=200, user_files=3, spare_bytes=0
)

HOURS = {"hour": 1, "day": 24, "week": 168}

people = st.sampled_from(PEOPLE)
sizes = st.integers(0, 110)
numbers = st.integers(0, 3)


class Post(RuleBasedStateMachine):
    """Three people in a group, small quotas, a slow store, and a server that may restart."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.world: World = files_world(self.clock)
        self.world.hub.files.rules = RULES
        self.online: dict[str, Session] = {}
        self.tickets: list[tuple[str, TicketGiven]] = []
        self.claims: list[Claim] = []
        self.cut: list[Claim] = []
        for name in PEOPLE:
            self.login(name)
        self.types("alice", "create team bob carol")

    def turn(self) -> None:
        """Deliver everything, and take up the tickets."""
        self.world.turn()
        for name, session in self.online.items():
            for one in words(sent_to(session)):
                if isinstance(one, TicketGiven):
                    self.tickets.append((name, one))

    def types(self, who: str, line: str) -> None:
        """Let somebody type a line, who comes for it if he must."""
        self.login(who)
        self.online[who].receive(line)
        self.turn()

    @rule(who=people)
    def login(self, who: str) -> None:
        """Come."""
        if who not in self.online:
            self.online[who] = self.world.login(who)
            self.turn()

    @rule(who=people)
    def logout(self, who: str) -> None:
        """Go."""
        if who in self.online:
            spawn(self.online.pop(who).lost())
            self.turn()

    @rule(who=people, to=st.sampled_from((*PEOPLE, "@team")), size=st.none() | sizes)
    def send(self, who: str, to: str, size: int | None) -> None:
        """Announce a file."""
        self.types(who, f"send {to} x.iso{'' if size is None else f' {size}'}")

    @rule(who=people, verb=st.sampled_from(("get", "cancel")), number=st.integers(1, 6))
    def about(self, who: str, verb: str, number: int) -> None:
        """Ask for a ticket, or change one's mind."""
        newest = max(self.world.store.last_file, 1)
        self.types(who, f"{verb} {max(1, newest - number + 1)}")

    @rule(who=people, verb=st.sampled_from(("block", "unblock")), other=people)
    def block(self, who: str, verb: str, other: str) -> None:
        """Hear somebody no more, or again."""
        self.types(who, f"{verb} {other}")

    @rule(who=people, verb=st.sampled_from(("leave", "expel bob", "add bob", "add carol")))
    def group(self, who: str, verb: str) -> None:
        """Change who is in the group."""
        self.types(who, "enter team")
        self.types(who, verb)

    @rule(which=numbers, way=st.sampled_from(Way), swap=st.sampled_from((False,) * 7 + (True,)))
    def come(self, which: int, way: Way, swap: bool) -> None:
        """Come to the files port with one of the last tickets; ``swap``: for the other way."""
        fit = [(name, given) for name, given in self.tickets if (given.way is way) != swap]
        if not fit:
            return
        name, given = fit[-1 - which % len(fit)]
        made: list[Claim] = []

        async def come() -> None:
            try:
                claim = await self.world.hub.files.claim(
                    given.ticket, way, lambda: self.cut.append(made[0])
                )
            except ChatError:
                return
            assert not swap
            assert (claim.key, claim.way, claim.transfer.id) == (name, way, given.number)
            made.append(claim)

        done = spawn(come())
        assert done.called
        self.claims += made

    @rule(who=people, to=st.sampled_from((*PEOPLE, "@team", "@team")), size=st.integers(1, 60))
    def post(self, who: str, to: str, size: int) -> None:
        """Announce a file and send all of it."""
        before = len(self.tickets)
        self.send(who, to, None)
        if len(self.tickets) > before:
            self.come(0, Way.PUT, False)
            last = len([claim for claim in self.claims if claim.way is Way.PUT]) - 1
            self.begin(last, 0, None)
            self.take(last, size, False)
            self.end(last, True, None, "")

    @rule(which=numbers, share=st.sampled_from((1, 2, 2)))
    def fetch(self, which: int, share: int) -> None:
        """Fetch half of a file, or all of it."""
        before = len(self.claims)
        self.come(which, Way.GET, False)
        if len(self.claims) > before:
            self.give(len([claim for claim in self.claims if claim.way is Way.GET]) - 1, 0, share)

    def claimed(self, which: int, way: Way) -> Claim | None:
        """One of those who send or fetch."""
        fit = [claim for claim in self.claims if claim.way is way]
        return fit[which % len(fit)] if fit else None

    @rule(which=numbers, back=st.sampled_from((0, 0, 5, 99, -1)), size=st.none() | sizes)
    def begin(self, which: int, back: int, size: int | None) -> None:
        """Begin to send, or go on from where it stopped, or from some bytes before that."""
        claim = self.claimed(which, Way.PUT)
        if claim is not None and not claim.begun:
            offset = max(0, claim.parcel.received - back)
            try:
                self.world.hub.files.begin(claim, offset, size)
            except ChatError:
                return
            self.world.spool.files[claim.transfer.spool] = offset

    @rule(which=numbers, count=sizes, rest=st.booleans())
    def take(self, which: int, count: int, rest: bool) -> None:
        """Send some bytes, or the rest."""
        claim = self.claimed(which, Way.PUT)
        if claim is not None and claim.begun:
            if rest and claim.transfer.size is not None:
                count = max(0, claim.transfer.size - claim.parcel.received)
            try:
                self.world.hub.files.took(claim, count)
            except ChatError:
                return
            self.world.spool.files[claim.transfer.spool] += count

    @rule(
        which=numbers,
        whole=st.sampled_from((True, True, True, False)),
        wrong=st.sampled_from((None, None, None, None, "Eicar")),
        meanwhile=st.sampled_from(("", "", "", "", "cancel", "decline", "store")),
    )
    def end(self, which: int, whole: bool, wrong: str | None, meanwhile: str) -> None:
        """Have sent everything, or break off; and maybe something else happens meanwhile."""
        claim = self.claimed(which, Way.PUT)
        if claim is None:
            return
        self.claims.remove(claim)
        size = self.world.spool.files.get(claim.transfer.spool, 0)
        whole = whole and claim.begun and claim.transfer.size in {None, size}
        self.world.wrong = wrong
        if meanwhile == "store":
            file_store(self.world).full = True
        elif meanwhile:
            file_store(self.world).slow = frozenset({"set_transfer", "remove_transfer"})

        async def end() -> None:
            try:
                if whole:
                    await self.world.hub.files.finish(claim, size, SUM)
            except ChatError:
                pass
            finally:
                await self.world.hub.files.release(claim, size)

        done = spawn(end())
        if meanwhile in {"cancel", "decline"}:
            others = [claim.transfer.sender] if meanwhile == "cancel" else claim.parcel.offers
            for who in list(others):
                self.types(who, f"cancel {claim.transfer.id}")
        file_store(self.world).full = False
        file_store(self.world).proceed()
        assert done.called
        self.turn()

    @rule(which=numbers, start=st.sampled_from((0, 0, 0, 30)), share=st.sampled_from((0, 1, 2, 2)))
    def give(self, which: int, start: int, share: int) -> None:
        """Have fetched a part of a file, or all of it."""
        claim = self.claimed(which, Way.GET)
        if claim is not None:
            self.claims.remove(claim)
            end = max(start, (claim.transfer.size or 0) * share // 2)
            result_of(self.world.hub.files.gave(claim, start, end))
            self.turn()

    @rule(who=people, what=st.sampled_from(("hour", "day", "week", "vanish", "restart", *"....")))
    def rarely(self, who: str, what: str) -> None:
        """Let time pass; or somebody lose his account; or begin again from store and disk."""
        if what in HOURS:
            self.clock.advance(HOURS[what] * 3600)
            result_of(self.world.hub.files.forget_over())
        elif what == "vanish":
            result_of(self.world.hub.files.forget(Key(who)))
            parcels = self.world.hub.files._parcels.values()
            assert all(Key(who) not in {p.transfer.sender, *p.offers} for p in parcels)
        elif what == "restart":
            everybody_goes(self.world)
            self.online.clear()
            self.claims.clear()
            self.cut.clear()
            self.world = restarted(self.world)
            self.world.hub.files.rules = RULES
        self.turn()

    @invariant()
    def store_is_memory(self) -> None:
        """What the server knows is what the store has."""
        parcels = self.world.hub.files._parcels
        known = [
            (parcel.transfer, tuple(offer for _, offer in sorted(parcel.offers.items())))
            for _, parcel in sorted(parcels.items())
        ]
        assert known == self.world.store.transfers()

    @invariant()
    def tickets_are_stored(self) -> None:
        """The tickets that are good are those that the store has the hashes of."""
        stored: dict[str, tuple[int, str, Way]] = {}
        for transfer, offers in self.world.store.transfers():
            stored[transfer.ticket] = (transfer.id, transfer.sender, Way.PUT)
            for offer in offers:
                stored[offer.ticket] = (transfer.id, offer.key, Way.GET)
        stored.pop("", None)
        good = {
            hashed: (parcel.transfer.id, key, way)
            for hashed, (parcel, key, way) in self.world.hub.files._tickets.items()
        }
        assert good == stored
        given = {hash_of(one.ticket): (one.number, name, one.way) for name, one in self.tickets}
        assert all(given.get(hashed, whose) == whose for hashed, whose in good.items())

    @invariant()
    def quotas_hold(self) -> None:
        """Each has on the way what his files have, and nobody more than he may."""
        files = self.world.hub.files
        taken: Counter[Key] = Counter()
        for parcel in files._parcels.values():
            taken[parcel.transfer.sender] += parcel.bytes
            assert parcel.bytes <= RULES.file_bytes
        assert files._taken == +taken
        assert all(count > 0 for count in files._taken.values())
        assert all(count <= RULES.user_bytes for count in taken.values())
        assert taken.total() <= RULES.total_bytes
        senders = Counter(parcel.transfer.sender for parcel in files._parcels.values())
        assert all(count <= RULES.user_files for count in senders.values())

    @invariant()
    def disk_is_in_order(self) -> None:
        """On the disk is nothing but files on their way, and those that are here as a whole."""
        parcels = self.world.hub.files._parcels.values()
        spool = self.world.spool.files
        # What is written after a file is gone its upload removes, at its end.
        late = {claim.transfer.spool for claim in self.claims}
        assert spool.keys() - late <= {parcel.transfer.spool for parcel in parcels}
        for parcel in parcels:
            assert parcel.received == spool.get(parcel.transfer.spool, 0)
            assert not parcel.complete or parcel.received == parcel.transfer.size
            assert parcel.offers

    @invariant()
    def claims_are_few(self) -> None:
        """Nobody does the same twice at once; what is cut is cut once, and over."""
        busy = [
            claim
            for parcel in self.world.hub.files._parcels.values()
            for claim in parcel.busy.values()
        ]
        assert len({(claim.transfer.id, claim.key) for claim in busy}) == len(busy)
        assert len({id(claim) for claim in self.cut}) == len(self.cut)
        assert not {id(claim) for claim in busy} & {id(claim) for claim in self.cut}
        for claim in busy:
            assert claim in self.claims
            assert self.world.hub.files._belongs(claim.parcel, claim.key)

    def teardown(self) -> None:
        """Send everybody away."""
        everybody_goes(self.world)
        assert self.clock.getDelayedCalls() == []


TestPost: Any = Post.TestCase
TestPost.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
