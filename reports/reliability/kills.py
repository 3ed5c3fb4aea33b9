"""Fits that are killed at a random moment while an earlier certified run stands in their place.

    python kills.py WORK SEED FIRST STEP COUNT

runs the kills FIRST, FIRST + STEP, ... below COUNT and prints a JSON line for each. A fit runs in a fork of
this process, which has everything imported, so that the moments fall into reading, fitting, drawing and
writing; one in ten starts a fresh interpreter instead. After the kill DIR must hold a whole certified run,
the old or the new one, and the user's own file; after the next run nothing else may lie beside it but what an
interrupted fit has said it left.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import amtl_cvx.commands.fit  # noqa: F401  (a fork of this process has it imported)
import amtl_cvx.plotting
import amtl_cvx.report  # noqa: F401
from amtl_cvx import certify, read
from amtl_cvx.cli import main as command
from amtl_cvx.runfolder import read_run
from amtl_cvx.runfolder.files import locate

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
T, D, N = 5, 4, 12
NOTE = b"mine\n"


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill: when, how the fit ended, which run stands in DIR, what is wrong."""

    number: int
    signal: str
    moment: float
    code: int
    stands: str
    faults: tuple[str, ...]


def write_data(path: Path) -> None:
    """A small problem whose fit takes some tenths of a second."""
    rng = np.random.default_rng(5)
    X, w = rng.normal(size=(T * N, D)), rng.normal(size=D)
    y = X @ w + 0.5 * rng.normal(size=T * N)
    np.savez(path, X=X, y=y, task=np.repeat(np.arange(T), N))


def words(mu: float) -> list[str]:
    return ["fit", "data.npz", "--out", "run", "--coupling", "1", "--mu", str(mu), "--quiet"]


def started(mu: float, folder: Path, *, fresh: bool) -> int:
    """The process id of a fit in `folder`."""
    if fresh:
        log = (folder / "log").open("ab")
        arguments = [sys.executable, "-m", "amtl_cvx", *words(mu)]
        return subprocess.Popen(arguments, cwd=folder, stdout=log, stderr=log).pid
    pid = os.fork()
    if pid:
        return pid
    os.chdir(folder)
    for name in (1, 2):
        os.dup2(os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), name)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 70
    try:
        code = command(words(mu))
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """Exit code of a process, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill(folder: Path, number: int, rng: np.random.Generator, usual: dict[bool, float]) -> Kill:
    """Kill the next fit in `folder` and look at what is left."""
    fresh, which = number % 10 == 9, SIGNALS[number % len(SIGNALS)]
    old = float(read_run(folder / "run").run["model"]["mu"])
    new = 0.3 - old
    pid, late = started(new, folder, fresh=fresh), rng.random() < 0.5
    moment = usual[fresh] * float(rng.uniform(0.6, 1.1) if late else rng.uniform(0.0, 1.0))
    time.sleep(moment)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, which)
    code = ended(pid)
    faults, stands = _standing(folder, old, new)
    again = ended(started(new, folder, fresh=False))
    if again:
        faults.append(f"the next run ended with {again}")
    after, stood = _standing(folder, new, new)
    said = (folder / "log").read_text(errors="replace")
    faults += after + _litter(folder, said)
    if "Traceback" in said:
        faults.append("a traceback")
    (folder / "log").write_bytes(b"")
    for path in folder.glob("run.interrupted*"):
        subprocess.run(["rm", "-rf", str(path)], check=True)
    return Kill(
        number=number, signal=which.name, moment=moment, code=code, stands=stands, faults=tuple(faults)
    )


def _standing(folder: Path, old: float, new: float) -> tuple[list[str], str]:
    """What is wrong with the run in DIR, and whether it is the old or the new one."""
    try:
        stored = read_run(folder / "run")
        run = stored.run
        mu = float(run["model"]["mu"])
        certificate = certify(read(folder / "data.npz").train, stored.model, stored.W, stored.B)
        faults = []
        if (folder / "run" / "notes.txt").read_bytes() != NOTE:
            faults.append("the user's file is another one")
        if mu not in (old, new):
            faults.append(f"a run with mu {mu}")
        if not certificate.passes or run["status"] != "certified":
            faults.append("the run in DIR is not certified")
        told = json.loads(locate(folder / "run", "certificate.json").read_text())["objective"]
        if abs(told - certificate.objective) > 1e-12 * abs(told):
            faults.append("a mixture of two runs")
        return faults, "old" if mu == old else "new"
    except Exception as error:
        return [f"DIR cannot be read: {type(error).__name__}: {error}"], "none"


def _litter(folder: Path, said: str) -> list[str]:
    """What lies in the folder although nobody was told of it."""
    expected = {"data.npz", "run", "log", "notes.txt"}
    there = {path.name for path in folder.iterdir()} | {
        path.name for path in (folder / "run").iterdir() if path.name.startswith(".")
    }
    told = {name for name in there if re.match(r"run\.(interrupted|uncertified)", name) and name in said}
    return [f"litter: {', '.join(sorted(there - expected - told))}"] if there - expected - told else []


def main(arguments: list[str]) -> None:
    """The share of this process."""
    folder, (seed, first, step, count) = Path(arguments[0]), (int(word) for word in arguments[1:])
    folder.mkdir(parents=True)
    write_data(folder / "data.npz")
    usual = {}
    for fresh in (True, False):
        begun = time.perf_counter()
        if ended(started(0.1, folder, fresh=fresh)):
            raise RuntimeError((folder / "log").read_text())
        usual[fresh] = time.perf_counter() - begun
    (folder / "run" / "notes.txt").write_bytes(NOTE)
    for number in range(first, count, step):
        result = kill(folder, number, np.random.default_rng([seed, number]), usual)
        print(json.dumps(asdict(result)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
