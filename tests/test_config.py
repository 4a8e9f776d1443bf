"""The configuration: what is read from a file, and what is said of every mistake in one."""

from textwrap import dedent
from typing import ClassVar

import attrs
import pytest

from chatd.config import (
    Accounts,
    Channel,
    Config,
    Door,
    Files,
    Limits,
    Log,
    Store,
    at_least,
    setting,
)
from chatd.configfile import ConfigError, load, sample


@attrs.frozen
class Plain:
    """A door without settings of its own."""


@attrs.frozen
class Tuned:
    """A door with a setting of its own."""

    PORT: ClassVar = 5022
    tempo: int = setting(1, "how fast", at_least(1))


@attrs.frozen
class Keyed:
    """A door with a setting that has no default. It is shown with an example."""

    key: str = setting(attrs.NOTHING, "whose", example="mine")


def unavailable() -> type:
    """A door whose library isn't there."""
    raise ImportError("No module named 'harp'")


KINDS = {"line": lambda: Plain, "files": lambda: Plain, "tuned": lambda: Tuned, "harp": unavailable}


def read(text: str, host: str | None = None) -> Config:
    """Load the text of a file."""
    return load("chatd.toml", dedent(text), KINDS, host=host)


def mistakes(text: str, host: str | None = None) -> list[str]:
    """What is said of a file, a line each."""
    with pytest.raises(ConfigError) as raised:
        read(text, host)
    return str(raised.value).splitlines()


def test_nothing_configured() -> None:
    """An empty file is the defaults: three channels, a lobby and files, on loopback."""
    config = read("")
    assert config == Config()
    assert [(c.name, c.listen) for c in config.channels] == [
        ("general", ("tcp:5001",)),
        ("random", ("tcp:5002",)),
        ("help", ("tcp:5003",)),
    ]
    assert config.doors == (Door("line", ("tcp:5000",)), Door("files", ("tcp:5080",)))
    assert config.endpoint("tcp:5001") == "tcp:5001:interface=127.0.0.1"


def test_everything_configured() -> None:
    """Every setting of a file is read."""
    config = read(
        """
        name = "talk"
        state = "/srv/talk"
        host = "::"

        [accounts]
        register = "closed"
        guests = true
        operators = ["alice", "bob"]
        session = "replace"
        broadcast = "everyone"
        groups = 3
        mailbox = 50
        members = "members.txt"
        password_length = 8
        bcrypt_cost = 12
        lockout_tries = 5
        lockout_seconds = 120

        [store]
        url = "sqlite:////srv/talk.db"
        keep_days = 7
        keep_lines = 100

        [files]
        file_bytes = 1
        user_bytes = 2
        total_bytes = 3
        spare_bytes = 4
        user_files = 5
        expire_hours = 6
        ticket_minutes = 7
        scan = "clamdscan --no-summary"
        host = "files.example.org"

        [log]
        format = "json"
        file = "chatd.log"

        [[channel]]
        name = "work"
        listen = ["tcp:6001", "unix:/run/work"]
        capacity = 5
        afk_seconds = 0
        history = false

        [[door]]
        kind = "tuned"
        listen = "tcp:6000"
        tempo = 3

        [limits]
        connections = 1
        connections_per_address = 2
        login_seconds = 3
        line_bytes = 4
        lines_per_second = 0.5
        burst = 6
        waiting_requests = 7
        waiting_logins = 8
        backlog_bytes = 9
        history_lines = 10
        history_reads = 11
        journal_bytes = 12
        """
    )
    assert config == Config(
        name="talk",
        state="/srv/talk",
        host="::",
        accounts=Accounts(
            register="closed",
            guests=True,
            operators=("alice", "bob"),
            session="replace",
            broadcast="everyone",
            groups=3,
            mailbox=50,
            members="members.txt",
            password_length=8,
            bcrypt_cost=12,
            lockout_tries=5,
            lockout_seconds=120,
        ),
        store=Store("sqlite:////srv/talk.db", 7, 100),
        files=Files(1, 2, 3, 4, 5, 6, 7, "clamdscan --no-summary", "files.example.org"),
        log=Log("json", "chatd.log"),
        channels=(Channel("work", ("tcp:6001", "unix:/run/work"), 5, 0, False),),
        doors=(Door("tuned", ("tcp:6000",), Tuned(3)),),
        limits=Limits(1, 2, 3, 4, 0.5, 6, 7, 8, 9, 10, 11, 12),
    )


def test_sample_is_the_defaults() -> None:
    """The sample file shows every default as it is: loading it changes nothing."""
    assert read(sample({"tuned": Tuned, "harp": "no strings"})) == attrs.evolve(
        Config(),
        doors=(Door("line", ("tcp:5000",), Plain()), Door("files", ("tcp:5080",), Plain())),
    )


def test_sample_of_the_files_door() -> None:
    """A door of the defaults is shown with the settings of its kind, where they are known."""
    shown = sample({"files": Tuned})
    assert (
        "\n# A door with a setting of its own.\n"
        '[[door]]\nkind = "files"\nlisten = "tcp:5080"\n'
        "tempo = 1                            # how fast\n"
    ) in shown
    assert read(shown.replace("\ntempo = 1 ", "\n# ")) == read(sample({}))


def test_sample_of_other_doors() -> None:
    """A door that isn't in the defaults is shown as a comment, which is a door without its #."""
    plain = sample({})
    shown = sample({"tuned": Tuned, "harp": "no strings", "keyed": Keyed})
    before, after = plain.split("\n# What nobody may exceed")
    added = shown.removeprefix(before).partition("\n# What nobody may exceed")[0]
    assert shown == f"{before}{added}\n# What nobody may exceed{after}"
    assert [line.partition(" # ")[0].rstrip() for line in added.splitlines()] == [
        "",
        "# A door of the kind harp can't be used here: no strings.",
        "",
        "# A door with a setting that has no default.",
        "# [[door]]",
        '# kind = "keyed"',
        '# listen = "tcp:0"',
        '# key = "mine"',
        "",
        "# A door with a setting of its own.",
        "# [[door]]",
        '# kind = "tuned"',
        '# listen = "tcp:5022"',
        "# tempo = 1",
    ]
    door = "\n".join(line.removeprefix("# ") for line in added.splitlines()[10:])
    assert read(door).doors == (Door("tuned", ("tcp:5022",), Tuned()),)


def test_setting_without_a_default() -> None:
    """A setting of a door that has no default must be there, and right."""
    kinds = {"keyed": lambda: Keyed}
    text = '[[door]]\nkind = "keyed"\nlisten = "tcp:1"\n'
    assert load("chatd.toml", text + 'key = "a"', kinds).doors[0].settings == Keyed("a")
    for line, told in (
        ("", "chatd.toml:1: door.0.key: is missing"),
        ("key = 1", "chatd.toml:4: door.0.key: must be a string, not 1"),
    ):
        with pytest.raises(ConfigError, match=f"^{told}$"):
            load("chatd.toml", text + line, kinds)


def test_host_of_the_command_line() -> None:
    """An address on the command line goes before the file's, and is checked like it."""
    assert read('host = "10.0.0.1"', host="0.0.0.0").host == "0.0.0.0"
    assert mistakes("", host="localhost") == [
        'chatd.toml: host: is "localhost", but must be an IP address, as 127.0.0.1 or ::1'
    ]


@pytest.mark.parametrize(
    ("host", "listen", "endpoint"),
    [
        ("127.0.0.1", "tcp:5000", "tcp:5000:interface=127.0.0.1"),
        ("::1", "TCP:5000", r"TCP:5000:interface=\:\:1"),
        ("0.0.0.0", "tcp:5000:interface=10.0.0.1", "tcp:5000:interface=10.0.0.1"),
        ("127.0.0.1", "tcp6:5000", "tcp6:5000:interface=127.0.0.1"),
        ("127.0.0.1", "haproxy:tcp:5000", "haproxy:tcp:5000:interface=127.0.0.1"),
        ("127.0.0.1", "tls:/etc/certs:443", "tls:/etc/certs:443:interface=127.0.0.1"),
        ("0.0.0.0", "unix:/run/chatd", "unix:/run/chatd"),
        ("0.0.0.0", "systemd:domain=INET:name=line", "systemd:domain=INET:name=line"),
    ],
)
def test_interface_of_an_endpoint(host: str, listen: str, endpoint: str) -> None:
    """An endpoint listens at the configured address unless it names another or has none."""
    assert Config(host=host).endpoint(listen) == endpoint


def test_interface_of_a_door() -> None:
    """A kind of door may have a host of its own, which the configuration's doesn't open."""

    @attrs.frozen
    class Shut:
        HOST: ClassVar = "127.0.0.1"

    listen = Config(host="0.0.0.0").endpoint("tcp:1", Shut())
    assert listen == "tcp:1:interface=127.0.0.1"
    assert Config().endpoint("tcp:1:interface=::", Shut()) == "tcp:1:interface=::"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("unix:/run/a", "unix:/run/a:mode=600"),
        ("unix:/run/a", "unix:address=/run/a"),
        ("haproxy:unix:/run/a", "unix:/run/a"),
    ],
)
def test_same_unix_socket(one: str, other: str) -> None:
    """A unix socket is one path, whatever else is said of it."""
    assert mistakes(f'[[door]]\nkind = "line"\nlisten = ["{one}", "{other}"]') == [
        f'chatd.toml:3: door.0.listen: "{other}": "{one}" listens there already'
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "', ["chatd.toml: Unterminated string (at end of document)"]),
        ("\nname = ]", ["chatd.toml:2: Invalid value (at line 2, column 8)"]),
        ('nmae = "x"', ['chatd.toml:1: nmae: unknown setting (did you mean "name"?)']),
        ('chanel = "x"', ['chatd.toml:1: chanel: unknown setting (did you mean "channel"?)']),
        ("zzz = 1", ["chatd.toml:1: zzz: unknown setting"]),
        ("name = 5", ["chatd.toml:1: name: must be a string, not 5"]),
        ('name = " "', ["chatd.toml:1: name: is empty"]),
        ('name = "a\\tb"', ["chatd.toml:1: name: has characters that can't be shown"]),
        ('state = "a\\u0000b"', ["chatd.toml:1: state: has characters that can't be shown"]),
        (
            'host = "example.org"',
            [
                'chatd.toml:1: host: is "example.org", but must be an IP address, '
                "as 127.0.0.1 or ::1"
            ],
        ),
        ("accounts = 5", ["chatd.toml:1: accounts: must be a table, [accounts]"]),
        (
            "[[accounts]]\nguests = true",
            ["chatd.toml:1: accounts: must be a table, [accounts]"],
        ),
        (
            '[accounts]\nguests = "yes"',
            ['chatd.toml:2: accounts.guests: must be true or false, not "yes"'],
        ),
        (
            'accounts.register = "opn"',
            [
                'chatd.toml:1: accounts.register: is "opn", but must be one of open, closed '
                '(did you mean "open"?)'
            ],
        ),
        (
            '[accounts]\nregister = "x"',
            ['chatd.toml:2: accounts.register: is "x", but must be one of open, closed'],
        ),
        (
            '[accounts]\noperators = ["al ice"]',
            [
                'chatd.toml:2: accounts.operators: has "al ice": '
                "A name is made of letters, digits, '_', '-' and '.' only."
            ],
        ),
        (
            '[accounts]\noperators = ["a", 1]',
            [
                "chatd.toml:2: accounts.operators: must be a string or a list of strings, "
                'not ["a", 1]'
            ],
        ),
        (
            '[accounts]\nbroadcast = "everybody"',
            [
                'chatd.toml:2: accounts.broadcast: is "everybody", but must be one of operators, '
                'everyone (did you mean "everyone"?)'
            ],
        ),
        (
            "[accounts]\ngroups = -1\nmailbox = -1",
            [
                "chatd.toml:2: accounts.groups: is -1, but must be at least 0",
                "chatd.toml:3: accounts.mailbox: is -1, but must be at least 0",
            ],
        ),
        (
            '[accounts]\nmembers = "a\\u0000b"',
            ["chatd.toml:2: accounts.members: has characters that can't be shown"],
        ),
        (
            "[files]\nfile_bytes = -1\nuser_files = -1\nexpire_hours = 0\nticket_minutes = 0",
            [
                "chatd.toml:2: files.file_bytes: is -1, but must be at least 0",
                "chatd.toml:3: files.user_files: is -1, but must be at least 0",
                "chatd.toml:4: files.expire_hours: is 0, but must be at least 1",
                "chatd.toml:5: files.ticket_minutes: is 0, but must be at least 1",
            ],
        ),
        (
            '[files]\nscan = "clamdscan \'x"',
            ["chatd.toml:2: files.scan: is no command: No closing quotation"],
        ),
        (
            '[files]\nscan = "a\\tb"',
            ["chatd.toml:2: files.scan: has characters that can't be shown"],
        ),
        (
            '[files]\nhost = "example.org; reboot"',
            [
                'chatd.toml:2: files.host: is "example.org; reboot", but must be a host name or '
                "an IP address"
            ],
        ),
        (
            '[accounts]\nmembers = ["a", "b"]',
            ['chatd.toml:2: accounts.members: must be a string, not ["a", "b"]'],
        ),
        (
            "[accounts]\nbcrypt_cost = 3",
            ["chatd.toml:2: accounts.bcrypt_cost: is 3, but must be from 4 to 15"],
        ),
        (
            "[accounts]\nlockout_tries = true",
            ["chatd.toml:2: accounts.lockout_tries: must be a whole number, not true"],
        ),
        (
            "[accounts]\nlockout_tries = 1.5",
            ["chatd.toml:2: accounts.lockout_tries: must be a whole number, not 1.5"],
        ),
        (
            "[accounts]\nlockout_tries = {}",
            ["chatd.toml:2: accounts.lockout_tries: must be a whole number, not a table"],
        ),
        (
            "[accounts]\nlockout_tries = 1979-05-27",
            ["chatd.toml:2: accounts.lockout_tries: must be a whole number, not 1979-05-27"],
        ),
        (
            '[store]\nurl = "postgres://db"',
            ['chatd.toml:2: store.url: is "postgres://db", but must be sqlite:///FILE'],
        ),
        (
            '[store]\nurl = "sqlite:///"',
            ['chatd.toml:2: store.url: is "sqlite:///", but must be sqlite:///FILE'],
        ),
        (
            '[log]\nformat = "jsn"',
            [
                'chatd.toml:2: log.format: is "jsn", but must be one of text, json '
                '(did you mean "json"?)'
            ],
        ),
        (
            "[limits]\nlines_per_second = nan",
            ["chatd.toml:2: limits.lines_per_second: is nan, but must be at least 0"],
        ),
        (
            "[limits]\nburst = 0",
            ["chatd.toml:2: limits.burst: is 0, but must be at least 1"],
        ),
        (
            "[limits]\nburst = 9223372036854775808",
            ["chatd.toml:2: limits.burst: must be a whole number, not 9223372036854775808"],
        ),
        (
            '[channel]\nname = "a"\nlisten = "tcp:1"',
            ["chatd.toml:1: channel: must be written [[channel]]"],
        ),
        ("channel = [1]", ["chatd.toml:1: channel: must be written [[channel]]"]),
        (
            "channel = []",
            ["chatd.toml: there is no [[channel]] and no [[door]]: nobody could get in"],
        ),
        (
            "\n[[channel]]\ncapacity = 0",
            [
                "chatd.toml:2: channel.0.name: is missing",
                "chatd.toml:2: channel.0.listen: is missing",
                "chatd.toml:3: channel.0.capacity: is 0, but must be at least 1",
            ],
        ),
        (
            '[[channel]]\nname = "a b"\nlisten = "tcp:1"',
            [
                'chatd.toml:2: channel.0.name: is "a b": '
                "A channel's name is made of letters, digits, '_', '-' and '.' only."
            ],
        ),
        (
            '[[channel]]\nname = "a"\nlisten = []',
            ["chatd.toml:3: channel.0.listen: is empty"],
        ),
        (
            '[[channel]]\nname = "Work"\nlisten = "tcp:1"\n'
            '[[channel]]\nname = "work"\nlisten = "tcp:2"',
            ['chatd.toml:5: channel.1.name: is "work", the name of another channel'],
        ),
        (
            '[[door]]\nlisten = "tcp:1"',
            ["chatd.toml:1: door.0.kind: is missing"],
        ),
        (
            '[[door]]\nkind = "lien"\nlisten = "tcp:1"',
            [
                'chatd.toml:2: door.0.kind: is "lien", but must be one of files, harp, line, tuned '
                '(did you mean "line"?)'
            ],
        ),
        (
            '[[door]]\nkind = 7\nlisten = "tcp:1"',
            ["chatd.toml:2: door.0.kind: is 7, but must be one of files, harp, line, tuned"],
        ),
        (
            '[[door]]\nkind = "harp"\nlisten = "tcp:1"',
            ["chatd.toml:2: door.0.kind: \"harp\" can't be used here: No module named 'harp'"],
        ),
        (
            '[[door]]\nkind = "tuned"\nlisten = "tcp:1"\ntepmo = 1\ntempo = 0',
            [
                'chatd.toml:4: door.0.tepmo: unknown setting (did you mean "tempo"?)',
                "chatd.toml:5: door.0.tempo: is 0, but must be at least 1",
            ],
        ),
    ],
)
def test_a_mistake(text: str, told: list[str]) -> None:
    """Each mistake is told with its line, its place and what would be right."""
    assert mistakes(text) == told


def test_number_too_long_for_python() -> None:
    """A number of thousands of digits is a mistake like any other."""
    (told,) = mistakes("name = " + "9" * 5000)
    assert told.startswith("chatd.toml: Exceeds the limit (4300 digits) for integer string")


def test_all_mistakes_at_once() -> None:
    """Whoever checks a file is told everything that is wrong with it, in the file's order."""
    assert mistakes(
        """\
        nam = "x"
        # a comment
        [limits]
        burst = 0

        [[channel]]
        name = "general"
        listen = "tcp:5001"

        [[channel]]
        name = "General"
        listen = "tcp:5001"

        [[door]]
        kind = "lin"
        """
    ) == [
        'chatd.toml:1: nam: unknown setting (did you mean "name"?)',
        "chatd.toml:4: limits.burst: is 0, but must be at least 1",
        'chatd.toml:11: channel.1.name: is "General", the name of another channel',
        'chatd.toml:12: channel.1.listen: "tcp:5001": "tcp:5001" listens there already',
        "chatd.toml:14: door.0.listen: is missing",
        'chatd.toml:15: door.0.kind: is "lin", but must be one of files, harp, line, tuned '
        '(did you mean "line"?)',
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("tcp:5000", "tcp:5000"),
        ("tcp:5000", "tcp:05000"),
        ("tcp:5000", "TCP:port=5000"),
        ("tcp:5000", "ssl:5000:privateKey=key.pem"),
        ("tcp:5000", "tls:/etc/certs:5000"),
        ("tcp:5000", "haproxy:tcp:5000"),
        ("tcp:5000", "tcp:5000:interface=127.0.0.1"),
        ("tcp:5000", "tcp:5000:interface=0.0.0.0"),
        (r"tcp6:5000:interface=\:\:", "tcp:5000"),
        ("unix:/run/chatd", "unix:/run/chatd"),
    ],
)
def test_two_listeners_in_one_place(first: str, second: str) -> None:
    """Two that want the same port, or one its port everywhere and one on an interface, is told."""
    assert mistakes(f"[[door]]\nkind = 'line'\nlisten = ['{first}', '{second}']") == [
        f'chatd.toml:3: door.0.listen: "{second}": "{first}" listens there already'
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("tcp:5000", "tcp:5001"),
        ("tcp:5000", "tcp:5000:interface=10.0.0.1"),
        ("tcp:0", "tcp:0"),
        ("unix:/run/chatd", "unix:/run/chatd2"),
        ("tcp:5000", "unix:5000"),
    ],
)
def test_two_listeners_side_by_side(first: str, second: str) -> None:
    """Listeners in different places, or at a port that the system chooses, don't collide."""
    config = read(f'[[door]]\nkind = "line"\nlisten = {[first, second]}')
    assert config.doors[0].listen == (first, second)


def test_port_that_is_none() -> None:
    """A port above the highest one there is is told before anything listens."""
    assert mistakes('[[door]]\nkind = "line"\nlisten = "tcp:70000"') == [
        'chatd.toml:3: door.0.listen: "tcp:70000": the highest port is 65535'
    ]


def test_endpoint_of_another_kind() -> None:
    """What is wrong with an endpoint string is asked of whoever opens it, interface and all."""

    def check(endpoint: str) -> str | None:
        return None if endpoint.startswith("tcp:") else f"no endpoint: {endpoint}"

    text = '[[door]]\nkind = "line"\nlisten = ["tcp:1", "tpc:2", "ssl:3"]'
    with pytest.raises(ConfigError) as raised:
        load("chatd.toml", text, KINDS, check)
    assert str(raised.value).splitlines() == [
        'chatd.toml:3: door.0.listen: "tpc:2": no endpoint: tpc:2',
        'chatd.toml:3: door.0.listen: "ssl:3": no endpoint: ssl:3:interface=127.0.0.1',
    ]


def test_quoted_keys_and_dotted_tables() -> None:
    """A mistake is found where it stands, however the table's or the key's name is written."""
    text = """\
        [ accounts ]
        "register" = "x"
        [[ door ]]
        kind = "tuned"
        listen = [
            "tcp:1",
        ]
        tempo = 0
        """
    assert [line.split(" ")[0] for line in mistakes(text)] == ["chatd.toml:2:", "chatd.toml:8:"]
