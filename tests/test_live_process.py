"""The real process: its log files, SIGHUP, and what systemd passes to it and hears from it."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pexpect
import pytest

from tests.daemon import PATIENCE, READY, TWISTD, nc

CONFIGURATION = """\
state = "state"
[accounts]
bcrypt_cost = 4
[log]
{log}
[[channel]]
name = "general"
listen = "{listen}"
"""


@attrs.define(eq=False)
class Run:
    """Starts twistd in a directory of its own, and writes its configuration there."""

    directory: Path
    started: list[subprocess.Popen[bytes]] = attrs.field(factory=list)

    def configure(self, *, log: str = "", listen: str = "tcp:0") -> None:
        """Write another configuration."""
        (self.directory / "chatd.toml").write_text(CONFIGURATION.format(log=log, listen=listen))

    def start(
        self, *words: str, stdin: int | None = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start chatd in the foreground, with these words before twistd's."""
        process = subprocess.Popen(
            [*words, TWISTD, "-n", "--pidfile=", "chatd", "-c", "chatd.toml"],
            cwd=self.directory,
            env=self.environment | environment,
            bufsize=0,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.started.append(process)
        return process

    @property
    def environment(self) -> dict[str, str]:
        """What every chatd of the tests is given."""
        root = Path(__file__).parent.parent
        return {"PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1", "PATH": os.environ["PATH"]}

    def finish(self) -> None:
        """End what still runs."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts twistd; what still runs is killed at the end."""
    made = Run(tmp_path)
    made.configure()
    yield made
    made.finish()


def until(process: subprocess.Popen[bytes], mark: re.Pattern[str]) -> str:
    """What a process logs, up to a line with that in it."""
    assert process.stdout is not None
    log = ""
    while not mark.search(log):
        assert select.select([process.stdout], [], [], PATIENCE)[0], f"no more comes: {log}"
        line = process.stdout.readline()
        assert line, f"chatd has ended: {log}"
        log += line.decode()
    return log


def wait_for(path: Path, mark: str) -> str:
    """What a file has, once that is in it."""
    late = time.monotonic() + PATIENCE
    while not path.exists() or mark not in path.read_text():
        assert time.monotonic() < late, path.read_text() if path.exists() else f"no {path}"
        select.select([], [], [], 0.02)
    return path.read_text()


def test_systemd(run: Run, tmp_path: Path) -> None:
    """The service manager hears when chatd is ready, that it lives, reloads and stops."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        process = run.start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="100000")

        def heard(*marks: str) -> str:
            """The first message that begins with one of these; no other may come before it."""
            while (message := manager.recv(4096).decode()) == "WATCHDOG=1" not in marks:
                pass
            assert message.startswith(marks), message
            return message

        assert f"\nMAINPID={process.pid}" in heard("READY=1\n")
        for _ in range(3):
            heard("WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        heard("RELOADING=1\nMONOTONIC_USEC=")
        heard("READY=1\n")
        heard("WATCHDOG=1")
        process.terminate()
        heard("STOPPING=1\n")
        process.communicate(timeout=PATIENCE)
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(4096)


def test_socket_activation(run: Run) -> None:
    """Who connects before chatd runs, at a socket that systemd has, is served once it does."""
    run.configure(listen="systemd:domain=INET:name=general")
    with socket.create_server(("127.0.0.1", 0)) as passed:
        port = passed.getsockname()[1]
        early = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        # systemd passes the first socket as descriptor 3.
        script = 'LISTEN_PID=$$ exec "$@" 3<&0 0</dev/null'
        process = run.start(
            "sh",
            "-c",
            script,
            "sh",
            stdin=passed.fileno(),
            LISTEN_FDS="1",
            LISTEN_FDNAMES="general",
        )
        assert f"listening on 127.0.0.1:{port}\n" in until(process, READY)
    with early, early.makefile("r", newline="") as heard:
        assert heard.readline() == "chatd: channel general, 0 of 100 here.\r\n"
    nc(port, "bob\nsecret\nsecret\n", "-N")
    assert "[bob (TIME)] hello\r\n" in nc(port, "bob\nsecret\nhello\n", "-q1")


def test_socket_that_is_not_passed(run: Run) -> None:
    """A socket that systemd doesn't pass keeps chatd from starting, in one sentence."""
    run.configure(listen="systemd:domain=INET:name=general")
    process = run.start()
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (
        1,
        b"",
        b'chatd.toml:8: channel.0.listen: "systemd:domain=INET:name=general": '
        b"systemd passes no such socket (FileDescriptorName= of a .socket unit)\n",
    )


def test_log_file(run: Run, tmp_path: Path) -> None:
    """The log goes to a file of JSON lines; renamed, it begins anew after SIGHUP."""
    run.configure(log='format = "json"\nfile = "chatd.log"')
    process = run.start()
    file, old = tmp_path / "state" / "chatd.log", tmp_path / "chatd.log.1"
    told = [json.loads(line) for line in wait_for(file, " is ready").splitlines()]
    assert [one["message"].split(" ")[0] for one in told] == ["listening", "chatd"]
    assert told[0]["place"].startswith("127.0.0.1:")
    assert file.stat().st_mode & 0o777 == 0o600
    file.rename(old)
    process.send_signal(signal.SIGHUP)
    wait_for(file, "Nothing has changed.")
    process.terminate()
    assert process.communicate(timeout=PATIENCE) == (b"", b"")
    assert "chatd has stopped" in file.read_text()
    assert "chatd has stopped" not in old.read_text()


def test_log_file_that_can_not_be_had(run: Run, tmp_path: Path) -> None:
    """A log that can't be written keeps chatd from starting."""
    (tmp_path / "state" / "chatd.log").mkdir(parents=True)
    run.configure(log='file = "chatd.log"')
    process = run.start()
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (
        1,
        b"chatd can't start: state/chatd.log: Is a directory\n",
    )


def test_mistakes_at_a_reload(run: Run, tmp_path: Path) -> None:
    """A configuration with mistakes is told in the log, a line each, and changes nothing."""
    process = run.start()
    port = int(re.findall(r"listening on .*:(\d+)", until(process, READY))[0])
    (tmp_path / "chatd.toml").write_text('nmae = "x"\n[limits]\nburst = 0\n')
    process.send_signal(signal.SIGHUP)
    log = until(process, re.compile("Nothing was changed"))
    assert re.findall(r" (error .*)\n", log) == [
        f'error {tmp_path}/chatd.toml:1: nmae: unknown setting (did you mean "name"?)',
        f"error {tmp_path}/chatd.toml:3: limits.burst: is 0, but must be at least 1",
        "error Nothing was changed.",
    ]
    assert "general" in nc(port, "", "-N")


def test_log_file_of_the_command_line(run: Run, tmp_path: Path) -> None:
    """In the background, with twistd's own --logfile, the lines are chatd's."""
    pid_file, log = tmp_path / "chatd.pid", tmp_path / "other.log"
    subprocess.run(
        [TWISTD, f"--pidfile={pid_file}", f"--logfile={log}", "chatd", "-c", "chatd.toml"],
        cwd=tmp_path,
        env=run.environment,
        timeout=PATIENCE,
        check=True,
    )
    pid = int(pid_file.read_text())
    descriptor = os.pidfd_open(pid)
    try:
        assert " info  chatd " in wait_for(log, " is ready")
    finally:
        os.kill(pid, signal.SIGTERM)
        ended, _, _ = select.select([descriptor], [], [], PATIENCE)
        os.close(descriptor)
    assert ended
    assert "twisted" not in log.read_text()


def test_no_start_in_the_background(run: Run, tmp_path: Path) -> None:
    """In the background, what keeps chatd from starting is in its log, and twistd says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run.configure(listen=f"tcp:{port}")
        done = subprocess.run(
            [TWISTD, "--pidfile=chatd.pid", "chatd", "-c", "chatd.toml"],
            cwd=tmp_path,
            env=run.environment,
            timeout=PATIENCE,
            capture_output=True,
            check=False,
        )
    assert done.returncode == 1
    assert b"chatd can't start" in done.stderr
    why = f"can't start: tcp:{port}:interface=127.0.0.1: Address already in use\n"
    assert why in wait_for(tmp_path / "twistd.log", why)


def test_terminal_that_is_closed(run: Run, tmp_path: Path) -> None:
    """Whoever closes the window in which chatd runs ends it, as he expects."""
    child = pexpect.spawn(
        str(TWISTD),
        ["-n", "--pidfile=chatd.pid", "chatd", "-c", "chatd.toml"],
        cwd=str(tmp_path),
        env=run.environment,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    child.expect(READY.pattern)
    child.kill(signal.SIGHUP)
    child.expect("Nothing has changed")  # its window is still there
    descriptor = os.pidfd_open(child.pid)
    os.close(child.child_fd)
    ended, _, _ = select.select([descriptor], [], [], PATIENCE)
    os.close(descriptor)
    assert ended
    assert not (tmp_path / "chatd.pid").exists()
