"""The rows of all tasks in balls: predictions, losses with two derivatives, how far rows are from a seam.

n_t and the weights of rows are exact, 1/n_t and c_t = n_t^-1/2 the real numbers. A loss with a kink comes
with a side for every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from flint import arb, arb_mat

from amtl_cvx.digits.counts import exact_count
from amtl_cvx.digits.krawczyk import Undecided
from amtl_cvx.digits.losses import Kink, Row, Wedge, row_function, seams, wedge_function
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.losses import Loss
from amtl_cvx.tasks import Array, TaskSet

Part = TypeVar("Part", Row, Wedge)
Sides = tuple[tuple[int, ...], ...]
"""Of every task and row: -1 below its kink, 0 on it, 1 above it."""


class Losses(NamedTuple):
    """L_t, grad L_t (as (d, 1)) and the rows, by task; rows on a kink with nothing."""

    values: list[arb]
    gradients: list[arb_mat]
    rows: list[list[Row]]

    def on(self, piece: str) -> tuple[tuple[int, ...], ...]:
        """The rows of every task on a piece of its loss."""
        return tuple(tuple(i for i, row in enumerate(rows) if row.piece == piece) for rows in self.rows)


class TaskRows:
    """X, the loss and its factors, by task."""

    def __init__(self, tasks: TaskSet, loss: Loss) -> None:
        self.tasks, self.loss = tasks, loss
        mean = loss.reduction == "mean"
        self.scales = [1 / arb(exact_count(task)) if mean else arb(1) for task in tasks]
        self.v = [
            None if task.sample_weight is None else [arb(v) for v in task.sample_weight.tolist()]
            for task in tasks
        ]
        self.X = [arb_mat(task.X.tolist()) for task in tasks]
        wedge = wedge_function(loss)
        self.wedges: list[list[Wedge]] = (
            []
            if wedge is None
            else [
                _counted([wedge(y) for y in task.y.tolist()], v)
                for task, v in zip(tasks, self.v, strict=True)
            ]
        )

    def predictions(self, W: arb_mat, t: int) -> list[arb]:
        """x_ti'w_t of every row."""
        return list((self.X[t] * _columns(W, t)).entries())

    def losses(self, W: arb_mat, sides: Sides | None = None) -> Losses:
        """The losses of all tasks; `Undecided` where a row reaches the seam of two pieces."""
        found = Losses([], [], [])
        for t, task in enumerate(self.tasks):
            try:
                rows = self._rows(W, t, sides)
            except Kink:
                raise Undecided(
                    f"a row of {task.name!r} lies at the kink of the {self.loss.name} loss to all digits:"
                    " J has no second derivative there"
                ) from None
            slopes = arb_mat([[r.slope for r in rows]])
            found.values.append(self.scales[t] * sum((r.value for r in rows), arb(0)))
            found.gradients.append((slopes * self.X[t] * self.scales[t]).transpose())
            found.rows.append(rows)
        return found

    def _rows(self, W: arb_mat, t: int, sides: Sides | None) -> list[Row]:
        predictions = self.predictions(W, t)
        if sides is not None:
            return [
                wedge.row(z, side)
                for wedge, z, side in zip(self.wedges[t], predictions, sides[t], strict=True)
            ]
        row = row_function(self.loss)
        rows = [row(z, y) for z, y in zip(predictions, self.tasks[t].y.tolist(), strict=True)]
        return _counted(rows, self.v[t])

    def hessian(self, t: int, rows: Sequence[Row]) -> arb_mat:
        """X_t' diag(phi'') X_t over the rows that curve."""
        curved = [[row.curvature * x for x in xs] for row, xs in zip(rows, self.X[t].tolist(), strict=True)]
        return self.X[t].transpose() * arb_mat(curved)


def row_distance(rows: TaskRows, W: arb_mat, sides: Sides | None = None) -> arb:
    """The smallest distance of a row off its kink from a seam of its loss, on its side; proved positive."""
    smallest = arb.pos_inf()
    for t, task in enumerate(rows.tasks):
        for i, (z, y) in enumerate(zip(rows.predictions(W, t), task.y.tolist(), strict=True)):
            side = None if sides is None else sides[t][i]
            for place in seams(rows.loss, y) if side != 0 else ():
                name = f"row {i} of {task.name!r}"
                distance = positive(
                    abs(z - place) if side is None else side * (z - place),
                    f"{name} lies on the other side of its kink, or on it",
                    f"{name} lies at the kink of the {rows.loss.name} loss to all digits, with a"
                    " multiplier at the end of its interval: strict complementarity fails",
                )
                smallest = smallest.min(distance)
    return smallest


def positive(value: arb, negative: str, undecided: str) -> arb:
    """Its lower end, proved positive; the words say what a negative one means, and one that may be 0."""
    if value < 0:
        raise NotCertifiable(negative)
    if not value > 0:
        raise Undecided(undecided)
    return value.lower()


def exact_task_weights(tasks: TaskSet, named: object, numbers: Array) -> list[arb]:
    """c_t: 1, the real number n_t^-1/2 in a ball, or the doubles given."""
    if named == "inverse-sqrt":
        return [arb(exact_count(task)).rsqrt() for task in tasks]
    return [arb(float(c)) for c in numbers]


def _counted(rows: list[Part], v: list[arb] | None) -> list[Part]:
    """Rows or wedges of a task as often as they count."""
    return rows if v is None else [row.times(weight) for row, weight in zip(rows, v, strict=True)]


def _columns(matrix: arb_mat, column: int) -> arb_mat:
    return arb_mat(matrix.nrows(), 1, [matrix[i, column] for i in range(matrix.nrows())])
