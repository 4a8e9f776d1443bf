"""The log: its lines for people and for programs, and what may go wrong with its file."""

import json
import os
import re
import select
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import Logger, LogLevel, LogPublisher, globalLogPublisher
from twisted.python import log as older
from twisted.python.failure import Failure

from chatd.domain.events import Seen, Watched
from chatd.domain.names import WATCHERS
from chatd.logs import LogError, LogFile, as_json, as_text, note

NASTY = "a\x1b[2J\r\nb\u202e\x7f\x00\udc80"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a log goes."""
    return tmp_path / "chatd.log"


@pytest.fixture
def opened() -> Iterator[Callable[..., LogFile]]:
    """Opens logs, which are closed at the end."""
    logs: list[LogFile] = []

    def run(path: Path, form: str = "text") -> LogFile:
        log = LogFile(form, path)
        log.open(path.parent)
        logs.append(log)
        return log

    yield run
    for log in logs:
        os.close(log.descriptor)


def event(words: str, **fields: Any) -> dict[str, Any]:
    """An event of the program at a fixed time."""
    return {
        "log_format": words,
        "log_level": LogLevel.info,
        "log_namespace": "chatd.somewhere",
        "log_time": 1795253640.25,
        **fields,
    }


def raised(error: Exception) -> Failure:
    """That error, as one that has been raised."""
    try:
        raise error
    except Exception:  # noqa: BLE001
        return Failure()


def lines(path: Path) -> list[str]:
    """What was written, a line each, without its time."""
    return [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", one) for one in _read(path)]


def _read(path: Path) -> list[str]:
    text = path.read_bytes().decode()
    assert text == "" or text.endswith("\n")
    return text.split("\n")[:-1]


def test_line_for_people() -> None:
    """A line begins with the local time and the level, and has nothing of Twisted's inside."""
    line = as_text(event("listening on {place}", place="127.0.0.1:5001"))
    assert re.fullmatch(r"2026-11-2\d \d\d:\d\d:00 info  listening on 127\.0\.0\.1:5001\n", line)


def test_line_for_programs() -> None:
    """A JSON line has the time in UTC, the level, the source, the message and the plain fields."""
    fields = {"place": "here", "port": 5001, "load": 0.5, "more": None, "thing": object()}
    line = as_json(event("listening on {place}", **fields))
    assert line.endswith("}\n")
    assert json.loads(line) == {
        "time": "2026-11-21T09:34:00.250000Z",
        "level": "info",
        "system": "chatd.somewhere",
        "message": "listening on here",
        "place": "here",
        "port": 5001,
        "load": 0.5,
        "more": None,
    }


def test_fields_with_names_of_the_line() -> None:
    """A field can't take the place of the line's own level or message."""
    told = json.loads(as_json(event("hello", level="critical", message="forged", time=0)))
    assert (told["level"], told["message"]) == ("info", "hello")


@pytest.mark.parametrize("form", [as_text, as_json])
def test_nothing_breaks_the_terminal(form: Callable[[Any], str]) -> None:
    """Whatever a user has sent, his line is one line and shows every control as an escape."""
    line = form(event("{what}: {who}", what="refusal", who=NASTY))
    assert line.count("\n") == 1
    assert line.removesuffix("\n").isprintable()
    assert "\\u202e" in line


def test_text_that_looks_like_a_format() -> None:
    """Braces in what a user has sent are braces."""
    line = as_text(event("{who}", who="{log_logger.__class__}"))
    assert line.endswith(" {log_logger.__class__}\n")


def test_numbers_that_json_lacks() -> None:
    """A field that is no number for JSON is a string, so that every line can be read."""
    told = json.loads(
        as_json(event("load", a=float("nan"), b=float("inf"))),
        parse_constant=pytest.fail,
    )
    assert (told["a"], told["b"]) == ("nan", "inf")


def test_traceback() -> None:
    """A traceback stands indented below its line, so that no error's words look like another."""
    failure = raised(ValueError("no\n2026-11-21 10:14:00 info  bob is an operator\x1b[A"))
    first, *below = as_text(event("oh", log_failure=failure)).splitlines()
    assert first.endswith(" oh")
    assert below[0] == "    Traceback (most recent call last):"
    assert below[-1] == "    2026-11-21 10:14:00 info  bob is an operator\\x1b[A"
    assert all(line.startswith("    ") for line in below)
    told = json.loads(as_json(event("oh", log_failure=failure)))
    assert told["message"] == "oh"
    assert told["traceback"].startswith("Traceback (most recent call last):\n")


def test_older_way_of_logging(file: Path, opened: Callable[..., LogFile]) -> None:
    """What is logged in Twisted's older way is read like the rest: an error once, no chatter."""
    publisher = LogPublisher(opened(file))
    write = older.LogPublisher(publisher, publisher)
    write.msg("LineFactory starting on 5001")
    write.msg(failure=raised(ValueError("no")), why="a reason", isError=1)
    write.msg(failure=raised(ValueError("no")), why=None, isError=1)
    first, *below, last = [line for line in lines(file) if not line.startswith("     ")]
    assert first == "critical a reason"
    assert below == [
        "    Traceback (most recent call last):",
        "    builtins.ValueError: no",
        "critical Unhandled error",
        "    Traceback (most recent call last):",
    ]
    assert last == "    builtins.ValueError: no"


def test_what_is_left_out(file: Path, opened: Callable[..., LogFile]) -> None:
    """Twisted's own doings and what is for debugging are left out; its warnings are not."""
    log = opened(file)
    for name in ("twisted.internet.base", "chatd.service", "stderr"):
        logger = Logger(name, observer=log)
        logger.debug("{name}: details", name=name)
        logger.info("{name}: a port was closed", name=name)
        logger.warn("{name}: look", name=name)
    assert lines(file) == [
        "warn  twisted.internet.base: look",
        "info  chatd.service: a port was closed",
        "warn  chatd.service: look",
        "info  stderr: a port was closed",
        "warn  stderr: look",
    ]


@pytest.mark.parametrize(("text", "told"), [("general", "join: bob, general"), ("", "join: bob")])
def test_what_operators_watch(text: str, told: str, capfd: pytest.CaptureFixture[str]) -> None:
    """What operators can watch is in the log in the same words."""
    log = LogFile("text")
    globalLogPublisher.addObserver(log)
    note(Watched(WATCHERS, Seen.JOIN, "bob", text, 0.0))
    globalLogPublisher.removeObserver(log)
    assert capfd.readouterr().out.endswith(f" info  {told}\n")


def test_file(file: Path, opened: Callable[..., LogFile]) -> None:
    """The file is for its owner only, and what it has already is kept."""
    opened(file)(event("one"))
    opened(file)(event("two"))
    assert lines(file) == ["info  one", "info  two"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_file_in_the_state_directory(tmp_path: Path) -> None:
    """A relative file is in the state directory."""
    log = LogFile("text", Path("chatd.log"))
    log.open(tmp_path)
    log(event("one"))
    os.close(log.descriptor)
    assert lines(tmp_path / "chatd.log") == ["info  one"]


def test_file_that_can_not_be_had(tmp_path: Path) -> None:
    """A file that can't be written is told in a sentence."""
    with pytest.raises(LogError, match=f"^{tmp_path}: Is a directory$"):
        LogFile("text", tmp_path).open(tmp_path)


def test_rotation(file: Path, opened: Callable[..., LogFile]) -> None:
    """After somebody has renamed the file and asked for it, lines go to a new one."""
    log = opened(file)
    log(event("one"))
    old = file.rename(file.with_suffix(".1"))
    log(event("two"))
    log.reopen()
    log(event("three"))
    assert (lines(old), lines(file)) == (["info  one", "info  two"], ["info  three"])
    assert not os.get_inheritable(log.descriptor)


def test_rotation_that_fails(file: Path, opened: Callable[..., LogFile]) -> None:
    """Where no new file can be had, the old one is written on."""
    log = opened(file)
    old = file.rename(file.with_suffix(".1"))
    file.mkdir()
    log.reopen()
    log(event("two"))
    assert lines(old) == ["info  two"]


def test_standard_output_is_not_reopened(capfd: pytest.CaptureFixture[str]) -> None:
    """There is nothing to rotate at standard output."""
    log = LogFile("text")
    log.open(Path("/nowhere"))
    log.reopen()
    log(event("one"))
    assert capfd.readouterr().out.endswith(" info  one\n")


def test_full_disk() -> None:
    """A full disk stops nobody; how much is missing is told once there is room again."""
    log = LogFile("text", descriptor=os.open("/dev/full", os.O_WRONLY))
    log(event("one"))
    log(event("two"))
    reading, writing = os.pipe()
    os.dup2(writing, log.descriptor)
    log(event("three"))
    log(event("four"))
    os.close(log.descriptor)
    os.close(writing)
    with open(reading) as pipe:
        told = [line[20:] for line in pipe.read().splitlines()]
    assert told == [
        "error 2 events are missing here: No space left on device",
        "info  three",
        "info  four",
    ]


def test_half_a_line() -> None:
    """Where only a part of a line could be written, the next one begins on a line of its own."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    log = LogFile("text", descriptor=writing)
    log(event("{text}", text="x" * 1_000_000))
    half = b""
    while select.select([reading], [], [], 0)[0]:
        half += os.read(reading, 100_000)
    log(event("two"))
    os.close(writing)
    with open(reading) as pipe:
        empty, *told = pipe.read().splitlines()
    assert half.startswith(b"2026-11-2")
    assert half.endswith(b"xx")
    assert empty == ""
    assert [line[20:] for line in told] == [
        "error 1 events are missing here: Resource temporarily unavailable",
        "info  two",
    ]


class Mute:
    """A failure whose traceback can't be had."""

    def getTraceback(self) -> str:
        """Fail."""
        raise RuntimeError("broken")


@pytest.mark.parametrize("form", ["text", "json"])
def test_event_that_can_not_be_shown(form: str, file: Path, opened: Callable[..., LogFile]) -> None:
    """An event that can't be put into words is told as such; the log goes on."""
    log = opened(file, form)
    log(event("one", log_failure=Mute(), log_time=float("nan")))
    log(event("two"))
    first, second = _read(file)
    assert "an event has no text: RuntimeError" in first
    assert "1970-01-01" in first
    assert "two" in second
