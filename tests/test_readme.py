"""The README tells what the code does."""

from pathlib import Path

from chatd.commands import TABLE
from chatd.commands.table import as_rst

README = Path(__file__).parent.parent / "README.rst"


def test_table_of_commands() -> None:
    """The README lists every command as the program has it."""
    _, _, rest = README.read_text().partition(".. commands-begin\n\n")
    table, _, _ = rest.partition("\n.. commands-end\n")
    assert table == as_rst(TABLE)
