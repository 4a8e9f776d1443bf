"""What is different between two configurations, said in plain sentences."""

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from chatd.changes import differences, in_force
from chatd.config import Accounts, Channel, Config, Door, Files, Limits, Log, Store, setting
from chatd.domain.names import Key

GENERAL, RANDOM, WORK = (
    Channel(name, (f"tcp:{port}",)) for port, name in enumerate(("general", "random", "work"), 5001)
)
LOBBY = Door("line", ("tcp:5000",))
BEFORE = Config(channels=(GENERAL, RANDOM), doors=(LOBBY,))


@attrs.frozen
class Settings:
    """Those of some kind of door."""

    tries: int = setting(3, "how often")


def changed(moved: dict[Key, int] | None = None, **new: Any) -> list[str]:
    """What is told when these settings of a configuration are others."""
    return list(differences(BEFORE, attrs.evolve(BEFORE, **new), moved or {}))


def test_nothing() -> None:
    """Two configurations that are alike differ in nothing."""
    assert changed() == ["Nothing has changed."]


def test_settings() -> None:
    """Every setting is told with its old and its new value, as it stands in a file."""
    assert changed(
        name="other",
        accounts=Accounts(guests=True, operators=("alice", "bob")),
        store=Store(keep_days=30),
        files=Files(user_files=5, scan="true"),
        limits=Limits(burst=100, lines_per_second=0.5),
    ) == [
        'name: "chatd", now "other"',
        "accounts.guests: false, now true",
        'accounts.operators: [], now ["alice", "bob"]',
        "store.keep_days: 365, now 30",
        "files.user_files: 20, now 5",
        'files.scan: "", now "true"',
        "limits.lines_per_second: 10, now 0.5",
        "limits.burst: 50, now 100",
    ]


def test_what_takes_a_start() -> None:
    """What a running server can't change is told to wait, and is not in force."""
    new: Any = {"state": "/srv", "store": Store("sqlite:///b.db"), "log": Log("json", "log")}
    assert changed(**new) == [
        "state: takes effect at the next start",
        "store.url: takes effect at the next start",
        "log.format: takes effect at the next start",
        "log.file: takes effect at the next start",
    ]
    assert in_force(BEFORE, attrs.evolve(BEFORE, **new)) == BEFORE


def test_channels() -> None:
    """A channel is opened, closed with its people, or different in some of its settings."""
    other = attrs.evolve(GENERAL, capacity=5, listen=("tcp:1", "tcp:2"), history=False)
    assert changed({Key("random"): 3}, channels=(other, WORK)) == [
        "channel random: closed; 3 people are in the lobby now",
        'channel general, listen: "tcp:5001", now ["tcp:1", "tcp:2"]',
        "channel general, capacity: 100, now 5",
        "channel general, history: true, now false",
        "channel work: opened on tcp:5003",
    ]
    assert changed({Key("random"): 1}, channels=(GENERAL,)) == [
        "channel random: closed; 1 person is in the lobby now"
    ]
    assert changed(channels=(GENERAL,)) == ["channel random: closed"]


def test_order_of_channels() -> None:
    """Another order of the channels is told, whatever comes between them."""
    assert changed(channels=(WORK, GENERAL, RANDOM)) == ["channel work: opened on tcp:5003"]
    assert changed(channels=(RANDOM, GENERAL)) == [
        "channels: their order is random, general now",
    ]


def test_name_of_a_channel_in_another_case() -> None:
    """A channel in another case is the same one, and keeps its name until the next start."""
    shouted = attrs.evolve(BEFORE, channels=(attrs.evolve(GENERAL, name="GENERAL"), RANDOM))
    assert differences(BEFORE, shouted, {}) == (
        "channel general, name: takes effect at the next start",
    )
    assert in_force(BEFORE, shouted) == BEFORE


def test_doors() -> None:
    """A door is opened, closed, or different in where it listens or in its own settings."""
    shell = Door("shell", ("tcp:22",), Settings())
    before = attrs.evolve(BEFORE, doors=(LOBBY, shell))
    for doors, told in {
        (LOBBY,): ["door shell: closed on tcp:22"],
        (shell, LOBBY): ["Nothing has changed."],
        (LOBBY, attrs.evolve(shell, settings=Settings(5))): ["door shell, tries: 3, now 5"],
        (attrs.evolve(LOBBY, listen=("tcp:1",)), shell): [
            'door line, listen: "tcp:5000", now "tcp:1"'
        ],
        (LOBBY, LOBBY, shell): ["door line: opened on tcp:5000"],
    }.items():
        assert list(differences(before, attrs.evolve(before, doors=doors), {})) == told


def test_default_settings_of_a_door() -> None:
    """A door of the defaults is the same as one in a file that says no more of it."""
    written = attrs.evolve(LOBBY, settings=Settings())
    assert changed(doors=(written,)) == ["Nothing has changed."]
    assert changed(doors=(attrs.evolve(written, listen=("tcp:1",)),)) == [
        'door line, listen: "tcp:5000", now "tcp:1"'
    ]


def test_certificates() -> None:
    """A certificate is read again also where nothing else is different, and that is told."""
    listen = ("ssl:5443:privateKey=key.pem", "tcp:5000")
    config = attrs.evolve(BEFORE, doors=(Door("line", listen),))
    told = ("ssl:5443:privateKey=key.pem: its certificate was read again",)
    assert differences(config, config, {}) == told
    assert differences(BEFORE, config, {}) == (
        f'door line, listen: "tcp:5000", now ["{listen[0]}", "tcp:5000"]',
    )


channels = st.lists(
    st.builds(
        Channel,
        st.sampled_from(("general", "General", "random", "work")),
        st.just(("tcp:0",)),
        st.integers(1, 2),
    ),
    unique_by=lambda channel: channel.name.casefold(),
).map(tuple)
configs = st.builds(
    Config,
    state=st.sampled_from(("", "/srv")),
    channels=channels,
    doors=st.lists(st.builds(Door, st.sampled_from(("line", "shell")))).map(tuple),
)


@given(configs, configs)
def test_in_force(old: Config, new: Config) -> None:
    """What is in force differs from the new one in nothing but what waits for the next start."""
    now = in_force(old, new)
    left = differences(now, new, {})
    assert all("takes effect at the next start" in line for line in left) or left == (
        "Nothing has changed.",
    )
    assert in_force(now, new) == now
