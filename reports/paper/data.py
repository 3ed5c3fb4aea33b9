"""The data of the paper's tables, as parts: rows to learn from, rows to choose on, and sealed test rows.

    synthetic     12 tasks, 30 + 30 + 30 rows each, own draws by the paper's words (problems/paper-synthetic),
                  seeds 0 to 19; the authors published one draw of 30 + 50 + 50 rows, not theirs of the table
    imbalanced    the authors' five sets: 500 training rows for tasks 1-3 and 7-9, 5 for the others
    school        139 schools, the splits of Argyriou et al.; a quarter of each school's training rows chooses
    usps, mnist   ten classes one against the others, one split each: 1000 training, 500 validation, 500 test

Digits are taken as they come (their inputs are principal components), with a column of ones as the last
feature that is penalised like any other, as the authors do (`--intercept`).
The test rows of a part are behind a seal that opens once. Data that are not ours are read from
`AMTL_CVX_DATA`, else from ../shared/data beside the repository.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.io as sio

from amtl_cvx import TaskSet, read
from amtl_cvx.tasks import Array

ROOT = Path(__file__).resolve().parents[2]
BIAS, SHARE, DRAWS = 1.0, 0.25, 20
LOW_NOISE = (0, 1, 2, 6, 7, 8)
"""Tasks of low noise in Synthetic, those of 500 rows in Imbalanced."""

PLACES = {
    "imbalanced": "amtl_reference",
    "usps": "amtl_reference",
    "mnist": "mnist_kang",
    "school": "school",
}
"""The folders of data that are not ours."""


class Sealed:
    """Test rows that can be looked at once."""

    def __init__(self, rows: Callable[[], TaskSet]) -> None:
        self._rows: Callable[[], TaskSet] | None = rows

    @property
    def opened(self) -> bool:
        """Whether they were."""
        return self._rows is None

    def open(self) -> TaskSet:
        """The rows; `RuntimeError` when they are asked for again."""
        if self._rows is None:
            raise RuntimeError("the test rows of this part were read before: they choose nothing")
        rows, self._rows = self._rows, None
        return rows()


class Part(NamedTuple):
    """What a trial learns from, what it is judged on, what the chosen fit learns from, and what scores it.

    With `folds` trials go over folds of what the chosen fit learns from instead.
    """

    data: str
    name: str
    learn: TaskSet
    judge: TaskSet
    train: TaskSet
    test: Sealed
    folds: int = 0


def folder() -> Path:
    """Where the data are that are not ours."""
    named = os.environ.get("AMTL_CVX_DATA")
    return Path(named) if named else ROOT.parent / "shared" / "data"


def synthetic(seed: int) -> Part:
    """A draw by the protocol."""
    place = ROOT / "problems" / "paper-synthetic" / "make.py"
    spec = importlib.util.spec_from_file_location("paper_synthetic", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return _whole("synthetic", f"seed {seed}", module.make(seed))


def imbalanced(number: int) -> Part:
    """One of the five released sets."""
    file = folder() / "amtl_reference" / f"synthetic_inbalance_{number}.mat"
    return _whole("imbalanced", f"set {number}", read(file))


def usps() -> Part:
    """The released split."""
    data = read(folder() / "amtl_reference" / "usps1.mat")
    parts = [_rows(each) for each in (data.train, data.validation, data.test)]
    return digits("usps", parts)


def mnist() -> Part:
    """Split 1 of Kang, Grauman and Sha; label 10 is the digit 9."""
    raw = sio.loadmat(folder() / "mnist_kang" / "split1_mnist_1000train.mat")
    parts = [
        (raw[f"digit_{part}x"].astype(float), raw[f"digit_{part}y"].ravel().astype(int) - 1)
        for part in ("train", "valid", "test")
    ]
    return digits("mnist", parts)


def digits(name: str, parts: list[tuple[Array, Array]], *, bias: float = BIAS) -> Part:
    """Training, validation and test rows (X, class), each class against the others."""

    def tasks(X: Array, label: Array) -> TaskSet:
        return TaskSet.one_vs_rest(np.hstack([X, np.full((len(X), 1), bias)]), label)

    train, judge = (tasks(*each) for each in parts[:2])
    return Part(name, "split 1", train, judge, train, Sealed(lambda: tasks(*parts[2])))


def school(split: int) -> Part:
    """A split of Argyriou et al.; the quarter that chooses is drawn with the split as seed."""
    place = folder() / "school"
    data, index = sio.loadmat(place / "school_b.mat"), sio.loadmat(place / f"school_{split}_indexes.mat")
    X, y = data["x"].T.astype(float), data["y"].ravel().astype(float)

    def rows(kind: str) -> list[Array]:
        chosen, first = index[kind].ravel().astype(int) - 1, index[f"{kind}_indexes"].ravel().astype(int) - 1
        return np.split(chosen, first[1:])

    def tasks(schools: list[Array]) -> TaskSet:
        return TaskSet.from_arrays([X[each] for each in schools], [y[each] for each in schools])

    rng, schools = np.random.default_rng(split), rows("tr")
    orders = [rng.permutation(each) for each in schools]
    few = [max(1, round(SHARE * len(each))) for each in schools]
    learn = tasks([order[n:] for order, n in zip(orders, few, strict=True)])
    judge = tasks([order[:n] for order, n in zip(orders, few, strict=True)])
    return Part("school", f"split {split}", learn, judge, tasks(schools), Sealed(lambda: tasks(rows("tst"))))


def part(data: str, number: int) -> Part:
    """A part by the name of its data and its number; `FileNotFoundError` where the data are absent."""
    makers: dict[str, Callable[[int], Part]] = {
        "synthetic": synthetic,
        "imbalanced": imbalanced,
        "school": school,
        "usps": lambda _: usps(),
        "mnist": lambda _: mnist(),
    }
    place = folder() / PLACES[data] if data in PLACES else None
    if place is not None and not place.is_dir():
        raise FileNotFoundError(f"there is no {place}: name the folder of the data in AMTL_CVX_DATA")
    return makers[data](number)


def _whole(name: str, number: str, data: object) -> Part:
    train, judge, test = data.train, data.validation, data.test  # type: ignore[attr-defined]
    return Part(name, number, train, judge, train, Sealed(lambda: test))


def _rows(tasks: TaskSet | None) -> tuple[Array, Array]:
    """The shared rows and the class of each."""
    assert tasks is not None
    return tasks[0].X, np.argmax([task.y for task in tasks], axis=0)
