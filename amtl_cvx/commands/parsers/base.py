"""What every parser has: errors of one line, help with examples and exit codes, --verbose."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NoReturn, TypeAlias

from amtl_cvx.console import note, say
from amtl_cvx.errors import Exit

Examples: TypeAlias = Sequence[tuple[str, str]]
"""Command lines without the program's name, and what they are for."""

_WORDS: Mapping[Exit, str] = {
    Exit.DONE: "done, and certified where that is asked for",
    Exit.UNCERTIFIED: "done, but the certificate does not pass",
    Exit.USAGE: "bad usage or bad data",
    Exit.SOLVER: "a solver failed, or a worker was lost",
    Exit.BUG: "a bug",
    Exit.INTERRUPTED: "interrupted",
}
_USUAL = (Exit.DONE, Exit.USAGE, Exit.BUG, Exit.INTERRUPTED)


class Parser(argparse.ArgumentParser):
    """Bad usage is one line, like every other error; help goes the way of results.

    Below the options stand examples and exit codes, above them what `further` says, made where it is printed.
    """

    further: Callable[[], Sequence[str]] = staticmethod(list)

    def error(self, message: str) -> NoReturn:
        note(f"error: {message}; see {self.prog} --help")
        self.exit(Exit.USAGE)

    def print_help(self, file: object = None) -> None:
        self.epilog = "\n".join([*self.further(), self.epilog or ""])
        say(self.format_help().rstrip())


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def command(
    commands: Commands,
    name: str,
    *,
    help: str,
    examples: Examples,
    codes: Sequence[Exit] = _USUAL,
    words: Mapping[Exit, str] = MappingProxyType({}),
) -> Parser:
    """A command, with what every one of them has; `words` say what its exit codes mean where that differs."""
    parser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=epilog(examples, codes, words),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="say on stderr what is done, and what it will take"
    )
    return parser


def epilog(
    examples: Examples, codes: Sequence[Exit], words: Mapping[Exit, str] = MappingProxyType({})
) -> str:
    """What stands below the options: examples and exit codes."""
    lines = ["examples:"]
    for line, aim in examples:
        lines += [f"  amtl-cvx {line}", f"      {aim}"]
    lines += ["", "exit codes:"]
    lines += [f"  {int(code):>3}  {words.get(code, _WORDS[code])}" for code in codes]
    return "\n".join(lines)
