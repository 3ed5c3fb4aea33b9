"""Preparation: the feature map between the users' columns and the columns the model sees.

    apply(X) = [ (X - center) / scale , 1 ]

`--standardize` learns `center` and `scale`, the mean and the standard deviation (divided by N) of the pooled
rows of the training tasks; `--intercept` appends the ones, last and after standardising, so that the bias is
penalised and transferred like any other weight, as the authors of [L16] do. Rows without a label are mapped
like the others but not learned from: the map is that of the rows which the losses see. There is one map for
all tasks: the columns of W are subtracted from each other in W - W B, so feature j has to mean the same in
every task.
A column that is constant in the pooled rows, exactly or up to rounding, has no deviation to be divided by.
Beside an intercept it says nothing: it is centred to 0 (scale 1), and a warning names it. Without one it may
serve as one: it is not centred, and brought to size 1 where it is larger, so that its unit (a year, a time
stamp) does not decide what couplings mean.

    >>> preparation = Preparation.learn(train, standardize=True, intercept=True)
    >>> solution = fit(preparation.apply_tasks(train), model)
    >>> scores = preparation.apply(X_new) @ solution.W

Tasks that share their rows in memory (one-vs-rest) share the prepared rows too. A factor of [1 X y]
(`Task.ones`) is prepared like rows: with a column o in place of the ones, the map is linear in [o X].

    apply(o, X) = [ (X - o center) / scale , o ]
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array, Indices, Mask, check_features, frozen, nameless, numbers
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import Task, TaskSet, check_tasks

_log = logging.getLogger(__name__)

_ROUNDING = 100 * float(np.finfo(np.float64).eps)
"""A column whose deviation is below this multiple of its largest entry is constant up to rounding."""
_BLOCK = 1 << 20
"""Numbers a temporary array may hold while the rows are streamed (8 MiB)."""

_ONES = np.ones((1, 1))

_Buffer = tuple[int, tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Preparation:
    """The feature map between the users' columns and those the model sees, one for all tasks.

    ``apply(X) = [(X - center) / scale, 1]``, the ones only with an intercept.

    Parameters
    ----------
    center, scale : (d,) array_like
        Subtracted from, then divided out of, the d columns of the raw features; scale > 0.
    intercept : bool
        Append a column of ones.
    feature_names : tuple of d str, optional
        What the columns of a frame must be called.

    Raises
    ------
    DataError
        If center and scale are not two finite vectors of one length, or an entry of scale is not positive.

    Examples
    --------
    >>> from amtl_cvx import Preparation, TaskSet
    >>> tasks = TaskSet.from_arrays([[[1.0], [3.0]], [[2.0], [2.0]]], [[0.0, 1.0], [1.0, 0.0]])
    >>> preparation = Preparation.learn(tasks, standardize=True, intercept=True)
    >>> preparation
    Preparation(1 features: centred and scaled, a column of ones)
    >>> preparation.apply([[2.0]])
    array([[0., 1.]])
    >>> preparation.apply_tasks(tasks).d
    2
    """

    center: Array
    scale: Array
    intercept: bool
    feature_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        parts = [
            numbers(nameless(part, what), what)
            for part, what in ((self.center, "center"), (self.scale, "scale"))
        ]
        if parts[0].ndim != 1 or parts[0].shape != parts[1].shape:
            shapes = f"{parts[0].shape} and {parts[1].shape}"
            raise DataError(f"center and scale must be two vectors of one length, they have shapes {shapes}")
        pair = np.stack(parts)
        if not (pair[1] > 0).all():
            column = int(np.argmin(pair[1]))
            raise DataError(
                f"scale must be positive, entry {column} is {pair[1, column]:g}: use 1 to keep it"
            )
        pair.flags.writeable = False
        object.__setattr__(self, "center", pair[0])
        object.__setattr__(self, "scale", pair[1])
        object.__setattr__(self, "intercept", bool(self.intercept))

    def __repr__(self) -> str:
        steps = ["centred and scaled"] * self._moves + ["a column of ones"] * self.intercept
        return f"Preparation({self.d} features: {', '.join(steps) or 'as they are'})"

    @classmethod
    @np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
    def learn(cls, tasks: TaskSet, *, standardize: bool, intercept: bool) -> Preparation:
        """Learn the map from the training tasks: mean and standard deviation of their pooled rows.

        Rows that have weights count by them, rows without a label do not count. A column that is constant is
        centred to 0 beside an intercept, with a warning, and otherwise kept.
        The statistics take two passes over the rows, a block at a time.

        Raises
        ------
        DataError
            For columns whose statistics overflow, and tasks that hold factors without their ones.
        """
        check_tasks(tasks)
        center, scale = np.zeros(tasks.d), np.ones(tasks.d)
        if standardize:
            mean, deviation, constant, size = _moments(tasks)
            center = np.where(constant & (not intercept), 0.0, mean)
            scale = np.where(constant, 1.0 if intercept else np.maximum(size, 1.0), deviation)
            _say(tasks, np.flatnonzero(constant & (center != 0)))
        return cls(center=center, scale=scale, intercept=intercept, feature_names=tasks.feature_names)

    @property
    def d(self) -> int:
        """Number of raw features."""
        return len(self.center)

    @property
    def is_identity(self) -> bool:
        """Whether `apply` returns its argument."""
        return not self.intercept and not self._moves

    @property
    def _moves(self) -> bool:
        return bool(np.any(self.center)) or not np.array_equal(self.scale, np.ones(self.d))

    @functools.cached_property
    def _flat(self) -> Indices:
        """The columns that were constant: centred and not scaled."""
        return np.flatnonzero((self.center != 0) & (self.scale == 1))

    def apply(self, X: Any) -> Array:
        """The prepared rows, (N, d) -> (N, d) or (N, d + 1); `DataError` for other features or a NaN."""
        rows = check_features(X, d=self.d, names=self.feature_names)
        return rows if self.is_identity else self._map(rows, _ONES)

    @np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
    def _map(self, rows: Array, ones: Array) -> Array:
        """The map on rows (m, d) beside what stands for their ones, (m, 1) or (1, 1)."""
        out = np.empty((len(rows), self.d + int(self.intercept)))
        features = out[:, : self.d]
        np.subtract(rows, ones * self.center, out=features)
        for j in self._flat:  # a constant column is 0, and not what its size leaves of a rounding
            left = features[:, j]
            left[np.abs(left) <= _ROUNDING * np.abs(ones[:, 0] * self.center[j])] = 0.0
        np.divide(features, self.scale, out=features)
        out[:, self.d :] = ones
        return frozen(out)

    def apply_tasks(self, tasks: TaskSet) -> TaskSet:
        """The prepared tasks, same names and targets; an intercept adds the feature name "intercept".

        Tasks that name the same features in another order are put into that of the preparation.
        """
        check_tasks(tasks)
        tasks = tasks.with_features(self.feature_names)
        if self.is_identity and tasks.d == self.d:
            return tasks
        prepared: dict[_Buffer, Array] = {}
        for task in tasks:
            if _buffer(task.X) not in prepared:
                prepared[_buffer(task.X)] = self._map(check_features(task.X, d=self.d), _ones(task))
        names = tasks.feature_names
        if names is not None and self.intercept:
            names = (*names, "intercept")
        parts = tuple(replace(task, X=prepared[_buffer(task.X)]) for task in tasks)
        links = None if tasks.links is None else tasks.links.mapped(lambda X: self._map(X, _ONES))
        return replace(tasks, tasks=parts, feature_names=names, links=links)

    def to_dict(self) -> dict[str, Any]:
        """The map as JSON can hold it; the numbers survive the round trip exactly."""
        return {"center": self.center.tolist(), "scale": self.scale.tolist(), "intercept": self.intercept}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Preparation:
        """The map from what `to_dict` wrote; `DataError` for anything else."""
        try:
            center, scale = (np.asarray(value[key], dtype=np.float64) for key in ("center", "scale"))
            intercept = value["intercept"]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise DataError(
                f"expected center, scale and intercept of a preparation, cannot read: {reason}"
            ) from error
        if not isinstance(intercept, bool):
            raise DataError(f"intercept of a preparation must be true or false, it is {intercept!r}")
        return cls(center=center, scale=scale, intercept=intercept)


def _say(tasks: TaskSet, centred: Indices) -> None:
    """Name the constant columns that are centred to 0."""
    names = [f"feature {j}" if tasks.feature_names is None else tasks.feature_names[j] for j in centred]
    if names:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        _log.warning("constant in all rows, so beside the intercept it is centred to 0: %s", shown)


def _moments(tasks: TaskSet) -> tuple[Array, Array, Mask, Array]:
    """Mean and standard deviation of the pooled rows, which columns are constant, and their largest entries.

    Pass 1 sums differences to the first row, which are exactly 0 in a constant column. Pass 2 sums squares of
    deviations from that mean in units of the largest difference, so that nothing overflows. In a factor the
    column `ones` takes the place of 1, and its first row, sqrt(n) times a mean, is the longest. A row of
    weight v enters as the one row sqrt(v) [1 x].
    """
    first, total = tasks[0].X[0] / _ones(tasks[0])[0], tasks.counts.sum()
    shift, span, largest = np.zeros(tasks.d), np.zeros(tasks.d), np.zeros(tasks.d)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, ones, weight, length in _blocks(tasks):
            difference = rows - ones * first
            shift += weight * (ones * difference).sum(axis=0)
            span = np.maximum(span, np.abs(difference).max(axis=0))
            largest = np.maximum(largest, (np.abs(rows) / length).max(axis=0))
        center = first + shift / total
    if not (np.isfinite(center).all() and np.isfinite(span).all()):
        column = int(np.argmin(np.isfinite(center) & np.isfinite(span)))
        raise DataError(f"feature {column} is too large to standardise ({largest[column]:g}): rescale it")
    unit = np.where(span > 0, span, 1.0)
    squares = np.zeros(tasks.d)
    for rows, ones, weight, _ in _blocks(tasks):
        squares += weight * (((rows - ones * center) / unit) ** 2).sum(axis=0)
    deviation = unit * np.sqrt(squares / total)
    constant = (span <= 0) | (deviation <= _ROUNDING * largest)
    return center, deviation, constant, largest


def _blocks(tasks: TaskSet) -> Iterator[tuple[Array, Array, int, Array]]:
    """Blocks of rows and their ones, the number of tasks that hold those rows, the length of the ones."""
    held = [(_buffer(task.X), id(task.sample_weight)) for task in tasks]
    holders = Counter(held)
    step = max(1, _BLOCK // tasks.d)
    for task, key in zip(tasks, held, strict=True):
        number = holders.pop(key, 0)
        if not number:
            continue
        ones, length = _ones(task), np.sqrt(task.n) * _ONES if task.compressed else _ONES
        for start in range(0, len(task.X), step):
            block = slice(start, start + step)
            if task.sample_weight is None:
                yield task.X[block], ones[block] if len(ones) > 1 else ones, number, length
            else:
                root = np.sqrt(task.sample_weight[block])[:, None]
                yield root * task.X[block], root, number, root


def _ones(task: Task) -> Array:
    """What stands for a column of ones, (m, 1), or (1, 1) for rows."""
    if task.ones is not None:
        return task.ones[:, None]
    if task.compressed:
        raise DataError(
            f"{task.name!r} is compressed to {len(task.y)} of {task.rows} rows: prepare the original"
        )
    return _ONES


def _buffer(X: Array) -> _Buffer:
    return X.__array_interface__["data"][0], X.shape, X.strides
