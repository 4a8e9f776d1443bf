"""Commands: files, which go over a port of their own.

What is typed here only opens and closes ways for them; the bytes never come through the chat.
"""

import shlex
from collections.abc import Mapping
from typing import Final

import attrs

from chatd.commands.table import NOT_WAITING, Word, command
from chatd.domain.blocking import check_heard
from chatd.domain.errors import (
    BadArguments,
    BadFileName,
    BadName,
    Blocked,
    ChatError,
    NoSuchChannel,
    NoSuchGroup,
    NotHere,
    NotMember,
    NotNow,
)
from chatd.domain.filenames import read_file_name
from chatd.domain.names import GROUP, Key, Name, RoomName, key_of, read_name
from chatd.domain.records import Role
from chatd.domain.rooms import Group
from chatd.domain.session import Session
from chatd.domain.text import Text

_MOST_DIGITS: Final = 18


@attrs.frozen
class Recipients:
    """Who is to have a file: what they are called together, and the group that they must be in."""

    people: Mapping[Key, Name]
    to: str
    room: RoomName | None = None


@command("send", "fileTransfer", needs=Role.USER)
async def send(session: Session, target: Word, file: Text) -> None:
    """Send a file, as "NAME [SIZE]", to a person, to @GROUP or a group, or to your channel."""
    path, size = _file(file)
    wrong: list[ChatError] = []
    recipients = None
    try:
        recipients = await _recipients(session, target)
    except ChatError as error:
        wrong.append(error)
    try:
        read_file_name(path)
    except BadFileName as error:
        wrong.append(error)
    # Where both are wrong both are told, the last by whoever catches it.
    for refusal in wrong[:-1]:
        session.refuse(refusal)
    if wrong:
        raise wrong[-1]
    assert recipients is not None
    await session.hub.files.send(
        session, recipients.people, recipients.to, recipients.room, path, size
    )


@command("files", needs=Role.USER, when=NOT_WAITING)
async def files(session: Session) -> None:
    """List the files that you are offered, and those that you send."""
    lines = await session.hub.files.listed(session)
    session.answer(*(lines or ["There are no files for you or from you."]))


@command("get", needs=Role.USER)
async def get(session: Session, file: int) -> None:
    """Get a fresh ticket: to fetch a file, or to go on sending one; as /files numbers them."""
    await session.hub.files.renew(session, file)


@command("cancel", needs=Role.USER)
async def cancel(session: Session, file: int) -> None:
    """Take a file back that you send, or decline one that you are offered."""
    await session.hub.files.cancel(session, file)


def _file(text: str) -> tuple[str, int | None]:
    """A path and, as the last word, a size in bytes; a path that ends in digits is quoted."""
    text = text.strip()
    if text[0] in "\"'":
        try:
            path, *rest = shlex.split(text)
        except ValueError:
            raise BadArguments("There is no closing quotation mark.") from None
        if len(rest) > 1:
            raise BadArguments("Usage: /send TARGET NAME [SIZE]")
        return path, _size(rest[0]) if rest else None
    path, space, last = text.rpartition(" ")
    if space and last.removeprefix("-").isdecimal():
        return path.rstrip(), _size(last)
    return text, None


def _size(word: str) -> int:
    if not (word.isascii() and word.isdigit()) or len(word) > _MOST_DIGITS:
        raise BadArguments(f"{word} is not a size in bytes.")
    return int(word)


async def _recipients(session: Session, target: str) -> Recipients:
    """Whom a word means: a person goes before a group of that name, and that before a channel."""
    if target.startswith(GROUP):
        return _members(session, session.hub.groups.find(target.removeprefix(GROUP)))
    person = await _person(session, target)
    if person is not None:
        return person
    try:
        return _members(session, session.hub.groups.find(target))
    except NoSuchGroup:
        pass
    try:
        channel = session.hub.channels.find(target)
    except NoSuchChannel:
        raise NotHere(target) from None
    if channel is not session.place:
        raise NotNow(f"You are not in {channel.name}.")
    # A file's name can say a lot.
    session.hub.sanctions.check_talk(channel.name, key_of(session.name))
    names = await session.hub.roster.here(channel.name)
    return Recipients(await _accounts(session, names), f"everybody in {channel.name}")


async def _person(session: Session, target: str) -> Recipients | None:
    try:
        name = read_name(target)
    except BadName:
        return None
    account = await session.hub.store.account(key_of(name))
    if account is None:
        if await session.hub.roster.find(name) is not None:
            raise NotNow(f"{name} is a guest, and files go to accounts only.")
        return None
    if account.key == session.key:
        raise NotNow("You can't send a file to yourself.")
    check_heard(session, account.name)
    return Recipients({account.key: account.name}, account.name)


def _members(session: Session, group: Group) -> Recipients:
    if session.key not in group.members:
        raise NotMember(group.name)
    people = _others(session, group.members)
    if not people:
        raise NotNow("There is nobody else.")
    return Recipients(people, f"the group {group.name}", group.room)


async def _accounts(session: Session, names: list[Name]) -> Mapping[Key, Name]:
    """Those of them who have an account."""
    found = {}
    for name in names:
        holder = await session.hub.roster.find(name)
        if holder is not None and holder.account is not None:
            found[key_of(name)] = name
    people = _others(session, found)
    if not people:
        raise NotNow("There is nobody else with an account.")
    return people


def _others(session: Session, people: Mapping[Key, Name]) -> dict[Key, Name]:
    """All but oneself and whom one would not hear."""
    found = {}
    for key, name in people.items():
        try:
            check_heard(session, name)
        except Blocked:
            continue
        if key != session.key:
            found[key] = name
    return found
