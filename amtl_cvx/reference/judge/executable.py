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
import json
import math
import os
import shlex
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.errors import AMTLError, ModelError
from amtl_cvx.reference.judge.answers import WANTED, NoAnswer, shape_of
from amtl_cvx.reference.judge.asked import ASKS, Asked, Numbers
from amtl_cvx.reference.judge.backends import LIMIT, BackEnd
from amtl_cvx.untrusted import digest
from amtl_cvx.untrusted.npy import read_array

UNSUPPORTED = 64
"""The exit code of "I do not do this"."""
MEMORY = 4 * 2**30
"""Bytes of address space, unless told otherwise."""
_ROOM = 2**16  # bytes of a file beside its numbers
_CELL = 64  # bytes of a number in a table
_SAID = 300  # characters that are shown of what a program writes to stderr
_MOST_SAID = 2**20  # bytes of it that are kept


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
        if not words:
            raise ModelError("expected the command of a back end, it is empty: give the program to run")
        said = dict(said or {})
        self._asks = tuple(said.pop("asks", ASKS))
        super().__init__(name or Path(words[0]).name, said)
        self._command = [_found(words[0]), *words[1:]]
        self._limit, self._memory = limit, memory
        kept = "not bounded" if memory is None else f"{memory / 2**20:.0f} MiB of address space"
        if _resource() is None:
            kept = "not bounded on this system"
        self.bounds = f"{limit:g} s a call, its process group killed at its end; memory {kept}"

    def offers(self, ask: str) -> bool:
        return ask in self._asks

    def _answer(self, asked: Asked) -> Mapping[str, object]:
        with tempfile.TemporaryDirectory(prefix="amtl_cvx-", ignore_cleanup_errors=True) as place:
            given, taken = Path(place) / "in", Path(place) / "out"
            given.mkdir()
            taken.mkdir()
            write_asked(asked, given)
            before = _digests(given)
            self._run(given, taken, Path(place) / "said")
            if (after := _digests(given)) != before:
                name = min(set(before.items()) ^ set(after.items()))[0]
                raise NoAnswer("tampered", f"it wrote into IN_DIR ({name}): write to OUT_DIR only")
            return _read(taken, asked)

    def _run(self, given: Path, taken: Path, said: Path) -> None:
        """Run the command; `NoAnswer` unless it ends with exit code 0 in time."""
        with said.open("wb") as stream:
            try:
                process = subprocess.Popen(
                    [*self._command, str(given), str(taken)],
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=self._bounded(),
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise NoAnswer("crashed", f"{self._command[0]} does not start: {error}") from error
            try:
                code = process.wait(None if math.isinf(self._limit) else self._limit)
            except subprocess.TimeoutExpired:
                raise NoAnswer("hung", f"no answer within {self._limit:g} s: it was killed") from None
            finally:
                _kill(process)
        if code == UNSUPPORTED:
            raise NoAnswer("unsupported", "exit code 64: it says that it does not do this")
        if code < 0:
            raise NoAnswer("crashed", f"it was ended by {_signal(-code)}{_tail(said)}")
        if code:
            raise NoAnswer("refused", f"exit code {code}{_tail(said)}")

    def _bounded(self) -> Callable[[], None] | None:
        """What sets the limits of the child, between fork and exec; None where the system has none."""
        resource = _resource()
        if resource is None:
            return None
        memory, seconds = self._memory, self._limit
        limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 2**28)]
        if memory is not None:
            limits.append((resource.RLIMIT_AS, memory))
        if not math.isinf(seconds):
            limits.append((resource.RLIMIT_CPU, 64 * math.ceil(seconds) + 1))  # of children that were left

        def bounded() -> None:
            for what, most in limits:
                hard = resource.getrlimit(what)[1]
                least = most if hard == resource.RLIM_INFINITY else min(most, hard)
                resource.setrlimit(what, (least, least))

        return bounded


def write_asked(asked: Asked, place: Path) -> None:
    """Write what is asked as the files of IN_DIR."""
    task = np.concatenate([np.full(len(y), t, dtype=np.int64) for t, y in enumerate(asked.y)])
    arrays: dict[str, Numbers] = {
        "X": np.concatenate(asked.X),
        "y": np.concatenate(asked.y),
        "task": task,
        "task_weights": asked.task_weights,
        "W": asked.W,
        "B": asked.B,
    }
    if asked.sample_weight is not None:
        arrays["sample_weight"] = np.concatenate(asked.sample_weight)
    for name, array in arrays.items():
        kind = array.dtype.newbyteorder("<")
        np.save(place / f"{name}.npy", np.ascontiguousarray(array, dtype=kind), allow_pickle=False)
    said = words_of(asked)
    (place / "ask.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    lines = [f"{key} {_plain(value)}\n" for key, value in said.items() if not isinstance(value, list)]
    (place / "ask.txt").write_text("".join(lines), encoding="utf-8")


def words_of(asked: Asked) -> dict[str, Any]:
    """What ask.json says."""
    said: dict[str, Any] = {
        "ask": asked.ask,
        "T": asked.T,
        "d": asked.d,
        "N": sum(len(y) for y in asked.y),
        "loss": asked.loss,
        **{f"loss_{name}": value for name, value in asked.loss_parameters.items()},
        "reduction": asked.reduction,
        "coupling": asked.coupling,
        "mu": asked.mu,
        "transfer": asked.transfer,
        **{f"transfer_{name}": value for name, value in asked.transfer_parameters.items()},
        "dtype": asked.dtype,
    }
    if asked.omega is not None:
        said |= {"omega": asked.omega, **{f"omega_{k}": v for k, v in asked.omega_parameters.items()}}
    said |= {} if asked.task is None else {"task": asked.task}
    said |= {} if asked.count is None else {"count": asked.count}
    return said | {"task_names": list(asked.task_names), "feature_names": list(asked.feature_names)}


def _plain(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _read(place: Path, asked: Asked) -> dict[str, object]:
    """The parts of an answer that lie in OUT_DIR."""
    found: dict[str, object] = {}
    for name in WANTED[asked.ask]:
        for suffix, reader in ((".npy", _npy), (".csv", _csv)):
            path = place / f"{name}{suffix}"
            if os.path.lexists(path):
                found[name] = reader(path, shape_of(name, asked))
                break
    if not found:
        wanted = " and ".join(f"{name}.npy" for name in WANTED[asked.ask])
        raise NoAnswer("invalid", f"exit code 0, and OUT_DIR has none of {wanted}")
    return found


def _npy(path: Path, shape: tuple[int, ...]) -> Numbers:
    _check_file(path, 16 * max(math.prod(shape), 1) + _ROOM)
    try:
        with path.open("rb") as stream:
            return read_array(stream, path.name, os.fstat(stream.fileno()).st_size)
    except (AMTLError, OSError) as error:
        raise NoAnswer("invalid", f"{path.name}: {error}") from error
    except Exception as error:  # a damaged header makes NumPy raise anything
        raise NoAnswer(
            "invalid", f"{path.name} is no .npy file: {type(error).__name__}: {str(error)[:120]}"
        ) from error


def _csv(path: Path, shape: tuple[int, ...]) -> Numbers:
    _check_file(path, _CELL * max(math.prod(shape), 1) + _ROOM)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
        rows = [[float(cell) for cell in line.split(",")] for line in lines if line.strip()]
        table = np.array(rows, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise NoAnswer("invalid", f"{path.name} is no table of numbers: {error}") from error
    small = len(shape) < 2 and table.size == max(math.prod(shape), 1)
    return table.reshape(shape) if small else table


def _check_file(path: Path, most: int) -> None:
    """`NoAnswer` for anything but a plain file of at most so many bytes."""
    try:
        status = path.lstat()
    except OSError as error:
        raise NoAnswer("invalid", f"{path.name} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise NoAnswer("invalid", f"{path.name} is not a plain file")
    if status.st_size > most:
        raise NoAnswer("invalid", f"{path.name} has {status.st_size} bytes, expected at most {most}")


def _digests(place: Path) -> dict[str, str]:
    """The SHA-256 of the plain files in a folder, and what else is there."""
    return {
        path.name: digest(path) if stat.S_ISREG(path.lstat().st_mode) else "no file"
        for path in sorted(place.iterdir())
    }


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        process.wait(5.0)


def _tail(said: Path) -> str:
    """The last line that the program wrote."""
    with contextlib.suppress(OSError), said.open("rb") as stream:
        stream.seek(max(0, said.stat().st_size - _MOST_SAID))
        text = stream.read(_MOST_SAID).decode("utf-8", "replace").strip()
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
        raise ModelError(
            f"expected a program to run, there is no {program[:80]!r}: check its path and rights"
        )
    return os.path.abspath(found)


def _resource() -> Any:
    """The module of limits; None on a system without it."""
    try:
        import resource
    except ImportError:
        return None
    return resource
