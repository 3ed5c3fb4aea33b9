"""Completion in a shell: the script that shtab writes from the parser.

amtl-cvx --print-completion bash > ~/.local/share/bash-completion/completions/amtl-cvx
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from amtl_cvx.errors import ModelError


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell; `ModelError` where shtab is not installed."""
    try:
        import shtab
    except ImportError as error:
        raise ModelError(
            '--print-completion needs shtab: pip install "amtl-cvx[completion]", or pip install shtab'
        ) from error
    for action in _actions(parser):
        if action.dest in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell=shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _actions(each)


_FILES = {
    *("data", "solution", "run", "rows", "out", "start", "validation", "test", "proof"),
    *("target", "folder", "junit", "html"),
}
"""Arguments that may name a file."""
