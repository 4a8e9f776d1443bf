"""Refusals: every way in which chatd says no, in words for the one who asked.

The rule: a :class:`ChatError` is the user's mistake or bad luck, never the program's. Its text is
shown as it stands; its ``code`` is for programs and never changes.
"""

from typing import ClassVar

from chatd.domain.text import plural


class ChatError(Exception):
    """A polite refusal. ``str()`` of it is a sentence for the user.

    ``audited``: the audit log has it, and so those who watch have seen it.
    """

    code: ClassVar[str] = "refused"
    audited: bool = False


class BadName(ChatError):
    """A name that breaks the rules of :mod:`chatd.domain.names`."""

    code = "bad_name"


class BadArguments(ChatError):
    """A command with too few, too many or wrong arguments."""

    code = "bad_arguments"


class BadPassword(ChatError):
    """A new password that can't be taken."""

    code = "bad_password"


class BadMail(ChatError):
    """A mail address that isn't one, or is somebody else's."""

    code = "bad_mail"


class UnknownCommand(ChatError):
    """A command that doesn't exist."""

    code = "unknown_command"

    def __init__(self, shown: str, hint: str) -> None:
        super().__init__(f"There is no command {shown}. Type {hint} for a list.")


class NotNow(ChatError):
    """A command that exists but not in this place."""

    code = "not_now"


class NotAllowed(ChatError):
    """A command that needs a higher role."""

    code = "not_allowed"


class NameTaken(ChatError):
    """A name that is, or looks like, one that somebody has."""

    code = "name_taken"


class AlreadyLoggedIn(ChatError):
    """One session a name, and this name has one."""

    code = "already_logged_in"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is already logged in.")


class WrongPassword(ChatError):
    """A password that doesn't fit; ``left`` tries remain before the lock."""

    code = "wrong_password"

    def __init__(self, left: int | None) -> None:
        tries = "" if left is None else f", {plural(left, 'try', 'tries')} left"
        super().__init__(f"Wrong password{tries}.")


class LockedOut(ChatError):
    """Too many wrong passwords: nothing is checked for so many seconds.

    ``first`` is the refusal that the lock begins with.
    """

    code = "locked_out"

    def __init__(self, name: str, seconds: int, *, first: bool = False) -> None:
        self.seconds, self.first = seconds, first
        if first:
            text = f"Too many wrong passwords: {name} is locked for {plural(seconds, 'second')}."
        else:
            text = f"{name} is locked for {plural(seconds, 'more second')}."
        super().__init__(text)


class TooBusy(ChatError):
    """The server has too much of this kind waiting; the same request may go through later."""

    code = "too_busy"


class NoSuchUser(ChatError):
    """Nobody has this name."""

    code = "no_such_user"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no user {name}.")


class NotHere(ChatError):
    """The person isn't in this channel."""

    code = "not_here"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not here.")


class NoSuchChannel(ChatError):
    """No channel has this name."""

    code = "no_such_channel"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} does not exist.")


class CannotSwitch(ChatError):
    """The name is in that channel, or in its queue, already."""

    code = "cannot_switch"

    def __init__(self, name: str) -> None:
        super().__init__(f"Cannot switch to the {name} channel.")


class NoSuchGroup(ChatError):
    """No group has this name."""

    code = "no_such_group"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} does not exist.")


class GroupExists(ChatError):
    """A group, or a channel, has this name."""

    code = "group_exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} exists already.")


class NotAdmin(ChatError):
    """Only a group's admin may do that."""

    code = "not_admin"

    def __init__(self, name: str) -> None:
        super().__init__(f"Only the admin of {name} can do that.")


class NotMember(ChatError):
    """Only a group's members may do that, or it can be done to a member only."""

    code = "not_member"

    def __init__(self, group: str, who: str = "You") -> None:
        super().__init__(f"{who} {'are' if who == 'You' else 'is'} not a member of {group}.")


class NotValidUser(ChatError):
    """A name that no account has, where only accounts will do."""

    code = "not_valid_user"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not a valid user.")


class Forbidden(ChatError):
    """The admin of a group wants no request of this person."""

    code = "forbidden"


class NotRequested(ChatError):
    """There is no such request to decide on."""

    code = "not_requested"


class TooMany(ChatError):
    """A limit on what one person may have."""

    code = "too_many"


class Blocked(ChatError):
    """One of the two has blocked the other."""

    code = "blocked"


class MailboxFull(ChatError):
    """Somebody has as many unread messages as may wait."""

    code = "mailbox_full"

    def __init__(self, name: str) -> None:
        super().__init__(f"The mailbox of {name} is full; the message was not sent.")


class LineTooLong(ChatError):
    """A line above the configured length, skipped to its end."""

    code = "line_too_long"

    def __init__(self, most: int) -> None:
        super().__init__(f"That line is longer than {most} bytes and was not sent.")


class TooFast(ChatError):
    """More lines than the limit allows, after they were delayed for as long as there was room."""

    code = "too_fast"


class NotStored(ChatError):
    """The store could not take it, so nothing was changed and nobody was shown anything."""

    code = "not_stored"

    def __init__(self) -> None:
        super().__init__("That could not be stored, and was not sent. Please try again later.")


class NotInChannel(ChatError):
    """Somebody isn't in the channel that an operator named with him."""

    code = "not_in_channel"

    def __init__(self, name: str, channel: str) -> None:
        super().__init__(f"{name} is not in {channel}.")


class NotOnline(ChatError):
    """Nobody is online under this name."""

    code = "not_online"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not online.")


class StillMuted(ChatError):
    """An operator lets this person not talk here, for so many more seconds."""

    code = "still_muted"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"You are still muted for {plural(seconds, 'second')}.")


class Banned(ChatError):
    """A name or an address that is kept out; ``left`` is empty where that is for ever."""

    code = "banned"

    def __init__(self, who: str, left: str, reason: str) -> None:
        longer = f" for {left}" if left else ""
        because = f": {reason}" if reason else "."
        super().__init__(f"{who} is banned from this server{longer}{because}")


class NotSanctioned(ChatError):
    """Somebody who is to be unbanned or unmuted is not banned, or not muted."""

    code = "not_sanctioned"


class NotYourself(ChatError):
    """An act that would put out the operator himself."""

    code = "not_yourself"


class ShuttingDown(ChatError):
    """Nobody gets in any more: the server is about to stop."""

    code = "shutting_down"

    def __init__(self, left: str) -> None:
        super().__init__(f"The server shuts down in {left}; nobody can log in now.")


class BadFileName(ChatError):
    """A file's name of which nothing harmless is left."""

    code = "bad_file_name"

    def __init__(self, shown: str) -> None:
        super().__init__(f"{shown or 'Nothing'} is not a file name.")


class NoFiles(ChatError):
    """There is no door for files."""

    code = "no_files"

    def __init__(self) -> None:
        super().__init__("This server takes no files.")


class NoSuchFile(ChatError):
    """No file of this number is on its way from or to this person."""

    code = "no_such_file"

    def __init__(self, number: int) -> None:
        super().__init__(f"There is no file {number} for you or from you; /files lists them.")


class NoSuchTicket(ChatError):
    """A ticket that is for nothing, or not any more, or not for this."""

    code = "no_such_ticket"

    def __init__(self) -> None:
        super().__init__("This ticket is not good, or not any more; /get gives a fresh one.")


class TransferBusy(ChatError):
    """The same person sends or fetches the same file already."""

    code = "transfer_busy"

    def __init__(self) -> None:
        super().__init__("That is under way already, in another connection.")


class WrongOffset(ChatError):
    """An upload or a download that would begin where it can't; ``offset`` is where it can."""

    code = "wrong_offset"

    def __init__(self, offset: int) -> None:
        self.offset = offset
        super().__init__(f"The server has {plural(offset, 'byte')} of it: go on from there.")


class WrongSize(ChatError):
    """Another size than the one that was announced."""

    code = "wrong_size"


class Incomplete(ChatError):
    """A file of which the server doesn't have everything yet."""

    code = "incomplete"


class TooLarge(ChatError):
    """A file, or somebody's files together, above a limit."""

    code = "too_large"


class TooSlow(ChatError):
    """A transfer that hardly moves."""

    code = "too_slow"

    def __init__(self) -> None:
        super().__init__("That was too slow; the same ticket goes on from here.")


class TooLate(ChatError):
    """A connection of which nobody says in time what it is for."""

    code = "too_late"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Nothing was asked for within {plural(seconds, 'second')}.")


class NoSpace(ChatError):
    """The server has no room for files."""

    code = "no_space"

    def __init__(self) -> None:
        super().__init__("The server has no room for that file now.")


class Unwanted(ChatError):
    """A file that the server's scanner refuses."""

    code = "unwanted"


class BadConfiguration(ChatError):
    """A configuration with mistakes, or one that can't be applied; the old one stays in force."""

    code = "bad_configuration"

    def __init__(self, text: str) -> None:
        super().__init__(f"{text}\nNothing was changed.")


class Incident(ChatError):
    """The program's mistake, not the user's: logged under this number."""

    code = "incident"

    def __init__(self, number: int) -> None:
        super().__init__(f"Something went wrong here. The operator can look it up: {number}.")
