r"""A back end that is a program: ``solve IN_DIR OUT_DIR``, in any language.

IN_DIR holds what is asked, OUT_DIR, empty, takes the answer:

    ask.txt         lines ``key value``: ask, T, d, N, loss, reduction, coupling, mu, dtype, task, count, ...
    ask.json        the same
    X.npy (N, d)  y.npy (N,)  task.npy (N,) int64  task_weights.npy (T,)  sample_weight.npy (N,), if any
    W.npy (d, T)  B.npy (T, T)

    objective.npy  losses.npy  gradient_W.npy  gradient_B.npy     evaluate: any of them
    W.npy  w.npy  B.npy  objectives.npy                           w-step, one-task, b-step, rounds; W, B: fit

or .csv files of the same names: rows as lines, numbers by commas. Exit code 0 is an answer, 64 "I do not do
this" (the check is skipped), any other a refusal.

What is bounded. The command runs in a process group of its own, which is killed when its time is over and
when it has ended; memory, size of files and core dumps are bounded by limits of the system (`resource`; on
a system without it only time is); of an answer no more bytes are read than its shape needs, and only plain
files. The limit of memory is one of address space: a program that reserves much more than it uses (CUDA,
Java) needs ``memory=None``. A program that leaves its process group on purpose is not followed. Nothing of
what it writes is executed.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from amtl_cvx.errors import ModelError
from amtl_cvx.reference.judge.answers import NoAnswer
from amtl_cvx.reference.judge.asked import ASKS, Asked
from amtl_cvx.reference.judge.backends import LIMIT, BackEnd
from amtl_cvx.reference.judge.files import digests, read_answer, write_asked

UNSUPPORTED = 64
"""The exit code of "I do not do this"."""
MEMORY = 4 * 2**30
"""Bytes of address space, unless told otherwise."""
_SAID = 300  # characters that are shown of what a program writes to stderr
_MOST_SAID = 2**20  # bytes of it that are kept
_LARGEST = 2**28  # bytes of a file that it writes
_CORES = 64


class Executable(BackEnd):
    """A program as a back end.

    Parameters
    ----------
    command : str or sequence of str
        What is run, IN_DIR and OUT_DIR being appended; a text is split as a shell would, no shell runs it.
    name : str, optional
    said : mapping, optional
        What it supports: `dtype`, `losses`, `reductions`, `transfers`, `omegas`, `row_weights`, `accuracy`,
        `expected_failures`, as of a Python object; `asks`, the questions it answers.
    limit : float
        Seconds for one answer.
    memory : int or None
        Bytes of address space; None for no limit.

    Raises
    ------
    ModelError
        For a command that is empty or not found.
    """

    at_once = 2

    def __init__(
        self,
        command: str | Sequence[str],
        *,
        name: str | None = None,
        said: Mapping[str, Any] | None = None,
        limit: float = LIMIT,
        memory: int | None = MEMORY,
    ) -> None:
        words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
        if os.name != "posix":
            raise ModelError(
                "programs are judged where there are process groups (POSIX): give a Python object"
            )
        if not words:
            raise ModelError("expected the command of a back end, it is empty: give the program to run")
        said = dict(said or {})
        self._asks = tuple(said.pop("asks", ASKS))
        super().__init__(name or Path(words[0]).name, said)
        self._command = [_found(words[0]), *words[1:]]
        self._limit, self._memory = limit, memory
        self._running: set[int] = set()
        self._stopped = False
        kept = "not bounded" if memory is None else f"{memory / 2**20:.0f} MiB of address space"
        if _resource() is None:
            kept = "not bounded on this system"
        self.bounds = f"{limit:g} s a call, its process group killed at its end; memory {kept}"

    def offers(self, ask: str) -> bool:
        return ask in self._asks

    def begin(self) -> None:
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True  # for threads that have not heard of it
        for group in tuple(self._running):
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)

    def _answer(self, asked: Asked) -> Mapping[str, object]:
        if self._stopped:
            raise NoAnswer("hung", "not asked: the judge was stopped")
        with tempfile.TemporaryDirectory(prefix="amtl_cvx-", ignore_cleanup_errors=True) as place:
            given, taken = Path(place) / "in", Path(place) / "out"
            given.mkdir()
            taken.mkdir()
            write_asked(asked, given)
            before = digests(given)
            self._run(given, taken, Path(place) / "said")
            try:
                after = digests(given)
            except OSError as error:  # removed, or no folder of its own any more
                words = f"it took IN_DIR away ({error.strerror}): write to OUT_DIR only"
                raise NoAnswer("tampered", words) from error
            if after != before:
                name = min(set(before.items()) ^ set(after.items()))[0]
                raise NoAnswer("tampered", f"it wrote into IN_DIR ({name}): write to OUT_DIR only")
            return read_answer(taken, asked)

    def _run(self, given: Path, taken: Path, said: Path) -> None:
        """Run the command; `NoAnswer` unless it ends with exit code 0 in time."""
        resource, before = _resource(), None
        later = getattr(resource, "prlimit", None)  # of another process, Linux alone
        if resource is not None and later is None:
            before = functools.partial(_bound, resource.setrlimit, self._limits(resource))
        with said.open("w+b") as stream:
            try:
                process = subprocess.Popen(
                    [*self._command, str(given), str(taken)],
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=before,
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise NoAnswer("crashed", f"{self._command[0]} does not start: {error}") from error
            self._running.add(process.pid)
            try:
                if self._stopped:
                    raise NoAnswer("hung", "the judge was stopped")
                if later is not None:
                    with contextlib.suppress(OSError):  # it has ended already
                        _bound(functools.partial(later, process.pid), self._limits(resource))
                in_time = _ends(process.pid, self._limit)
            finally:
                self._running.discard(process.pid)
                code = _killed(process)
            words = _tail(stream)  # of the very file, whatever lies in its place by now
        if not in_time:
            raise NoAnswer("hung", f"no answer within {self._limit:g} s: it was killed")
        if code == UNSUPPORTED:
            raise NoAnswer("unsupported", "exit code 64: it says that it does not do this")
        if code < 0:
            raise NoAnswer("crashed", f"it was ended by {_signal(-code)}{words}")
        if code:
            raise NoAnswer("refused", f"exit code {code}{words}")

    def _limits(self, resource: Any) -> dict[int, int]:
        """What is allowed, by the numbers of `resource`, no more than is allowed here."""
        limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: _LARGEST}
        if self._memory is not None:
            limits[resource.RLIMIT_AS] = self._memory
        if not math.isinf(self._limit):
            limits[resource.RLIMIT_CPU] = _CORES * math.ceil(self._limit) + 1  # of children that were left
        hard = {what: resource.getrlimit(what)[1] for what in limits}
        free = resource.RLIM_INFINITY
        return {what: most if hard[what] == free else min(most, hard[what]) for what, most in limits.items()}


def _bound(setter: Callable[..., object], limits: Mapping[int, int]) -> None:
    for what, most in limits.items():
        setter(what, (most, most))


def _ends(pid: int, limit: float) -> bool:
    """Whether a child ends in time; it is not reaped, so that its number stays its own."""
    until, pause = time.monotonic() + limit, 0.0005
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        left = until - time.monotonic()
        if left <= 0.0:
            return False
        time.sleep(min(pause, left))
        pause = min(1.5 * pause, 0.01)
    return True


def _killed(process: subprocess.Popen[bytes]) -> int:
    """End the whole process group; the exit code of its first process."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _tail(said: BinaryIO) -> str:
    """The last line that the program wrote."""
    with contextlib.suppress(OSError):
        said.seek(max(0, said.seek(0, os.SEEK_END) - _MOST_SAID))
        text = said.read(_MOST_SAID).decode("utf-8", "replace").strip()
        if text:
            return f": {text.splitlines()[-1][:_SAID]}"
    return ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _found(program: str) -> str:
    """The absolute path of a program; `ModelError` where there is none."""
    import shutil

    found = shutil.which(program)
    if found is None:
        there = "may not be run: chmod +x" if os.path.isfile(program) else "is not there: check its path"
        raise ModelError(f"expected a program to run, {program[:80]!r} {there}")
    return os.path.abspath(found)


def _resource() -> Any:
    """The module of limits; None on a system without it."""
    try:
        import resource
    except ImportError:
        return None
    return resource
