"""A real chatd for live tests: ``twistd -n chatd`` in a process of its own, and nc to talk to it.

The rule: nothing here knows the program's insides; a test reaches it as people do.
"""

import json
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

TWISTD = Path(sys.executable).with_name("twistd")
CONFIGURATION = """\
state = "{state}"
[accounts]
bcrypt_cost = 4
operators = {operators}
[[channel]]
name = "general"
listen = "tcp:0"
[[door]]
kind = "line"
listen = "tcp:0"
[limits]
lines_per_second = 0
"""
READY = re.compile(r"chatd \S+ is ready")
PATIENCE = 20


@attrs.define(eq=False)
class Daemon:
    """A running chatd: its process, and the ports of its channel and its lobby."""

    process: subprocess.Popen[str]
    channel: int
    lobby: int

    def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End it with a signal; its status, and what it logged meanwhile."""
        self.process.send_signal(how)
        out, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out


Twistd = Callable[..., subprocess.Popen[str]]
Start = Callable[..., Daemon]


@pytest.fixture
def twistd(tmp_path: Path) -> Iterator[Twistd]:
    """Starts ``twistd -n chatd`` with some options; what still runs is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def run(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [TWISTD, "-n", "--pidfile=", "chatd", *words],
            cwd=tmp_path,
            env={"PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONUNBUFFERED": "1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def start(tmp_path: Path, twistd: Twistd) -> Start:
    """Starts chatd, always on the same state directory, and waits until it is ready.

    It is given the names of operators.
    """
    file = tmp_path / "chatd.toml"

    def run(*operators: str) -> Daemon:
        names = json.dumps(operators)
        file.write_text(CONFIGURATION.format(state=tmp_path / "state", operators=names))
        process = twistd("-c", str(file))
        assert process.stdout is not None
        log = ""
        while not READY.search(log):
            line = process.stdout.readline()
            assert line, f"chatd has ended: {log}"
            log += line
        ports = re.findall(r"listening on .*:(\d+)", log)
        return Daemon(process, *map(int, ports))

    return run


def nc(port: int, text: str, *words: str) -> str:
    """What nc shows to somebody who pipes a text into it, with every time as TIME."""
    done = subprocess.run(
        ["nc", *words, "127.0.0.1", str(port)],
        input=text.encode(),
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    return re.sub(r"\d\d:\d\d:\d\d", "TIME", done.stdout.decode())


def stored(tmp_path: Path) -> list[str]:
    """The lines in the database, in their order."""
    with sqlite3.connect(tmp_path / "state" / "chatd.db") as connection:
        return [row[0] for row in connection.execute("SELECT text FROM line ORDER BY seq")]
