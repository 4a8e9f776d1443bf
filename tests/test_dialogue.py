"""A dialogue: one client's lines to requests, and the prompts in between."""

import attrs
import pytest

from chatd.domain.errors import ChatError, LineTooLong
from chatd.domain.events import ASK_NAME, Asked, Prompt, Refused
from chatd.domain.ports import Line, Mark, Request
from chatd.wire.lines import Cancelled, Dialogue, LineFormat, PasswordsDiffer
from chatd.wire.telnet import DO, DONT, ECHO, IAC, WILL, WONT, TelnetFilter

LOGIN = Asked("login", "bob", (Prompt.PASSWORD,))
SIGNUP = Asked("signup", "bob", (Prompt.NEW_PASSWORD, Prompt.AGAIN))
CHANGE = Asked("password", "", (Prompt.OLD_PASSWORD, Prompt.NEW_PASSWORD, Prompt.AGAIN))
HIDE, SHOW = bytes((IAC, WILL, ECHO)), bytes((IAC, WONT, ECHO))


@attrs.define
class Screen:
    """A client: what it types, and every byte it is sent."""

    dialogue: Dialogue
    written: list[bytes]

    @classmethod
    def of(cls, *, telnet: bool) -> "Screen":
        """A screen in front of a telnet client, which agrees to all it is offered, or of nc."""
        written: list[bytes] = []
        return cls(Dialogue(LineFormat(), 100, written.append, TelnetFilter(telnet)), written)

    def ask(self, asked: Asked) -> bytes:
        """Ask something; return what the client is sent."""
        self.dialogue.asked = asked
        return self._answered(self.dialogue.encode(asked))

    def type(self, line: Line, *, bare: bool = False) -> Request | type[ChatError] | None:
        """Type a line; a refusal counts as the answer."""
        try:
            return self.dialogue.request(line, bare=bare)
        except ChatError as error:
            return type(error)

    def read(self) -> bytes:
        """What was sent since the last call."""
        sent = b"".join(self.written)
        self.written.clear()
        return self._answered(sent)

    def _answered(self, sent: bytes) -> bytes:
        for offer, answer in ((HIDE, DO), (SHOW, DONT)):
            if offer in sent:
                assert self.dialogue.telnet.feed(bytes((IAC, answer, ECHO))) == (b"", b"")
        return sent


@pytest.fixture
def nc() -> Screen:
    """An nc user."""
    return Screen.of(telnet=False)


@pytest.fixture
def telnet() -> Screen:
    """A telnet user."""
    return Screen.of(telnet=True)


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("hello", Request("say", "hello")),
        ("  hello ", Request("say", "  hello ")),
        ("", None),
        (" \t ", None),
        ("/who", Request("who")),
        ("/Whisper bob  hi there", Request("Whisper", "bob  hi there")),
        ("/who ", Request("who")),
        ("/", Request("")),
        ("//who", Request("say", "/who")),
        ("//", Request("say", "/")),
        (Mark.END, Request("quit")),
        (Mark.TOO_LONG, LineTooLong),
    ],
)
def test_a_line_in_a_channel(
    nc: Screen, line: Line, request_: Request | type[ChatError] | None
) -> None:
    """In a channel a line is said, one with a slash is a command, two slashes say one."""
    assert nc.type(line) == request_
    assert nc.read() == b""


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("whoelse", Request("whoelse")),
        (" ping bob", Request("ping", "bob")),
        ("/ping bob", Request("ping", "bob")),
        ("//who", Request("say", "/who")),
        ("", None),
        (Mark.END, Request("quit")),
        (Mark.TOO_LONG, LineTooLong),
    ],
)
def test_a_line_in_the_lobby(
    nc: Screen, line: Line, request_: Request | type[ChatError] | None
) -> None:
    """In the lobby a line is a command, with or without its slash."""
    assert nc.type(line, bare=True) == request_


def test_a_refusal_says_how_long_a_line_may_be() -> None:
    """Somebody whose line was too long is told the limit."""
    with pytest.raises(
        LineTooLong, match=r"^That line is longer than 100 bytes and was not sent\.$"
    ):
        Screen.of(telnet=False).dialogue.request(Mark.TOO_LONG, bare=False)


def test_the_event_of_the_room_is_no_prompt(nc: Screen) -> None:
    """What is no question reads as it does for everybody."""
    refused = Refused("x", "No.", 0.0)
    assert nc.dialogue.encode(refused) == LineFormat()(refused)


@pytest.mark.parametrize("name", ["bob", " bob ", "bob@example.org", "bob smith", ""])
def test_a_name_is_asked_for(nc: Screen, name: str) -> None:
    """The prompt has no line's end, and what is typed after it is the name."""
    assert nc.ask(ASK_NAME) == b"Name: "
    assert nc.type(name) == Request("introduce", name.strip())
    assert nc.dialogue.asked is None
    assert nc.read() == b""


def test_a_command_may_be_typed_instead_of_a_name(nc: Screen) -> None:
    """Somebody may quit before logging in."""
    nc.ask(ASK_NAME)
    assert nc.type("/quit now") == Request("quit", "now")


@pytest.mark.parametrize("password", ["secret", " spaces count ", "/quit", "//", "été"])
def test_a_password_is_taken_as_typed(nc: Screen, password: str) -> None:
    """A password may hold spaces and begin with a slash."""
    assert nc.ask(LOGIN) == b"Password: "
    assert nc.type(password) == Request("login", "bob", (password,))
    assert nc.read() == b""


def test_a_new_password_is_asked_for_twice(nc: Screen) -> None:
    """An nc user is asked line by line, and sees no byte of telnet."""
    assert nc.ask(SIGNUP) == b"New password: "
    assert nc.type("secret") is None
    assert nc.read() == b"Again: "
    assert nc.type("secret") == Request("signup", "bob", ("secret",))
    assert (nc.read(), nc.dialogue.asked) == (b"", None)


def test_a_password_is_changed_with_the_old_one(nc: Screen) -> None:
    """Whoever changes a password types the old one, then the new one twice."""
    assert nc.ask(CHANGE) == b"Old password: "
    assert nc.type("old") is None
    assert nc.read() == b"New password: "
    assert nc.type("new") is None
    assert nc.read() == b"Again: "
    assert nc.type("new") == Request("password", "", ("old", "new"))


def test_telnet_does_not_show_a_password(telnet: Screen) -> None:
    """A telnet client hides the password, shows the rest, and its cursor goes to the next line."""
    assert telnet.ask(ASK_NAME) == b"Name: "
    assert telnet.type("bob") == Request("introduce", "bob")
    assert telnet.ask(LOGIN) == HIDE + b"Password: "
    assert telnet.type("secret") == Request("login", "bob", ("secret",))
    assert telnet.read() == b"\r\n" + SHOW


def test_telnet_hides_two_passwords_in_a_row(telnet: Screen) -> None:
    """Nothing is shown in between when a password is asked for twice."""
    assert telnet.ask(SIGNUP) == HIDE + b"New password: "
    assert telnet.type("secret") is None
    assert telnet.read() == b"\r\nAgain: "
    assert telnet.type("secret") == Request("signup", "bob", ("secret",))
    assert telnet.read() == b"\r\n" + SHOW


@pytest.mark.parametrize("telnet_", [False, True])
def test_two_passwords_that_differ_are_asked_for_again(telnet_: bool) -> None:
    """Whoever mistypes the second password begins with the first again."""
    screen = Screen.of(telnet=telnet_)
    end, show = (b"\r\n", SHOW) if telnet_ else (b"", b"")
    screen.ask(CHANGE)
    assert screen.type("old") is None
    assert screen.type("secret") is None
    screen.read()
    assert screen.type("secrte") is PasswordsDiffer
    assert screen.dialogue.asked == CHANGE
    assert screen.dialogue.encode(screen.dialogue.asked) == b"Old password: "
    assert [screen.type(line) for line in ("old", "secret")] == [None, None]
    assert screen.type("secret") == Request("password", "", ("old", "secret"))
    assert screen.read() == (end + end + b"New password: " + end + b"Again: " + end + show)


@pytest.mark.parametrize("typed", [[], ["secret"]])
def test_an_empty_line_goes_back_to_the_name(telnet: Screen, typed: list[str]) -> None:
    """Instead of a password an empty line means another name, and what is typed shows again."""
    telnet.ask(SIGNUP)
    assert [telnet.type(line) for line in typed] == [None] * len(typed)
    telnet.read()
    assert telnet.type("") is None
    assert (telnet.read(), telnet.dialogue.asked) == (b"\r\n" + SHOW, None)


def test_an_empty_line_cancels_a_change(nc: Screen) -> None:
    """Whoever thinks better of a new password types an empty line, and is told so."""
    nc.ask(CHANGE)
    assert nc.type("old") is None
    with pytest.raises(Cancelled, match=r"^Nothing was changed\.$"):
        nc.dialogue.request("", bare=False)
    assert nc.dialogue.asked is None
    assert nc.type("hello") == Request("say", "hello")


@pytest.mark.parametrize("telnet_", [False, True])
def test_a_password_too_long_for_a_line_is_asked_for_again(telnet_: bool) -> None:
    """A line too long, where an answer should stand, begins the questions again."""
    screen = Screen.of(telnet=telnet_)
    screen.ask(SIGNUP)
    screen.type("secret")
    screen.read()
    assert screen.type(Mark.TOO_LONG) is LineTooLong
    assert screen.read() == (b"\r\n" if telnet_ else b"")
    assert screen.dialogue.asked is not None
    assert screen.dialogue.encode(screen.dialogue.asked) == b"New password: "


def test_the_end_of_input_is_no_answer(nc: Screen) -> None:
    """A client that stops sending where a password was asked for is leaving."""
    nc.ask(LOGIN)
    assert nc.type(Mark.END) == Request("quit")


def test_who_has_typed_ahead_is_not_asked(nc: Screen) -> None:
    """Answers that came before the question was shown are taken, and the question is spared."""
    nc.dialogue.asked = CHANGE
    assert nc.type("old") is None
    assert nc.dialogue.encode(CHANGE) == b""
    assert nc.read() == b"New password: "
    assert [nc.type("new"), nc.type("new")] == [None, Request("password", "", ("old", "new"))]
    assert nc.dialogue.encode(CHANGE) == b""


def test_a_question_asked_again_is_shown_once(nc: Screen) -> None:
    """Who typed ahead, and wrongly, sees one prompt for the questions that begin again."""
    nc.dialogue.asked = SIGNUP
    assert [nc.type("secret"), nc.type("secrte")] == [None, PasswordsDiffer]
    again = nc.dialogue.asked
    assert again is not None
    assert [nc.dialogue.encode(SIGNUP), nc.dialogue.encode(again)] == [b"", b"New password: "]
