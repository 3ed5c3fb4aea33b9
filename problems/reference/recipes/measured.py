"""Real data that scikit-learn ships, in whole numbers: digits, iris, wine, breast cancer, diabetes.

A column is printed with some decimals, 10^k times it is a whole number. From that its lower median is taken,
and what is left is divided by the power of two that leaves a largest size between 1 and 2. A column of ones
is the last one. No mean and no deviation in floating point has a part in it: the numbers are the same
everywhere.

Sources: Fisher 1936 (iris); Aeberhard, Coomans, de Vel 1992 (wine); Street, Wolberg, Mangasarian 1993 (breast
cancer); Efron, Hastie, Johnstone, Tibshirani 2004 (diabetes); Alpaydin, Kaynak 1998 (digits).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from sklearn import datasets

from amtl_cvx import TaskSet
from recipes.integers import Integers, dyadic
from recipes.recipe import Array


def decimal_column(column: Array) -> Integers:
    """A column times the least power of ten that makes it whole; its decimals have at most ten digits.

    Some versions of the libraries that read the files are off by a last bit, which this does not see.
    """
    exact = [Fraction(f"{float(value):.10g}") for value in column.tolist()]
    power = 1
    while any((value * power).denominator > 1 for value in exact):
        power *= 10
    return np.array([int(value * power) for value in exact], dtype=np.int64)


def centred(column: Array) -> Array:
    """A column as doubles of sizes up to 2, exactly: less its lower median, over a power of two."""
    whole = decimal_column(column)
    left = whole - np.sort(whole)[(len(whole) - 1) // 2]
    return dyadic(left, max(int(np.abs(left).max()).bit_length() - 1, 0))


def prepared(X: Array) -> Array:
    """Columns that are centred, and one of ones."""
    columns = [centred(column) for column in np.asarray(X, dtype=np.float64).T]
    return np.column_stack([*columns, np.ones(len(X))])


def rank_groups(column: Array, groups: int) -> Integers:
    """0 to groups - 1 by rank in a column, ties by row."""
    order = np.argsort(decimal_column(column), kind="stable")
    found = np.empty(len(order), dtype=np.int64)
    found[order] = groups * np.arange(len(order)) // len(order)
    return found


def one_vs_rest(name: str, columns: Sequence[int] | None = None) -> TaskSet:
    """Each class against the others, the same rows for all."""
    data = getattr(datasets, f"load_{name}")()
    chosen = list(columns) if columns is not None else list(range(data.data.shape[1]))
    X = prepared(data.data[:, chosen])
    return TaskSet.from_arrays(
        [X] * len(data.target_names),
        [np.where(data.target == k, 1.0, -1.0) for k in range(len(data.target_names))],
        names=[str(each) for each in data.target_names],
        feature_names=[*(str(data.feature_names[j]) for j in chosen), "one"],
    )


def iris_widths() -> TaskSet:
    """The petal width of every species from the three other measures."""
    data = datasets.load_iris()
    X, y = prepared(data.data[:, :3]), centred(data.data[:, 3])
    return _split(
        X, y, data.target, [str(each) for each in data.target_names], [*data.feature_names[:3], "one"]
    )


def cancer() -> TaskSet:
    """Benign or not, by thirds of the mean texture, from the ten mean measures."""
    data = datasets.load_breast_cancer()
    group = rank_groups(data.data[:, 1], 3)
    y = np.where(data.target == 1, 1.0, -1.0)
    names = [f"texture {k + 1} of 3" for k in range(3)]
    return _split(prepared(data.data[:, :10]), y, group, names, [*map(str, data.feature_names[:10]), "one"])


def diabetes() -> TaskSet:
    """Progression after a year, by sex and thirds of age, from the eight other measures; y in units of 64."""
    data = datasets.load_diabetes(scaled=False)
    sex, age = decimal_column(data.data[:, 1]) - 1, rank_groups(data.data[:, 0], 3)
    y = dyadic(decimal_column(data.target) - 140, 6)
    names = [f"sex {s + 1}, age {a + 1} of 3" for s in range(2) for a in range(3)]
    features = [*map(str, data.feature_names[2:]), "one"]
    return _split(prepared(data.data[:, 2:]), y, 3 * sex + age, names, features)


def digits(*, rows: int, blocks: bool) -> TaskSet:
    """Ten one-vs-rest tasks, task t with rows t, t + 10, t + 20, ...: pixels of 0 to 1, or means of 2 x 2."""
    data = datasets.load_digits()
    images = decimal_column(data.data.ravel()).reshape(-1, 8, 8)
    names = [f"pixel {i},{j}" for i in range(8) for j in range(8)]
    X = dyadic(images.reshape(-1, 64), 4)
    if blocks:
        X = dyadic(images.reshape(-1, 4, 2, 4, 2).sum(axis=(2, 4)).reshape(-1, 16), 6)
        names = [f"block {i},{j}" for i in range(4) for j in range(4)]
    parts = [np.arange(t, 10 * rows, 10) for t in range(10)]
    return TaskSet.from_arrays(
        [X[part] for part in parts],
        [np.where(data.target[part] == t, 1.0, -1.0) for t, part in enumerate(parts)],
        names=[f"digit {t}" for t in range(10)],
        feature_names=names,
    )


def _split(X: Array, y: Array, group: Integers, names: Sequence[str], features: Sequence[str]) -> TaskSet:
    parts = [group == k for k in range(len(names))]
    return TaskSet.from_arrays(
        [X[part] for part in parts], [y[part] for part in parts], names=names, feature_names=features
    )
