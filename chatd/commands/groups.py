"""Commands: groups.

All but a few are about the group that somebody has entered, where his plain lines go.
"""

from collections.abc import Coroutine
from typing import Any, Final

from chatd.commands.table import Word, command
from chatd.domain.errors import (
    BadName,
    GroupExists,
    NoSuchChannel,
    NotNow,
    NotRequested,
    NotValidUser,
)
from chatd.domain.events import Mailed
from chatd.domain.mail import CHUNK
from chatd.domain.names import Name, key_of, read_group_name, read_name
from chatd.domain.records import Role
from chatd.domain.rooms import Group
from chatd.domain.session import Session
from chatd.domain.text import Text

_NOBODY: Final = Text("")
_NO_GROUP: Final = Word("")

Work = Coroutine[Any, Any, None]


@command("create", "create group", needs=Role.USER)
async def create(session: Session, group: Word, members: Text = _NOBODY) -> None:
    """Make a group, with you as its admin and these people as members."""
    hub, name = session.hub, read_group_name(group)
    names = [await _valid(session, word) for word in members.split()]
    try:
        raise GroupExists(hub.channels.find(name).name)
    except NoSuchChannel:
        hub.groups.create(session, name, names)
    away = [key for key in map(key_of, names) if hub.roster.local(key) is None]
    await hub.mail.notify(away, f"{session.name} has made the group {name}, with you in it.")


@command("enter", needs=Role.USER)
async def enter(session: Session, group: Word = _NO_GROUP) -> None:
    """Let your plain lines go to a group, or ask to join it; without a name, to no group."""
    if not group:
        session.talk_in(None)
        session.answer("Your lines go to no group now.")
        return
    target = session.hub.groups.find(group)
    if key_of(session.name) in target.members:
        session.talk_in(target)
        session.answer(f"You are talking in the group {target.name} now.")
        return
    try:
        session.hub.groups.request(session, target)
    except NotRequested:  # it was asked for before
        session.wants = target.room
        raise
    session.wants = target.room


@command("group", "message group", needs=Role.USER)
def group_(session: Session, group: Word, text: Text) -> None:
    """Say something in a group without entering it."""
    session.hub.groups.say(session, session.hub.groups.find(group), text)


@command("groups", "grouplist", needs=Role.USER)
def groups(session: Session) -> None:
    """List the groups you are a member of, each with its members."""
    mine = session.hub.groups.of(key_of(session.name)).values()
    session.answer(*([_described(group) for group in mine] or ["You are in no group."]))


@command("members", "allMembers", needs=Role.USER)
def members(session: Session) -> None:
    """List the members of this group."""
    session.answer(_described(_group(session)))


@command("online", "onlineMembers", needs=Role.USER)
def online(session: Session) -> None:
    """List the members of this group who are online."""
    group, roster = _group(session), session.hub.roster
    names = [name for key, name in group.members.items() if roster.local(key)]
    session.answer(f"Online in {group.name}: {', '.join(names)}.")


@command("admin", "whoAdmin", needs=Role.USER)
def admin(session: Session) -> None:
    """Tell who the admin of this group is."""
    group = _group(session)
    session.answer(f"{group.members[group.admin]} is the admin of the group {group.name}.")


@command("requests", "viewRequests", needs=Role.USER)
def requests(session: Session) -> None:
    """List who has asked to join this group."""
    group = _group(session)
    session.hub.groups.check_admin(session, group)
    names = ", ".join(group.requests.values())
    session.answer(f"Waiting to join {group.name}: {names or 'nobody'}.")


@command("approve", "approveRequest", needs=Role.USER)
def approve(session: Session, name: Name) -> Work:
    """Let somebody in who has asked to join this group."""
    return session.hub.groups.approve(session, _group(session), name)


@command("reject", needs=Role.USER)
def reject(session: Session, name: Name) -> Work:
    """Refuse somebody who has asked to join this group."""
    return session.hub.groups.reject(session, _group(session), name)


@command("add", needs=Role.USER)
async def add(session: Session, name: Name) -> None:
    """Make somebody a member of this group who need not have asked."""
    group = _group(session)
    session.hub.groups.check_admin(session, group)
    await session.hub.groups.add(session, group, await _valid(session, name))


@command("expel", "kickMember", needs=Role.USER)
def expel(session: Session, name: Name) -> Work:
    """Put a member out of this group."""
    return session.hub.groups.expel(session, _group(session), name)


@command("forbid", needs=Role.USER)
async def forbid(session: Session, name: Name) -> None:
    """Put somebody out of this group and let him not even ask to join it."""
    group = _group(session)
    session.hub.groups.check_admin(session, group)
    await session.hub.groups.forbid(session, group, await _valid(session, name))


@command("allow", needs=Role.USER)
def allow(session: Session, name: Name) -> None:
    """Let somebody ask again to join this group."""
    session.hub.groups.allow(session, _group(session), name)


@command("transfer", "changeAdmin", needs=Role.USER)
def transfer(session: Session, name: Name) -> None:
    """Make another member the admin of this group."""
    session.hub.groups.transfer(session, _group(session), name)


@command("leave", needs=Role.USER)
def leave(session: Session) -> None:
    """Be a member of this group no longer."""
    session.hub.groups.leave(session, _group(session))
    session.talk_in(None)


@command("offline", needs=Role.USER)
async def offline(session: Session) -> None:
    """Show the messages that you have not read yet."""
    lines = await session.hub.store.unread(key_of(session.name), {}, CHUNK)
    # Lines of a group are stored for everybody, those of whom one has blocked too.
    missed = tuple(said for said in lines if key_of(said.author) not in session.link.deaf_to)
    if missed:
        session.tell(Mailed(missed, session.hub.clock.seconds()))
    else:
        session.answer("You have read everything.")


def _group(session: Session) -> Group:
    if session.group is None:
        raise NotNow("You are in no group. Type /enter and a group's name first.")
    return session.group


async def _valid(session: Session, word: str) -> Name:
    """The account of that name, as it is written.

    Raises:
        NotValidUser: there is none.
    """
    try:
        account = await session.hub.store.account(key_of(read_name(word)))
    except BadName:
        account = None
    if account is None:
        raise NotValidUser(word)
    return account.name


def _described(group: Group) -> str:
    names = (
        f"{name} (admin)" if key == group.admin else name for key, name in group.members.items()
    )
    return f"{group.name}: {', '.join(names)}."
