"""Small packs of every kind that there is, written by the tests: arrays are drawn, claims are few."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx import FeatureModel, LossWeightedL1, Model, NetworkModel, Task, TaskSet
from amtl_cvx.families import family_of
from amtl_cvx.losses import Logistic, Squared
from amtl_cvx.reference import Pack, write_pack

T, D, K = 3, 2, 2
MU = 0.36908668279647827
NAMES = ("a, or b", "Bär", "10")
KINDS = ("joint", "weighted", "w-step", "b-step", "one-task", "curriculum", "learned", "network")


def tasks_of(kind: str, rng: np.random.Generator) -> TaskSet:
    """Three tasks of 3, 2 and 4 rows, whole numbers over 8; with weights and labels for some kinds."""

    def task(name: str, rows: int) -> Task:
        y = rng.integers(-40, 40, size=rows) / 8
        return Task(
            X=rng.integers(-40, 40, size=(rows, D)) / 8,
            y=(-1.0) ** np.arange(rows) if kind == "w-step" else y,
            name=name,
            sample_weight=rng.integers(1, 9, size=rows) / 4 if kind == "weighted" else None,
        )

    tasks = tuple(map(task, NAMES, (3, 2, 4)))
    return TaskSet(tasks=tasks, feature_names=None if kind == "b-step" else ("x 1", "task"))


def model_of(kind: str) -> Any:
    """The model of a pack of this kind; jsondecode of Octave misses `MU` in its last bit."""
    if kind == "learned":
        return FeatureModel(features=K, mu=MU, gamma=0.7, decay=0.3)
    if kind == "network":
        return NetworkModel(layers=(K,), mu=MU, gamma=0.7, decay=0.3)
    loss = Logistic() if kind == "w-step" else Squared(reduction="sum" if kind == "weighted" else "mean")
    return Model(loss=loss, transfer=LossWeightedL1(mu=MU), coupling=0.7)


def blocks_of(kind: str, rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer and what is given, any numbers of the right shapes."""
    W, B = rng.normal(size=(D, T)), np.abs(rng.normal(size=(T, T))) * (1 - np.eye(T))
    given: dict[str, Any] = {}
    if kind in ("learned", "network"):
        first = "L" if kind == "learned" else "W1"
        S, A = rng.normal(size=(K, T)), np.abs(rng.normal(size=(T, K)))
        return {first: rng.normal(size=(D, K)), "S": S, "A": A}, given
    if kind == "one-task":
        return {"w": rng.normal(size=D)}, {"W": W, "B": B}
    if kind == "w-step":
        return {"W": W}, {"B": B}
    if kind == "b-step":
        return {"B": B}, {"W": W}
    return {"W": W, "B": B, **({"order": np.array([2, 0, 1])} if kind == "curriculum" else {})}, given


def sample(folder: Path, kind: str) -> Pack:
    """A pack of this kind, written into the folder."""
    rng = np.random.default_rng(KINDS.index(kind))
    tasks, model = tasks_of(kind, rng), model_of(kind)
    solution, given = blocks_of(kind, rng)
    return write_pack(
        folder / f"sample-{kind}",
        problem=family_of(model).problem(tasks, model),
        ask=kind if kind in ("w-step", "b-step", "one-task", "curriculum") else "joint",
        solution=solution,
        given=given,
        claims={"objective": {"hex": (0.1).hex()}, "level": "C2"},
        about=about(kind),
        minima=tuple(blocks_of(kind, rng)[0] for _ in range(2 * (kind == "joint"))),
    )


def about(kind: str) -> Mapping[str, Any]:
    """What such a pack says of itself."""
    return {
        "name": f"sample-{kind}",
        "title": f"A sample of {kind}.",
        "grade": "easy",
        "traits": ["drawn"],
        "origin": {"generator": "tests", "seed": 0, "source": "drawn"},
        "made": {},
        "task": 1 if kind == "one-task" else None,
    }


def arrays(pack: Pack) -> dict[str, np.ndarray]:
    """Every array of a pack by its place, as NumPy reads the files."""
    files = sorted(pack.folder.rglob("*.npy"))
    return {path.relative_to(pack.folder).with_suffix("").as_posix(): np.load(path) for path in files}
