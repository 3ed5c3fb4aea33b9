"""Completion in a shell: the script that shtab writes from the parser.

amtl-cvx --print-completion bash > ~/.local/share/bash-completion/completions/amtl-cvx
"""

from __future__ import annotations

import argparse

from amtl_cvx.errors import ModelError


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell; `ModelError` where shtab is not installed."""
    try:
        import shtab
    except ImportError as error:
        raise ModelError(
            '--print-completion needs shtab: pip install "amtl-cvx[completion]", or pip install shtab'
        ) from error
    parsers = [parser]
    for group in parser._actions:
        if isinstance(group, argparse._SubParsersAction):
            parsers += group.choices.values()
    for each in parsers:
        for action in each._actions:
            if action.dest in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell=shell))


_FILES = {"data", "solution", "run", "rows", "out", "start", "validation", "test", "proof"}
"""Arguments that may name a file."""
