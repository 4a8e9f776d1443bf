"""What people can type: one decorated function a command, collected in one table.

A new command is a function in one of these modules; see :mod:`chatd.commands.table`.
"""

from typing import Final

from chatd.commands import account, accounts, basics, files, groups, operator, people, rooms, talk
from chatd.commands.table import CommandTable

TABLE: Final = CommandTable.collect(
    talk, rooms, groups, files, people, account, basics, operator, accounts
)
