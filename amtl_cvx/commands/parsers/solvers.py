"""`amtl-cvx solvers`: its arguments."""

from __future__ import annotations

from amtl_cvx.commands.parsers.base import Commands, command

EXAMPLES = (
    ("solvers", "what is installed, and what installs the rest"),
    ("solvers --json", "the same for a script"),
)


def add(commands: Commands) -> None:
    """Add the command."""
    solvers = command(
        commands, "solvers", help="what is installed, GPU or not, and why not", examples=EXAMPLES
    )
    solvers.add_argument("--json", action="store_true", help="print JSON")
