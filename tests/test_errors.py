"""Refusals: each says in a whole sentence what is wrong, and has a code of its own."""

import pytest

from chatd.domain import errors
from chatd.domain.errors import ChatError
from chatd.domain.events import Prompt

CODES = {
    "refused",
    "bad_name",
    "bad_arguments",
    "bad_password",
    "bad_mail",
    "unknown_command",
    "not_now",
    "not_allowed",
    "name_taken",
    "already_logged_in",
    "wrong_password",
    "locked_out",
    "too_busy",
    "no_such_user",
    "not_here",
    "no_such_channel",
    "cannot_switch",
    "line_too_long",
    "too_fast",
    "not_stored",
    "incident",
    "no_such_group",
    "group_exists",
    "not_admin",
    "not_member",
    "not_valid_user",
    "forbidden",
    "not_requested",
    "too_many",
    "blocked",
    "mailbox_full",
    "not_in_channel",
    "not_online",
    "still_muted",
    "banned",
    "not_sanctioned",
    "not_yourself",
    "shutting_down",
    "bad_configuration",
    "bad_file_name",
    "no_files",
    "no_such_file",
    "no_such_ticket",
    "transfer_busy",
    "wrong_offset",
    "wrong_size",
    "incomplete",
    "too_large",
    "too_slow",
    "too_late",
    "no_space",
    "unwanted",
}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            errors.UnknownCommand("/dance", "/help"),
            "There is no command /dance. Type /help for a list.",
        ),
        (errors.AlreadyLoggedIn("bob"), "bob is already logged in."),
        (errors.WrongPassword(2), "Wrong password, 2 tries left."),
        (errors.WrongPassword(1), "Wrong password, 1 try left."),
        (errors.WrongPassword(None), "Wrong password."),
        (
            errors.LockedOut("bob", 60, first=True),
            "Too many wrong passwords: bob is locked for 60 seconds.",
        ),
        (errors.LockedOut("bob", 12), "bob is locked for 12 more seconds."),
        (errors.NoSuchUser("dave"), "There is no user dave."),
        (errors.NotHere("bob"), "bob is not here."),
        (errors.NoSuchChannel("work"), "work does not exist."),
        (errors.CannotSwitch("work"), "Cannot switch to the work channel."),
        (errors.NoSuchGroup("team"), "team does not exist."),
        (errors.GroupExists("team"), "team exists already."),
        (errors.NotAdmin("team"), "Only the admin of team can do that."),
        (errors.NotMember("team"), "You are not a member of team."),
        (errors.NotMember("team", "bob"), "bob is not a member of team."),
        (errors.NotValidUser("dave"), "dave is not a valid user."),
        (errors.MailboxFull("bob"), "The mailbox of bob is full; the message was not sent."),
        (errors.LineTooLong(4096), "That line is longer than 4096 bytes and was not sent."),
        (
            errors.NotStored(),
            "That could not be stored, and was not sent. Please try again later.",
        ),
        (errors.NotInChannel("bob", "general"), "bob is not in general."),
        (errors.NotOnline("bob"), "bob is not online."),
        (errors.StillMuted(12), "You are still muted for 12 seconds."),
        (errors.Banned("bob", "", ""), "bob is banned from this server."),
        (errors.Banned("bob", "", "spam"), "bob is banned from this server: spam"),
        (
            errors.Banned("Your address", "2 hours", "spam"),
            "Your address is banned from this server for 2 hours: spam",
        ),
        (errors.Banned("bob", "2 hours", ""), "bob is banned from this server for 2 hours."),
        (
            errors.ShuttingDown("30 seconds"),
            "The server shuts down in 30 seconds; nobody can log in now.",
        ),
        (
            errors.BadConfiguration("chatd.toml:3: no such setting"),
            "chatd.toml:3: no such setting\nNothing was changed.",
        ),
        (errors.BadFileName(".."), ".. is not a file name."),
        (errors.BadFileName(""), "Nothing is not a file name."),
        (errors.NoFiles(), "This server takes no files."),
        (errors.NoSuchFile(7), "There is no file 7 for you or from you; /files lists them."),
        (
            errors.NoSuchTicket(),
            "This ticket is not good, or not any more; /get gives a fresh one.",
        ),
        (errors.TransferBusy(), "That is under way already, in another connection."),
        (errors.WrongOffset(1), "The server has 1 byte of it: go on from there."),
        (errors.WrongOffset(1000), "The server has 1000 bytes of it: go on from there."),
        (errors.TooSlow(), "That was too slow; the same ticket goes on from here."),
        (errors.TooLate(20), "Nothing was asked for within 20 seconds."),
        (errors.NoSpace(), "The server has no room for that file now."),
        (errors.Incident(7), "Something went wrong here. The operator can look it up: 7."),
    ],
)
def test_words(error: ChatError, text: str) -> None:
    """A refusal is a sentence for the one who asked."""
    assert str(error) == text


def test_codes() -> None:
    """Each kind of refusal has the code that programs know it by, and no two share one."""
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ChatError)
    ]
    assert {kind.code for kind in kinds} == CODES
    assert len(kinds) == len(CODES)


def test_what_must_not_show() -> None:
    """What is typed at a prompt shows on the screen only where it is a name."""
    assert [prompt for prompt in Prompt if not prompt.secret] == [Prompt.NAME]
