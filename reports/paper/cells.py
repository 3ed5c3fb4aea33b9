"""A cell: one method on one part, chosen, fitted, judged and scored; and the journal that keeps cells.

    choose on the rows that choose -> fit on all training rows -> certificate -> test rows, once

A cell is kept as a JSON file as soon as it is finished, written under another name first, so that a run that
is killed at any moment goes on from there. Its fingerprint is that of the protocol: the grid, the settings,
what is learned from and this version of the measurement; a cell of another protocol is measured again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from paper.choice import Contender, choose, fitted
from paper.data import LOW_NOISE, Part
from paper.errors import MEASURES, errors, scores

from amtl_cvx.solution import Solution
from amtl_cvx.tasks import Array

VERSION = 2
"""Of what is measured: a cell of an earlier one is measured again."""
SMALL = 12
"""Tasks up to which the graph is kept."""
Figures = dict[str, Any]


def measured(contender: Contender, part: Part, journal: Path | None = None) -> Figures:
    """The figures of a cell; the choice keeps its journal there while it goes on."""
    started = time.process_time()
    choice = choose(contender, part, journal)
    chosen = time.process_time()
    curve: list[Mapping[str, Array]] = []

    def seen(number: int, step: str, blocks: Mapping[str, Array]) -> None:
        if number >= 1:
            curve[number - 1 :] = [dict(blocks)]

    solution = fitted(choice.tuning, part.train, iterate=seen)
    done = time.process_time()
    figures: Figures = {
        "parameters": choice.parameters,
        "validation": choice.error,
        "points": choice.points,
        "at_edge": choice.edges,
        "widened": choice.widened,
        "tune_seconds": chosen - started,
        "fit_seconds": done - chosen,
        "certificate": certificate(solution),
    }
    test = part.test.open()
    family, measure = solution.family, MEASURES[part.data]
    with np.errstate(all="ignore"):
        found = errors(scores(family, solution.blocks, test), test, measure)
        if contender.rounds:
            each = [errors(scores(family, blocks, test), test, measure).error for blocks in curve]
            figures["test_by_round"] = [round(error, 6) for error in each]
    figures |= {"test": found.error, "tasks": [round(float(e), 6) for e in found.tasks]}
    if found.wrong:
        figures["wrong"] = found.wrong
    return figures | graph(solution)


def certificate(solution: Solution) -> Figures:
    """Its level, and what stands behind it."""
    found = solution.certificate.to_dict()
    names = ("kind", "level", "passes", "relative", "objective", "tol", "gap_W", "gap_B", "feasibility")
    more = ("global_width", "global_method")
    kept = {name: found[name] for name in names if name in found}
    return kept | {name: found[name] for name in more if found.get(name) is not None}


def graph(solution: Solution) -> Figures:
    """The graph of AMTL: B of few tasks, what each task gives, and the order of a curriculum."""
    B = solution.blocks.get("B")
    found: Figures = {}
    if B is not None and np.any(B):
        gives = B.sum(axis=1)
        found["edges"] = int((B > 0).sum())
        found["mass"] = float(gives.sum())
        if len(B) == 12:
            found["low_noise_share"] = float(gives[list(LOW_NOISE)].sum() / gives.sum())
        if len(B) <= SMALL:
            found["B"] = [[float(f"{b:.5g}") for b in row] for row in B]
    order = getattr(solution, "order", None)
    if order is not None:
        found["order"] = [int(t) for t in order]
    return found


def fingerprint(contender: Contender, data: str, name: str) -> str:
    """Of the protocol of a cell."""
    said = [VERSION, data, name, MEASURES[data], contender.method, dict(contender.grid)]
    said += [dict(contender.settings), contender.rounds, contender.widen]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


class Journal:
    """Cells that are finished: files in a folder, and those of a page that was written before."""

    def __init__(self, folder: Path, stored: Mapping[str, Any]) -> None:
        self.folder, self.stored = folder, stored

    def get(self, key: str, mark: str) -> Figures | None:
        """A cell of that protocol; None where there is none yet."""
        path = self.folder / f"{key}.json"
        if path.is_file():
            found = json.loads(path.read_text())
            if found["protocol"] == mark:
                return dict(found)
        known = self.stored.get(key)
        return dict(known) if known is not None and known["protocol"] == mark else None

    def put(self, key: str, mark: str, figures: Figures) -> Figures:
        """Keep a cell, whole or not at all."""
        path = self.folder / f"{key}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        figures = {"protocol": mark, **figures}
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        unfinished.write_text(json.dumps(figures))
        unfinished.replace(path)
        return figures
