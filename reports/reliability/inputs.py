"""Damaged and hostile files over all readers, each judged by how the command ended."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any

HERE = Path(__file__).resolve().parent
SECONDS, MEMORY = 30.0, int(1.5 * 2**30)
"""Limits of a case."""
_RUNAWAY = 4 * 2**30
"""Memory at which a case is ended from outside."""
_LONGEST = 1000
"""Characters that one line of error may have."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a case ended, and what is wrong with that (nothing, if `faults` is empty)."""

    name: str
    code: int | None
    seconds: float
    peak: int
    line: str
    faults: tuple[str, ...]


def run(work: Path, seed: int, mutated: int, *, processes: int, sample: int | None) -> list[Ending]:
    """All cases, or `sample` of them, spread evenly."""
    total = _count(work, seed, mutated)
    step = 1 if sample is None else max(total // sample, 1)
    endings: Queue[Ending] = Queue()
    threads = [
        threading.Thread(
            target=_share, args=(work / f"share{k}", seed, mutated, k * step, processes * step, endings)
        )
        for k in range(processes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = []
    while not endings.empty():
        found.append(endings.get())
    return sorted(found, key=lambda ending: ending.name)


def _count(work: Path, seed: int, mutated: int) -> int:
    from trial import all_cases

    (work / "count").mkdir(parents=True)
    return sum(1 for _ in all_cases(seed, mutated, work / "count"))


def _share(work: Path, seed: int, mutated: int, first: int | None, step: int, endings: Queue[Ending]) -> None:
    """One process after another until its share is done; each starts behind the case that ended the last."""
    attempt = 0
    while first is not None:
        folder = work / str(attempt)
        folder.mkdir(parents=True)
        first, attempt = _one_process(folder, seed, mutated, first, step, endings), attempt + 1


def _one_process(
    work: Path, seed: int, mutated: int, first: int, step: int, endings: Queue[Ending]
) -> int | None:
    """Run cases in one process; the number of the next case where it was lost, else None."""
    words = [
        sys.executable,
        str(HERE / "trial.py"),
        str(work),
        str(seed),
        str(mutated),
        str(first),
        str(step),
    ]
    log = (work / "log").open("wb")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True)
    lines: Queue[str | None] = Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    begun: dict[str, Any] | None = None
    for message in _messages(process, lines):
        if "begin" in message:
            begun = message
        elif "end" in message and begun is not None:
            endings.put(judged(begun, message))
            begun = None
        elif begun is not None:  # lost
            endings.put(
                Ending(
                    name=begun["name"],
                    code=None,
                    seconds=message["seconds"],
                    peak=message["peak"],
                    line="",
                    faults=(message["lost"],),
                )
            )
            return int(begun["begin"]) + step
        else:
            raise RuntimeError(
                f"a process of the campaign ended by itself: {(work / 'log').read_text()[-2000:]}"
            )
    return None


def _read(process: subprocess.Popen[str], lines: Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def _messages(process: subprocess.Popen[str], lines: Queue[str | None]) -> Iterator[dict[str, Any]]:
    """What the process reports; last, where it crashed or had to be ended, a message with "lost"."""
    started, peak, busy = time.perf_counter(), 0, False
    while True:
        try:
            line = lines.get(timeout=0.2)
        except Empty:
            peak = max(peak, _resident(process.pid))
            seconds = time.perf_counter() - started
            limit = SECONDS + 10.0 if busy else 300.0
            if seconds > limit or peak > _RUNAWAY:
                process.kill()
                what = (
                    f"more than {SECONDS:g} s" if seconds > limit else f"more than {_RUNAWAY / 2**30:g} GiB"
                )
                yield {"lost": what, "seconds": seconds, "peak": peak}
                return
            continue
        if line is None:
            code = process.wait()
            if code:
                yield {
                    "lost": f"the process crashed ({code})",
                    "seconds": time.perf_counter() - started,
                    "peak": peak,
                }
            return
        message = json.loads(line)
        started, peak, busy = time.perf_counter(), 0, "begin" in message
        yield message


def _resident(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return 1024 * next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)


def judged(begun: dict[str, Any], end: dict[str, Any]) -> Ending:
    """What is wrong with how a case ended."""
    code, err = end["code"], end["err"]
    lines = [line for line in err.splitlines() if line.strip()]
    errors = [line for line in lines if not line.startswith("warning: ")]
    if begun["checker"]:
        errors = end["out"].splitlines() if code else []
    faults = []
    if "Traceback" in err or code == 70:
        faults.append("a traceback")
    elif code in (1, 2, 3) and (code > 1 or begun["checker"]):
        start = "NOT PROVED: " if begun["checker"] else "error: "
        if len(errors) != 1 or not errors[0].startswith(start):
            faults.append(f"{len(errors)} lines in place of one that starts with {start!r}")
        if any(len(line) > _LONGEST for line in errors):
            faults.append(f"a line of {max(len(line) for line in errors)} characters")
    elif errors and not begun["checker"]:
        faults.append("an error with exit code 0 or 1")
    if code not in (0, 1, 2, 3, 70):
        faults.append(f"exit code {code}")
    if any(_CONTROL.search(line) for line in lines + errors):
        faults.append("control characters on the terminal")
    refused = code == 2 or (begun["checker"] and code == 1)
    if begun["expected"] == "refused" and not refused:
        faults.append("accepted, to be refused")
    if begun["expected"] == "read" and code not in (0, 1):
        faults.append("refused, to be read")
    if end["seconds"] > SECONDS:
        faults.append(f"{end['seconds']:.0f} s")
    if end["peak"] > MEMORY:
        faults.append(f"{end['peak'] / 2**30:.1f} GiB")
    line = (errors or lines or [""])[-1][:300]
    return Ending(
        name=begun["name"],
        code=code,
        seconds=end["seconds"],
        peak=end["peak"],
        line=line,
        faults=tuple(faults),
    )
