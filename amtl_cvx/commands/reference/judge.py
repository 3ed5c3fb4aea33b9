"""`amtl-cvx reference judge`: a back end, as a Python object or a program, or one answer.

A target is ``module:Object`` or ``file.py:Object``, imported by the user's own word, or a program. Nothing of
a back end is executed but what the target names.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amtl_cvx.commands.output import write_whole
from amtl_cvx.commands.reference.selection import places_of
from amtl_cvx.commands.setup import interruptible
from amtl_cvx.console import emit, note, say
from amtl_cvx.errors import DataError, Exit, ModelError
from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import to_json

if TYPE_CHECKING:
    from amtl_cvx.reference import Pack
    from amtl_cvx.reference.judge import BackEnd, Result, Verdict

_LISTS = {"loss": "losses", "reduction": "reductions", "transfer": "transfers", "omega": "omegas"}
"""Options, and what a back end calls them."""


def run(arguments: Namespace) -> Exit:
    """`amtl-cvx reference judge`."""
    if (arguments.target is None) == (arguments.solution is None):
        raise ModelError(
            "expected a TARGET or --solution FILE, and not both: see amtl-cvx reference judge --help"
        )
    if arguments.solution is not None:
        from amtl_cvx.commands.reference.answer import judge_answer

        return judge_answer(arguments)
    _check_places(arguments)
    from amtl_cvx.reference.judge import judge

    backend = _backend(arguments)
    packs = _packs(arguments, backend)
    levels = _words(arguments.levels)
    done, bad = 0, 0
    with interruptible(), Progress(quiet=arguments.quiet, tol=1e-8) as progress:
        progress.phase(f"judging {backend.name}")

        def observe(result: Result) -> None:
            nonlocal done, bad
            done, bad = done + 1, bad + result.bad
            progress.passing(f"{result.check.id}: {result.status} ({done} checks, {bad} failed)")

        verdict = judge(backend, packs=packs, levels=levels, observe=observe)
    _report(arguments, verdict)
    return Exit.DONE if verdict.passes else Exit.UNCERTIFIED


def _report(arguments: Namespace, verdict: Verdict) -> None:
    """The verdict on the console and in the files that were asked for."""
    if arguments.json:
        say(to_json(verdict.to_dict()).rstrip())
    elif not arguments.quiet:
        from amtl_cvx.reference.judge.table import table

        emit(table(verdict, color=sys.stdout.isatty()), styled=True)
    if arguments.junit is not None:
        from amtl_cvx.reference.judge.junit import junit

        write_whole(arguments.junit, junit(verdict).encode())
    if arguments.html is not None:
        from amtl_cvx.reference.judge.page import write_page

        write_page(arguments.html, verdict)
    if not arguments.quiet:
        places = [str(place) for place in (arguments.junit, arguments.html) if place is not None]
        if places:
            note(f"wrote {' and '.join(places)}")


def _check_places(arguments: Namespace) -> None:
    """`DataError`, before a minute is spent, where a file cannot be written."""
    for option in ("junit", "html"):
        place: Path | None = getattr(arguments, option)
        if place is not None and (place.is_dir() or not place.absolute().parent.is_dir()):
            what = "it is a folder, or its folder does not exist"
            raise DataError(f"cannot write {place}: {what}: choose another --{option}")


def _backend(arguments: Namespace) -> BackEnd:
    """The back end that the target names, with what the options say it supports."""
    from amtl_cvx.reference.judge import Executable, PythonBackEnd
    from amtl_cvx.reference.judge.backends import LIMIT
    from amtl_cvx.reference.judge.executable import MEMORY

    said: dict[str, Any] = {name: _words(getattr(arguments, option)) for option, name in _LISTS.items()}
    said |= {"dtype": arguments.dtype, "row_weights": arguments.row_weights}
    limit = _positive("timeout", arguments.timeout) or LIMIT
    memory = _positive("memory", arguments.memory)
    target: str = arguments.target
    module, colon, name = target.rpartition(":")
    if colon and name.isidentifier() and module and not Path(target).exists():
        if memory is not None:
            raise ModelError(
                "--memory bounds an executable, the memory of a Python object is not bounded: leave it out"
            )
        found = _object(module, name)
        if isinstance(found, type):
            found = found()
        return PythonBackEnd(_With(found, said), limit=limit)
    if target.endswith(".py") and Path(target).is_file() and not os.access(target, os.X_OK):
        raise ModelError(
            f"{target} is a Python file and no program: say {target}:Object, the name of a back end in it"
        )
    words = [target] if Path(target).exists() else shlex.split(target)
    room = MEMORY if memory is None else None if math.isinf(memory) else int(memory * 2**20)
    return Executable(words, said=said, limit=limit, memory=room)


class _With:
    """An object with some of its attributes said otherwise."""

    def __init__(self, found: Any, said: dict[str, Any]) -> None:
        self._found = found
        known = {key: value for key, value in said.items() if value is not None}
        self.__dict__.update({"name": getattr(found, "name", type(found).__name__), **known})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_found"], name)


def _object(module: str, name: str) -> Any:
    """``module:Object`` or ``file.py:Object``; `ModelError` where there is none."""
    try:
        if module.endswith(".py") or "/" in module:
            path = Path(module)
            if not path.is_file():
                raise ModelError(
                    f"expected a file {module[:80]!r} with {name}, there is none: check its name"
                )
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None and spec.loader is not None
            found = importlib.util.module_from_spec(spec)
            sys.modules.setdefault(path.stem, found)
            sys.path.insert(0, str(path.resolve().parent))
            spec.loader.exec_module(found)
        else:
            sys.path.insert(0, str(Path.cwd()))
            found = importlib.import_module(module)
    except ModelError:
        raise
    except Exception as error:  # whatever a file of the user's own raises
        raise ModelError(
            f"{module} cannot be imported ({type(error).__name__}: {error}): run it by itself"
        ) from error
    try:
        return getattr(found, name)
    except AttributeError as error:
        names = ", ".join(each for each in vars(found) if not each.startswith("_"))
        raise ModelError(
            f"{module} has no {name}, it has {names[:200] or 'nothing'}: check the name"
        ) from error


def _packs(arguments: Namespace, backend: BackEnd) -> Sequence[Pack] | None:
    """The packs that are named; of several those that suit the back end."""
    from amtl_cvx.reference import read_pack
    from amtl_cvx.reference.judge.choice import why_not

    words = _words(arguments.packs)
    if words is None:
        return None
    found = [read_pack(place) for place in places_of(words, None)]
    fitting = [pack for pack in found if not why_not(backend, pack)]
    if not fitting:
        why = why_not(backend, found[0])
        raise ModelError(
            f"none of the packs {arguments.packs[:80]!r} suits {backend.name}: {found[0].name}: {why}"
        )
    return fitting


def _words(text: str | None) -> tuple[str, ...] | None:
    """Words with commas between them."""
    if text is None:
        return None
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _positive(option: str, value: float | None) -> float | None:
    if value is not None and not value > 0.0:
        raise ModelError(f"--{option} must be a number > 0, got {value!r}")
    return value
