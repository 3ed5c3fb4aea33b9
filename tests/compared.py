"""What tests of comparisons share: small tasks, a comparison by hand, rows that say when they are read."""

from __future__ import annotations

from typing import Any

import numpy as np

from amtl_cvx.experiment.comparing import Comparison, Learned, Outcome
from amtl_cvx.tasks import Task, TaskSet

NAMES = ("ash", "birch", "cedar")


def small(seed: int = 3, rows: tuple[int, ...] = (12, 12, 9)) -> TaskSet:
    """Three related tasks."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(3, 1)) + 0.3 * rng.normal(size=(3, len(rows)))
    X = [rng.normal(size=(n, 3)) for n in rows]
    y = [part @ W[:, t] + 0.5 * rng.normal(size=len(part)) for t, part in enumerate(X)]
    return TaskSet.from_arrays(X, y, names=NAMES[: len(rows)])


class Watched(Task):
    """A task that notes when its rows are read."""

    log: list[Any] = []

    def __getattribute__(self, name: str) -> Any:
        if name in ("X", "y"):
            Watched.log.append((name, object.__getattribute__(self, "name")))
        return object.__getattribute__(self, name)


def watched(tasks: TaskSet) -> TaskSet:
    """The same tasks, watched."""
    return TaskSet(tasks=tuple(Watched(X=task.X, y=task.y, name=task.name) for task in tasks))


def learned(B: Any = None, **changes: Any) -> Learned:
    """What a fit might say."""
    graph = np.zeros((3, 3)) if B is None else np.asarray(B, dtype=float)
    said: dict[str, Any] = {
        "parameters": {"coupling": 1.0},
        "settings": {},
        "chosen": {"error": 1.0, "se": 0.1, "trials": 4, "sentence": "chose <1>", "widened": []},
        "status": "certified",
        "kind": "joint",
        "level": "C2",
        "passes": True,
        "objective": 1.0,
        "relative": 1e-12,
        "gap": None,
        "certificate": {"level": "C2"},
        "edges": int((graph != 0).sum()),
        "blocks": {"W": np.zeros((2, 3)), "B": graph},
        "seconds": {"tuning": 3.0, "fit": 0.5},
    }
    return Learned(**{**said, **changes})


def by_hand(
    errors: dict[str, list[list[float]]],
    *,
    names: tuple[str, ...] = NAMES,
    graphs: dict[str, list[Any]] | None = None,
    right: dict[str, list[bool]] | None = None,
    overlap: float = 0.0,
) -> Comparison:
    """A comparison of errors by contender, part and task; the error of a part is their mean."""
    outcomes = []
    for part in range(len(next(iter(errors.values())))):
        for contender, by_part in errors.items():
            by_task = np.array(by_part[part])
            B = None if graphs is None or contender not in graphs else graphs[contender][part]
            outcomes.append(
                Outcome(
                    part=f"part {part}",
                    contender=contender,
                    learned=learned(np.zeros((len(names),) * 2) if B is None else B),
                    error=float(np.nanmean(by_task)),
                    by_task=by_task,
                    right=None if right is None else np.array(right[contender]),
                    others={},
                )
            )
    return Comparison(
        outcomes=tuple(outcomes),
        titles={name: name.upper() for name in errors},
        tasks=names,
        measure="rmse" if right is None else "error",
        baseline="stl" if "stl" in errors else None,
        overlap=overlap,
    )
