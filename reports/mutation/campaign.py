# More than 300 lines: a report is one script.
"""Mutation of the verifier and of the solvers: a seeded sample, the README's tests against every mutant.

    python reports/mutation/campaign.py                       what has no result yet, hours on two cores
    python reports/mutation/campaign.py --quick --most 20     20 of those, the nearest tests only
    python reports/mutation/campaign.py --only steps --list   the sample of one package, nothing is run

Each mutant (`mutants`) is planted into a copy of the project, and the README's test command runs against the
copy: first the files of `NEAREST`, in that order, then all the others, up to the first test that fails. A run
that is not done after `LIMIT` times what it takes without a mutant counts as a failure, as a hanging command
would. Results stand in figures.json after every mutant; a campaign that was stopped goes on. A killed mutant
is run again where its function has changed, a survivor also where the tests have.

`reasons.json` says of survivors why they are none: "equivalent", no input can tell it from the sound program;
"harmless", in refine and steps only: neither a verdict nor a higher J can come of it, but time or a path. It
exits 1 where a run is left to do or too many survive (`SHARE` of what is not equivalent; in refine and steps,
none).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "reports"), str(ROOT)]

from machine import machine  # noqa: E402
from mutants import PACKAGES, Mutant, by_package  # noqa: E402

SAMPLED, SEED, SHARE, PROCESSES = 40, 0, 0.05, 2
LIMIT, LEAST = 6.0, 120.0
"""Times the run without a mutant, and seconds at least."""
STRICT = ("certificate", "digits", "enclosure")
VERIFIER = (
    "planted_faults",
    "gaps_exact",
    "gaps_exact_B",
    "certificate",
    "certificate_gaps",
    "certificate_evidence",
    "perturbed_points",
    "random_problems",
)
NEAREST = {
    "certificate": (
        "certificate_parts",
        "valley",
        "kinked",
        *VERIFIER,
        "escape",
        "second_order",
        "second_order_ends",
        "ladder",
        "points",
    ),
    "digits": (
        "digits_parts",
        "digits_arithmetic",
        "digits_pieces",
        "rational",
        "planted_faults",
        "digits",
        "digits_losses",
        "digits_refusals",
        "ladder",
    ),
    "enclosure": (
        "enclosure_ends",
        "enclosure_parts",
        "checker",
        "planted_faults",
        "enclosure",
        "ladder_global",
        "scip",
    ),
    "refine": (
        "refine_parts",
        "outside",
        "refine",
        "refine_penalties",
        "valley",
        "planted_faults",
        "random_problems",
        "loss_fits",
        "coordinator",
    ),
    "steps": (
        "subproblems",
        "transfer_steps",
        "exact_steps",
        "numpy_steps",
        "kinked",
        "solvers",
        "coordinator",
        "random_problems",
        "loss_fits",
    ),
}
"""Test files that know most of a package, in the order in which they are asked."""
LEFT_OUT = (
    "tests/test_planted_faults.py::test_every_planted_fault_is_caught",
    "tests/test_overhead.py",
    "tests/test_memory.py",
)
"""Planted faults do not find the text of a mutant to change; time and memory fail by themselves when busy."""


def main() -> int:
    """Run what is to be run; 1 unless everything has a result and few enough survive."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PACKAGES, action="append", help="these packages alone")
    parser.add_argument("--count", type=int, default=SAMPLED, help="mutants of each package")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--most", type=int, default=10**6, metavar="N", help="run no more than N of them")
    parser.add_argument("--quick", action="store_true", help="only the nearest tests: survivors stay open")
    parser.add_argument("--key", help="only mutants with this in their key, whatever is known of them")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--list", action="store_true", help="print the sample and what is known of it")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background, and by tests then
    wanted = by_package(ROOT, count=given.count, seed=given.seed, only=given.only or ())
    results = Results(HERE / "figures.json", seed=given.seed)
    if given.key:
        todo = [each for each in wanted if given.key in each.key]
    else:
        todo = [each for each in wanted if not results.known(each, quick=given.quick)]
    if given.list:
        for each in wanted:
            print(f"{results.of(each).get('state', '-'):9} {each.key}  (line {each.line})")
        return 0
    run_all(todo[: given.most], results, processes=given.processes, quick=given.quick)
    whole = by_package(ROOT, count=SAMPLED, seed=SEED)
    text, holds = page(whole, results)
    if given.seed == SEED:
        (HERE / "README.md").write_text(text)
    return int(not holds)


class Results:
    """What is known of mutants by their key, in a file."""

    def __init__(self, path: Path, *, seed: int) -> None:
        self.path, self.tests, self._lock = path, _digest_of_tests(), Lock()
        stored = json.loads(path.read_text()) if path.exists() else {"mutants": {}}
        self.found: dict[str, dict[str, Any]] = stored["mutants"]
        self.reasons: dict[str, dict[str, str]] = json.loads((HERE / "reasons.json").read_text())

    def of(self, mutant: Mutant) -> dict[str, Any]:
        """The result, {} where there is none or the function has changed."""
        result = self.found.get(mutant.key, {})
        return result if result.get("digest") == mutant.digest else {}

    def known(self, mutant: Mutant, *, quick: bool) -> bool:
        """Whether there is nothing to run: a quick run is run once, a survivor with a reason not again."""
        result = self.of(mutant)
        if quick or not result or result["state"] == "killed" or mutant.key in self.reasons:
            return bool(result)
        return bool(result["state"] == "survived" and result["tests"] == self.tests)

    def put(self, mutant: Mutant, result: dict[str, Any]) -> None:
        """Remember a result, in the file too."""
        with self._lock:
            kept = {"package": mutant.package, "digest": mutant.digest, "tests": self.tests}
            self.found[mutant.key] = {**kept, **result}
            content = {"machine": machine(), "mutants": dict(sorted(self.found.items()))}
            partial = self.path.with_suffix(".partial")
            partial.write_text(json.dumps(content, indent=1) + "\n")
            partial.replace(self.path)


def _digest_of_tests() -> str:
    """Of all files of the tests."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "tests").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def run_all(todo: Sequence[Mutant], results: Results, *, processes: int, quick: bool) -> None:
    """Run the mutants, a copy of the project for each process."""
    if not todo:
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(processes):
            copies.put(Copy(Path(work) / str(number) / "project"))
        first = copies.get()
        times = {name: first.seconds_of(name) for name in sorted({each.package for each in todo})}
        if not quick:
            times[""] = first.seconds_of("")
        copies.put(first)

        def run(mutant: Mutant) -> None:
            copy = copies.get()
            try:
                result = copy.judged(mutant, times)
            finally:
                copies.put(copy)
            results.put(mutant, result)
            print(f"{result['state']:9} {result['seconds']:5.0f} s  {mutant.key}  {result['by']}", flush=True)

        with ThreadPoolExecutor(processes) as pool:
            list(pool.map(run, todo))


class Copy:
    """A copy of the project in which one mutant at a time is planted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("amtl_cvx", "problems", "tests", "reports", ".ci"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, root)

    def seconds_of(self, package: str) -> float:
        """How long the tests of a package ("" for all) take without a mutant; they have to pass."""
        began = time.perf_counter()
        if by := self.failing(package, limit=3600.0):
            raise SystemExit(f"the tests fail without a mutant: {by}")
        return time.perf_counter() - began

    def judged(self, mutant: Mutant, times: dict[str, float]) -> dict[str, Any]:
        """The result of one mutant: killed, survived, or open where only the nearest tests were run."""
        began, by = time.perf_counter(), ""
        with self.planted(mutant):
            for name in (mutant.package, "") if "" in times else (mutant.package,):
                by = by or self.failing(name, limit=max(LEAST, LIMIT * times[name]))
        state = "killed" if by else "survived" if "" in times else "open"
        return {"state": state, "by": by, "seconds": round(time.perf_counter() - began, 1)}

    @contextmanager
    def planted(self, mutant: Mutant) -> Iterator[None]:
        """The mutant stands in the copy."""
        path = self.root / mutant.path
        sound = path.read_text()
        compiled = list((path.parent / "__pycache__").glob(f"{path.stem}.*"))
        try:
            for each in compiled:  # compiled files are told apart by whole seconds and sizes only
                each.unlink()
            path.write_text(mutant.planted(sound))
            yield
        finally:
            path.write_text(sound)
            for each in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
                each.unlink()

    def failing(self, package: str, *, limit: float) -> str:
        """The first test that fails, "" if none does; those nearest to the package, or all the others."""
        near = [f"tests/test_{name}.py" for name in NEAREST.get(package, ())]
        words = [sys.executable, "-m", "pytest", "-n", "0", "-x", "-rfE", "--tb=no", "-p", "no:cacheprovider"]
        words += [f"--deselect={name}" for name in LEFT_OUT]
        environment = os.environ | {"PYTHONPATH": str(self.root), "OPENBLAS_NUM_THREADS": "1"}
        data = ROOT.parent / "shared" / "data"
        if data.is_dir():
            environment.setdefault("AMTL_CVX_DATA", str(data))
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                [*words, *near],
                cwd=self.root,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                _end(process)
                return f"not done after {limit:.0f} s"
            output.seek(0)
            said = output.read()
        if code == 0:
            return ""
        failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
        return (
            failed[0]
            if failed
            else f"exit {code}: {said.strip().splitlines()[-1][:100] if said.strip() else ''}"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a run and the processes that it has started."""
    os.killpg(process.pid, 9)
    process.wait()


def page(sampled: Sequence[Mutant], results: Results) -> tuple[str, bool]:
    """README.md, and whether everything that must hold does."""
    lines, rows, holds = [], [], True
    for package in PACKAGES:
        part = [each for each in sampled if each.package == package]
        by_state: dict[str, list[Mutant]] = {}
        for each in part:
            by_state.setdefault(_state(each, results), []).append(each)
        count = {name: len(found) for name, found in by_state.items()}
        excused = count.get("equivalent", 0) + count.get("harmless", 0)
        counted, left = len(part) - excused, count.get("survived", 0)
        slow = sum("not done" in results.of(each).get("by", "") for each in by_state.get("killed", ()))
        share = left / counted if counted else 0.0
        undone = count.get("open", 0) + count.get("not run", 0)
        good = not undone and (share <= SHARE if package in STRICT else not left)
        holds = holds and good
        killed = f"{count.get('killed', 0)} ({slow} by time)"
        row = (package, len(part), killed, count.get("equivalent", 0), count.get("harmless", 0), left, undone)
        rows.append(
            f"| {' | '.join(map(str, row))} | {100 * share:.1f} % | {'holds' if good else 'not yet'} |"
        )
        for name in ("survived", "open", "equivalent", "harmless"):
            for each in by_state.get(name, ()):
                why = results.reasons.get(each.key, {}).get("why", "")
                lines.append(f"| {name} | {_code(each.key)} | {why} |")
    return _PAGE.format(
        seed=SEED,
        rows="\n".join(rows),
        survivors="\n".join(lines),
        machine=machine(),
        share=100 * SHARE,
        limit=LIMIT,
    ), holds


def _state(mutant: Mutant, results: Results) -> str:
    """Killed, survived, open, not run, or how a survivor is excused."""
    state = str(results.of(mutant).get("state", "not run"))
    reason = results.reasons.get(mutant.key)
    if reason is None or state in ("killed", "not run"):
        return state
    if reason["kind"] == "harmless" and mutant.package in STRICT:
        return state
    return reason["kind"]


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


_PAGE = """# Mutation

Written by `python reports/mutation/campaign.py`; do not edit. The reasons stand in `reasons.json`, the test
that killed each mutant in `figures.json`.

One place of one function is changed (a term dropped, a sign, a comparison, an axis, a number doubled or
halved, a minimum for a maximum, a statement left out) in a copy of the project, and the README's tests run
against the copy. Killed: a test fails, or the run takes more than {limit:.0f} times as long. Left out are the
tests that measure time or memory, and those that plant faults of their own, which would miss the text they
change: what they check runs without a fault. Equivalent: no input can tell the mutant from the sound program.
Harmless (refine and steps only): neither a verdict nor a higher J can come of it, but time, or another path
to the same point. Of what is not equivalent {share:.0f} % may survive in certificate, digits and enclosure,
and nothing in refine and steps.

Seed {seed}. {machine}

| package | sampled | killed | equivalent | harmless | survived | to run | share that survived | |
|---|---|---|---|---|---|---|---|---|
{rows}

| | mutant | why |
|---|---|---|
{survivors}
"""


if __name__ == "__main__":
    sys.exit(main())
