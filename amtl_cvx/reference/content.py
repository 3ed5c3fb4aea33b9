"""What a pack holds beside its claims, held against its problem: what pack.json says of it, its blocks.

Of the arrays of problem/ some are not read here, as problem.json says the same: they are for readers in other
languages, who would be handed another problem if they differed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from amtl_cvx.families import DEFAULT, family_of
from amtl_cvx.reference.formulas import told_of
from amtl_cvx.reference.pack import Pack

_SOLVED: Mapping[str, tuple[str, ...]] = {
    "joint": ("B", "W"),
    "single-task": ("W",),
    "curriculum": ("B", "W", "order"),
    "w-step": ("W",),
    "b-step": ("B",),
    "one-task": ("w",),
}
"""The blocks of the answers of AMTL."""
_GIVEN: Mapping[str, tuple[str, ...]] = {"w-step": ("B",), "b-step": ("W",), "one-task": ("B", "W")}


def said_otherwise(pack: Pack) -> list[str]:
    """Where pack.json says something else of the problem than the problem itself."""
    about, is_ = pack.about, told_of(pack.problem)
    told = [
        f"{key}: {about[key]!r} is said, it is {value!r}" for key, value in is_.items() if about[key] != value
    ]
    return [*told, *_unread(pack), *_blocks(pack)]


def _unread(pack: Pack) -> list[str]:
    """What in problem/ is for readers in other languages, and says something else than what is read here."""
    model, tasks = pack.problem.model, pack.problem.tasks
    told = []
    for name in pack.about["files"]:
        if name.endswith(".npy"):
            pack.array(name)  # which raises for what other languages would read otherwise
    for name, array in family_of(model).arrays(tasks, model).items():
        file = f"problem/{name}.npy"
        if file not in pack.about["files"] or not np.array_equal(pack.array(file), array):
            told.append(f"{file} is not what problem.json says of the model")
    return told


def _blocks(pack: Pack) -> list[str]:
    """Blocks that an answer of its kind has not, or lacks, and a task that is none."""
    told = []
    if pack.about["family"] == DEFAULT:
        wanted = {"solution": _SOLVED[pack.ask], "given": _GIVEN.get(pack.ask, ())}
        wanted |= {f"minima/{k}": ("W", "B") for k in range(1, len(pack.minima) + 1)}
        found = {"solution": pack.solution, "given": pack.given}
        found |= {f"minima/{k}": blocks for k, blocks in enumerate(pack.minima, start=1)}
        for place, names in wanted.items():
            if set(found[place]) != set(names):
                told.append(f"{place} must hold {', '.join(names) or 'nothing'}, it holds {[*found[place]]}")
    if pack.task is not None and not (pack.ask == "one-task" and pack.task < pack.problem.tasks.T):
        told.append(f"task {pack.task} is not one of those that are asked about")
    return told
