"""The start of a server: its options, what it says, and what keeps it from starting."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from chatd import __version__
from chatd.config import Accounts, Config, Door
from chatd.domain.names import Key
from chatd.doors import Door as KindOfDoor
from chatd.doors.line import Settings
from chatd.server import ChatService, rules_of
from chatd.service import Options, further_doors, makeService
from chatd.store.files import StoreError, state_directory
from tests.sockets import LOBBY, Servers, port_of, reactor

ensure = pytest_twisted.ensureDeferred

ETC = Path(__file__).parent.parent / "etc"


def refusal(service: ChatService, capfd: pytest.CaptureFixture[str]) -> str:
    """What a server that can't start says before it ends with status 1."""
    with pytest.raises(SystemExit) as ended:
        service.startService()
    assert ended.value.code == 1
    return capfd.readouterr().err


@ensure  # type: ignore[untyped-decorator]
async def test_port_taken(servers: Servers, capfd: pytest.CaptureFixture[str]) -> None:
    """A port that somebody has stops the start."""
    first = servers.start(LOBBY)
    port = port_of(first)
    taken = f"tcp:{port}:interface=127.0.0.1"
    config = servers.configuration(
        LOBBY, Door("line", (taken,)), state=str(servers.state / "other")
    )
    second = ChatService(config, reactor)
    assert refusal(second, capfd) == f"chatd can't start: {taken}: Address already in use\n"
    servers.running.append(second)


@ensure  # type: ignore[untyped-decorator]
async def test_second_server(servers: Servers, capfd: pytest.CaptureFixture[str]) -> None:
    """A second server on the same database doesn't start."""
    servers.start(LOBBY)
    second = ChatService(servers.configuration(LOBBY), reactor)
    assert refusal(second, capfd) == (
        f"chatd can't start: {servers.state / 'chatd.db'}: another chatd is using this database\n"
    )


@pytest.mark.parametrize(
    ("state", "why"), [("file", "File exists"), ("file/state", "Not a directory")]
)
def test_no_state_directory(
    state: str, why: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A state directory that can't be made stops the start."""
    (tmp_path / "file").touch()
    service = ChatService(Config(state=str(tmp_path / state)), reactor)
    assert refusal(service, capfd) == f"chatd can't start: {tmp_path / state}: {why}\n"


def test_no_home() -> None:
    """A state directory in the home of nobody is told."""
    with pytest.raises(StoreError) as raised:
        state_directory("~nobody.of.that.name/chatd")
    assert str(raised.value) == (
        "~nobody.of.that.name/chatd: there is no home directory; set state"
    )


def options(*words: str) -> Options:
    """The options that chatd is given on the command line."""
    made = Options()  # type: ignore[no-untyped-call]
    made.parseOptions(list(words))  # type: ignore[no-untyped-call]
    return made


def run(*words: str) -> int:
    """The status with which chatd ends when it is given these words; it must not start."""
    with pytest.raises(SystemExit) as ended:
        options(*words)
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is chatd's own, not Twisted's."""
    assert run("--version") == 0
    assert capsys.readouterr().out == f"chatd {__version__}\n"


def test_sample(capsys: pytest.CaptureFixture[str]) -> None:
    """A sample file is printed that one can begin with, the one that is shipped."""
    assert run("--sample") == 0
    assert capsys.readouterr().out == (ETC / "chatd.toml").read_text(encoding="utf-8")


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration can be checked without starting anything."""
    file = tmp_path / "chatd.toml"
    file.write_text((ETC / "chatd.toml").read_text(encoding="utf-8"))
    assert run("-c", str(file), "--check") == 0
    assert capsys.readouterr() == ("The configuration is right.\n", "")


def test_check_of_sockets_of_systemd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Checked by hand, a socket that only systemd can pass is no mistake, but one at a start."""
    file = tmp_path / "chatd.toml"
    listen = ["systemd:domain=INET:name=lobby", "systemd:domain=INET:index=7"]
    file.write_text(f'[[door]]\nkind = "line"\nlisten = {listen}')
    assert run("-c", str(file), "--check") == 0
    assert capsys.readouterr().out == "The configuration is right.\n"
    assert run("-c", str(file)) == 1
    why = "systemd passes no such socket (FileDescriptorName= of a .socket unit)"
    assert capsys.readouterr().err.splitlines() == [
        f'{file}:3: door.0.listen: "{one}": {why}' for one in listen
    ]
    file.write_text('[[door]]\nkind = "line"\nlisten = "systemd:domain=INET"')
    assert run("-c", str(file), "--check") == 1
    assert "Specify exactly one of descriptor index or name" in capsys.readouterr().err


def test_further_doors() -> None:
    """The sample shows the doors that aren't in the defaults, or what has to be installed first."""
    doors = {
        "line": KindOfDoor("line", "tests.no_such_module"),
        "tuned": KindOfDoor("tuned", "chatd.doors.line"),
        "harp": KindOfDoor("harp", "tests.no_such_module", "strings"),
    }
    assert further_doors(doors) == {
        "tuned": Settings,
        "harp": "No module named 'tests.no_such_module' (pip install '.[strings]')",
    }


def test_door_without_an_extra() -> None:
    """A door of somebody else's whose library is missing is told with the library."""
    with pytest.raises(ImportError, match=r"^No module named 'tests\.no_such_module'$"):
        KindOfDoor("harp", "tests.no_such_module").load()


def test_check_of_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every mistake is told in a line of its own, and nothing else."""
    file = tmp_path / "chatd.toml"
    file.write_text(
        '[[door]]\nkind = "lien"\nlisten = "tcp:1"\n'
        '[[door]]\nkind = "line"\nlisten = ["tpc:5000", "tcp:x", "unix", "ssl:1:privateKey=/none"]'
    )
    assert run("-c", str(file)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    told = err.splitlines()
    assert told[:3] == [
        f'{file}:2: door.0.kind: is "lien", but must be one of files, line, manhole '
        '(did you mean "line"?)',
        f"{file}:6: door.1.listen: \"tpc:5000\": no endpoint: Unknown endpoint type: 'tpc'",
        f'{file}:6: door.1.listen: "tcp:x": no endpoint: '
        "invalid literal for int() with base 10: 'x'",
    ]
    assert [line.split("no endpoint: ")[0] for line in told[3:]] == [
        f'{file}:6: door.1.listen: "unix": ',
        f'{file}:6: door.1.listen: "ssl:1:privateKey=/none": ',
    ]


def test_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that can't be read is told by the system's words."""
    assert run("-c", str(tmp_path / "none")) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'none'}: No such file or directory\n"


def test_file_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that isn't text is told to be none."""
    file = tmp_path / "chatd.toml"
    file.write_bytes(b"\xff\xfe")
    assert run("-c", str(file)) == 1
    assert capsys.readouterr().err == f"{file}: is not UTF-8 text\n"


def test_host() -> None:
    """An address on the command line is where everything listens that names no other."""
    service: Any = makeService(options("--host", "::")).chat
    assert service.config.endpoint("tcp:5000") == r"tcp:5000:interface=\:\:"


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


@ensure  # type: ignore[untyped-decorator]
async def test_no_warning_on_loopback(servers: Servers, log: list[str]) -> None:
    """A server that listens on loopback only has nothing to warn of."""
    servers.start(LOBBY)
    assert [line for line in log if "network" in line] == []
    assert log[-1] == f"chatd {__version__} is ready"


def test_host_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A word that is no address is refused before anything starts."""
    assert run("--host", "everywhere") == 1
    assert capsys.readouterr().err == (
        'defaults: host: is "everywhere", but must be an IP address, as 127.0.0.1 or ::1\n'
    )


def test_rules() -> None:
    """What the configuration says of people is what the server goes by."""
    accounts = Accounts(register="closed", guests=True, operators=("Alice",), session="replace")
    rules = rules_of(Config(accounts=accounts))
    assert (rules.register, rules.guests, rules.replace, rules.operators) == (
        False,
        True,
        True,
        frozenset({Key("alice")}),
    )
    assert {"server", "whisper", "w"} <= rules.reserved
