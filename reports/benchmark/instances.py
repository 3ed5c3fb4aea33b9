"""The problems of the benchmark: AMTL with the squared loss and the loss-weighted l1 penalty.

Known instances come from the data folder (`AMTL_CVX_DATA`, else ../shared/data beside the repository) with
the settings and values of J in its PROVENANCE.md; the growing ones are generated, so that the report runs
without any data: T tasks, d = 20, n = 40 rows each, weights of rank 3, noise of unequal size per task.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from amtl_cvx import LossWeightedL1, Model, Squared, TaskSet
from amtl_cvx.losses import Reduction
from amtl_cvx.tasks import Array, Indices

ROOT = Path(__file__).resolve().parents[2]
Rows = tuple[Array, Array, Indices]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One instance; `known` is J at the basin of the alternation from B = 0, as its source prints it."""

    name: str
    rows: Rows
    reduction: Reduction
    coupling: float
    mu: float
    note: str
    known: str | None = None

    @property
    def tasks(self) -> TaskSet:
        X, y, task = self.rows
        chosen = [task == t for t in range(int(task.max()) + 1)]
        return TaskSet.from_arrays([X[rows] for rows in chosen], [y[rows] for rows in chosen])

    @property
    def model(self) -> Model:
        return Model(
            loss=Squared(reduction=self.reduction),
            transfer=LossWeightedL1(mu=self.mu),
            coupling=self.coupling,
        )

    @property
    def title(self) -> str:
        """Name, sizes and settings in one line."""
        tasks = self.tasks
        sizes = f"T={tasks.T}, d={tasks.d}, {len(self.rows[1])} rows"
        return f"{self.name} ({sizes}; {self.reduction} loss, coupling {self.coupling:g}, mu {self.mu:g})"

    def write(self, path: Path) -> None:
        """The file that the entrants read."""
        X, y, task = self.rows
        settings = {"reduction": self.reduction, "coupling": self.coupling, "mu": self.mu}
        np.savez(path, X=X, y=y, task=task, **settings)


class Absent(Exception):  # noqa: N818
    """The data of a problem are not on this machine."""


def stored(name: str, *, reduction: Reduction, coupling: float, mu: float, known: str, note: str) -> Problem:
    """An instance of the data folder."""
    path = data_folder() / "bench" / f"{name}.npz"
    if not path.is_file():
        raise Absent(f"expected {path.name} in the data folder, it is not there")
    with np.load(path, allow_pickle=False) as found:
        rows = found["X"], found["y"], found["task"]
    return Problem(
        name=name, rows=rows, reduction=reduction, coupling=coupling, mu=mu, known=known, note=note
    )


def growing(T: int) -> Problem:
    """The generated instance with T tasks; the seed is T."""
    d, n = 20, 40
    rng = np.random.default_rng(T)
    W = 0.4 * rng.normal(size=(d, 3)) @ rng.normal(size=(3, T))
    noise = rng.uniform(0.2, 1.5, size=T)
    X = rng.normal(size=(T, n, d))
    y = np.einsum("tnd,dt->tn", X, W) + noise[:, None] * rng.normal(size=(T, n))
    return Problem(
        name=f"grow{T}",
        rows=(X.reshape(-1, d), y.ravel(), np.repeat(np.arange(T), n)),
        reduction="mean",
        coupling=1.0,
        mu=0.1,
        note=f"generated, seed {T}: weights of rank 3, noise sd 0.2 to 1.5",
    )


def school() -> Problem:
    """The training rows of split 1 of the School data."""
    from school_split import write_split

    folder = data_folder() / "school"
    if not folder.is_dir():
        raise Absent("expected a folder 'school' in the data folder, it is not there")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "school.npz"
        write_split(folder, 1, path)
        with np.load(path, allow_pickle=False) as found:
            rows = found["X"], found["y"], found["task"]
    return Problem(
        name="school",
        rows=rows,
        reduction="mean",
        coupling=10.0,
        mu=0.01,
        note="School, split 1 of Argyriou et al., training rows; no X_t has full column rank",
    )


def data_folder() -> Path:
    """The real data; `Absent` where there are none."""
    named = os.environ.get("AMTL_CVX_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        raise Absent("no real data on this machine: set AMTL_CVX_DATA to their folder")
    return folder


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "pilot15": partial(
        stored,
        "pilot15",
        reduction="mean",
        coupling=1.0,
        mu=0.1,
        known="14.304960974",
        note="the instance of the earlier measurements",
    ),
    "easy10": partial(
        stored,
        "easy10",
        reduction="sum",
        coupling=1.0,
        mu=0.01,
        known="80.14315476669",
        note="a few dozen rounds suffice",
    ),
    "hard20": partial(
        stored,
        "hard20",
        reduction="sum",
        coupling=10.0,
        mu=0.001,
        known="111.57483028",
        note="T > d, 180 edges: plain alternation crawls",
    ),
    "grow15": partial(growing, 15),
    "grow60": partial(growing, 60),
    "grow120": partial(growing, 120),
    "school": school,
}
"""By name; each is read or generated when it is asked for."""
QUICK = ("pilot15", "easy10", "grow15")
