"""The paper's tables, measured: every method on every part, then the page.

    python reports/paper/run.py [--quick] [--data NAME ...] [--methods NAME ...] [--parts N ...] [--jobs 2]
                                [--cache FOLDER] [--page]

A run may be killed at any moment: the cells that are finished lie in FOLDER (out/paper beside the code,
which git ignores) and in figures.json, and the same command goes on with the others. --quick measures one
part of each data set on grids that do not go on beyond their ends, in FOLDER/quick, and writes its page
there; --page only writes the page from what there is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reports")]

from machine import machine  # noqa: E402
from paper.cells import VERSION, Figures, Journal, fingerprint, measured  # noqa: E402
from paper.choice import Contender  # noqa: E402
from paper.data import part  # noqa: E402
from paper.experiments import experiments  # noqa: E402
from paper.figures import draw  # noqa: E402
from paper.page import page  # noqa: E402
from paper.protocols import PARTS, contenders  # noqa: E402

FIRST = (
    "stl",
    "amtl",
    "amtl-imbalanced",
    "amtl, converged",
    "mean",
    "amtl-noloss",
    "amtl-curriculum",
    "smtl",
)
"""What is measured first."""


class Cell(NamedTuple):
    """Where a cell stands."""

    data: str
    method: str
    number: int
    quick: bool = False

    @property
    def contender(self) -> Contender:
        """What is measured."""
        return contenders(self.data, quick=self.quick)[self.method]

    @property
    def key(self) -> str:
        """Its name in the journal."""
        return f"{self.data}/{self.method.replace(', ', '-')}/{self.number}"

    @property
    def mark(self) -> str:
        """The fingerprint of its protocol."""
        return fingerprint(self.contender, self.data, str(self.number))


def cells(asked: argparse.Namespace) -> Iterator[Cell]:
    """What is asked for: cheap data first, and of each what the page leans on first."""
    for data, numbers in PARTS.items():
        if asked.data and data not in asked.data:
            continue
        known = contenders(data)
        for method in [
            *(name for name in FIRST if name in known),
            *(name for name in known if name not in FIRST),
        ]:
            for number in list(numbers)[: 1 if asked.quick else None]:
                wanted = not asked.parts or number in asked.parts
                if wanted and (not asked.methods or method in asked.methods):
                    yield Cell(data, method, number, asked.quick)


def measure(cell: Cell, folder: Path) -> Figures:
    """A cell, kept; what a method cannot do is a figure too."""
    started = time.perf_counter()
    try:
        begun = folder / f"{cell.key}.{cell.mark}.tuning"
        found = measured(cell.contender, part(cell.data, cell.number), begun)
    except FileNotFoundError:
        raise
    except Exception as error:
        found = {"failed": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()[-1500:]}
        return {**found, "protocol": cell.mark}
    found["seconds"] = time.perf_counter() - started
    kept = Journal(folder, {}).put(cell.key, cell.mark, found)
    begun.unlink(missing_ok=True)
    return kept


def run(asked: argparse.Namespace, stored: dict[str, Any]) -> dict[str, Any]:
    """Measure what is not measured yet; all cells there are."""
    journal = Journal(asked.cache, stored.get("cells", {}))
    found = dict(stored.get("cells", {}))
    waiting = []
    for cell in cells(asked):
        known = journal.get(cell.key, cell.mark)
        if known is None:
            waiting.append(cell)
        else:
            found[cell.key] = known
    print(f"{len(waiting)} cells to measure, {len(found)} there", flush=True)
    if asked.page:
        found |= dict(tried(asked, journal, found))
        return found
    with ProcessPoolExecutor(asked.jobs) as pool:
        jobs = {pool.submit(measure, cell, asked.cache): cell for cell in waiting}
        for job in as_completed(jobs):
            cell = jobs[job]
            try:
                figures = job.result()
            except FileNotFoundError as absent:
                print(f"skipped {cell.key}: {absent}", flush=True)
                continue
            print(cell.key, told(figures), flush=True)
            if "failed" not in figures:
                found[cell.key] = figures
    if not asked.quick:
        found |= dict(tried(asked, journal, found))
    return found


def tried(
    asked: argparse.Namespace, journal: Journal, found: dict[str, Any]
) -> Iterator[tuple[str, Figures]]:
    """The experiments whose cells are there, one after another."""
    for name, make in experiments(found).items():
        data = name.split("/")[1]
        if asked.data and data not in (*asked.data, "released"):
            continue
        known = journal.get(name, f"v{VERSION}")
        if known is None and not asked.page:
            try:
                figures = make()
            except FileNotFoundError as absent:
                print(f"skipped {name}: {absent}", flush=True)
                continue
            known = None if figures is None else journal.put(name, f"v{VERSION}", figures)
            print(name, "not yet" if known is None else "measured", flush=True)
        if known is not None:
            yield name, known


def told(figures: Figures) -> str:
    """A cell in a line."""
    if "failed" in figures:
        return f"{figures['failed'][:200]}"
    verdict = figures["certificate"]
    return (
        f"{figures['parameters']} validation {figures['validation']:.4f} test {figures['test']:.4f}"
        f" {verdict['level']} {verdict['kind']} edge {figures['at_edge']} {figures['points']} points"
        f" {figures['tune_seconds']:.1f}+{figures['fit_seconds']:.1f} s"
    )


def main() -> None:
    """Measure, keep, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", nargs="+", choices=list(PARTS))
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--parts", nargs="+", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=ROOT / "out" / "paper")
    parser.add_argument("--page", action="store_true")
    asked = parser.parse_args()
    if asked.quick:
        asked.cache = asked.cache / "quick"
        asked.cache.mkdir(parents=True, exist_ok=True)
    place = asked.cache if asked.quick else HERE
    path = place / "figures.json"
    stored: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    found = dict(sorted(run(asked, stored).items()))
    drawn = draw(found, place)
    stored = {"machine": machine(), "cells": found}
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(stored, separators=(",", ":")).replace('},"', '},\n"') + "\n")
    unfinished.replace(path)
    (place / "README.md").write_text(page(found, drawn, stored["machine"]))


if __name__ == "__main__":
    main()
