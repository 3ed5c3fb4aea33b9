"""One process of the campaign: runs its share of the cases, one after another, and reports each on stdout.

    python trial.py WORK SEED MUTATED FIRST STEP

runs the cases FIRST, FIRST + STEP, ... and prints one JSON line before a case (its number) and one after it.
The parent kills it when a case takes too long or too much memory, and starts another one behind that case.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from cases import CHECKER, Case
from crafted import crafted
from mutations import mutators
from sound import Sound, sounds

from amtl_cvx.cli import main as command
from amtl_cvx.enclosure import checker


def all_cases(seed: int, mutated: int, work: Path) -> Iterator[Case]:
    """`mutated` mutations, spread over all kinds of files, then the crafted ones."""
    found = sounds(seed, work)
    for number in range(mutated):
        yield mutation(seed, number, found[number % len(found)])
    yield from crafted(seed, found)


def mutation(seed: int, number: int, sound: Sound) -> Case:
    """A sound file with damage that depends on the two numbers alone."""
    rng = np.random.default_rng([seed, number])
    choices = mutators(sound.damaged)
    mutate = choices[int(rng.integers(len(choices)))]
    damaged = mutate(sound.files[sound.damaged], rng)
    name = f"{number} {sound.kind}: {mutate.__name__}"
    return Case(name=name, words=sound.words, files={**sound.files, sound.damaged: damaged})


def peak() -> int:
    """Peak resident memory since `reset`, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def reset() -> None:
    """Begin the peak anew."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def ran(case: Case, folder: Path) -> dict[str, object]:
    """Exit code, what was printed, seconds and memory of one case."""
    case.lay(folder)
    os.chdir(folder)
    out, err = io.StringIO(), io.StringIO()
    reset()
    before, started = peak(), time.perf_counter()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            words = list(case.words)
            code = checker.main(words[1:]) if words[0] == CHECKER else command(words)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 70
        except BaseException as error:
            err.write(f"Traceback: {type(error).__name__}: {error}")
            code = 70
    seconds = time.perf_counter() - started
    return {
        "code": int(code),
        "out": out.getvalue()[-2000:],
        "err": err.getvalue()[-4000:],
        "seconds": seconds,
        "peak": peak(),
        "before": before,
    }


def main(words: list[str]) -> None:
    """The share of this process."""
    work, (seed, mutated, first, step) = Path(words[0]), (int(word) for word in words[1:])
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a solver prints is no report
    for number, case in islice(enumerate(all_cases(seed, mutated, work)), first, None, step):
        print(
            json.dumps(
                {
                    "begin": number,
                    "name": case.name,
                    "expected": case.expected,
                    "checker": case.words[0] == CHECKER,
                }
            ),
            file=report,
            flush=True,
        )
        with tempfile.TemporaryDirectory(dir=work, ignore_cleanup_errors=True) as folder:
            result = ran(case, Path(folder))
            os.chdir(work)
        print(json.dumps({"end": number, **result}), file=report, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
