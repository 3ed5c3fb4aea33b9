r"""The steps in a cell as they are written: the loss's own atom, every unit a variable, all signs at once.

    min over X of J      subject to   (2 M^l - 1) u^l >= 0,  (2 D - 1) R >= 0

    u^l = z^(l-1) V_l,    z^l = M^l u^l,    F = Z S,    R = F A,    E = Z - D R

for X one of V_l, S, A, the others parameters; each product is a variable of its own, so that a parameter
meets variables alone (DPP). It is what the fast steps (`moves`) are tested against, and of a size that grows
with the rows: for some 400 unknowns and a few hundred rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cvxpy as cp
import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.problem import NetworkProblem
from amtl_cvx.network.steps.cell import Cell
from amtl_cvx.network.steps.moves import Moved, named, with_bias
from amtl_cvx.solvers import AUTO, Backend, check_dpp, solve
from amtl_cvx.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Definition:
    """The step of a block W1, W2, ..., S or A, its bias with it, for one problem; other data are others."""

    block: str
    problem: cp.Problem
    unknown: cp.Variable
    given: Mapping[str, cp.Parameter]
    backend: Backend = AUTO

    @classmethod
    def compile(cls, problem: NetworkProblem, block: str, *, backend: Backend = AUTO) -> Definition:
        """The step, compiled at its first solve."""
        written = _Written(problem, cp.Variable(with_bias(problem.zero, block).shape), block)
        made = cp.Problem(cp.Minimize(written.objective()), written.limits)
        return cls(
            block=block,
            problem=check_dpp(made, f"the {block}-step in a cell (definition)"),
            unknown=written.x,
            given=written.given,
            backend=backend,
        )

    def solve(self, point: NetworkPoint) -> Moved:
        """The minimum in the cell as the solver has it: what is 0 in truth may be 1e-9."""
        values = values_of(Cell.of(point, self.block), self.block)
        for name, parameter in self.given.items():
            parameter.value = values[name]
        solved = solve(self.problem, step="cell-cone", backend=self.backend)
        value = np.array(self.unknown.value, dtype=float)
        return Moved(named(point, self.block, value), solved)


def values_of(cell: Cell, block: str) -> dict[str, Array]:
    """What the parameters of a definition are in a cell."""
    point, problem = cell.point, cell.point.problem
    bias = point.A_plus[point.tasks.T :]
    counts = (problem.rows.times > 0.0)[:, None]
    enters = {"S": point.features, "A": point.F_plus}
    values = {
        "enters": enters[block] if block in enters else point.below[int(block[1:]) - 1],
        "features": point.features,
        "loss_weight": point.loss_weight,
        "prices": point.prices,
        "S": point.S,
        "A": point.A,
        "bias_feedback": bias.sum(axis=0),
        "met": cell.met.astype(float),
        "side": np.where(cell.met, 1.0, -1.0) * counts,
    }
    for number, (V, on) in enumerate(zip(point.V, cell.on, strict=True), start=1):
        width = V.shape[0] - point.model.fit_bias
        values |= {
            f"W{number}": V[:width],
            f"bias{number}": V[width:].sum(axis=0),
            f"on{number}": on.astype(float),
            f"side{number}": np.where(on, 1.0, -1.0),
        }
    return {name: np.asarray(value, dtype=float) for name, value in values.items()}


@dataclass
class _Written:
    """J of one block in a cell, and the signs it keeps; parameters are made as they are used."""

    of: NetworkProblem
    x: cp.Variable
    block: str
    given: dict[str, cp.Parameter] = field(default_factory=dict)
    limits: list[cp.Constraint] = field(default_factory=list)

    def objective(self) -> cp.Expression:
        """J without what does not depend on the block."""
        model, T = self.of.model, self.of.tasks.T
        if self.block == "A":
            priced = self.x[:T] if model.signed else self._at_least_zero(self.x[:T])
            paid = cp.sum(self._parameter("prices", T, nonneg=True) @ cp.abs(priced))
            own = paid + model.decay * cp.sum_squares(self.x[T:]) if model.feedback_bias else paid
            return own + self._missed(self._parameter("features", self._rows(-1)), self._enters() @ self.x)
        if self.block == "S":
            Z = self._enters()
            F, own = self._variable(Z @ self.x), model.mu * cp.norm1(self.x)
        else:
            Z = self._layers()
            F = self._variable(Z @ self._parameter("S", (model.features, T)))
            own = model.decay * cp.sum_squares(self.x)
        R = F @ self._parameter("A", (T, model.features))
        if model.feedback_bias:
            R = R + self._ones() @ cp.reshape(
                self._parameter("bias_feedback", model.features), (1, model.features), order="F"
            )
        return own + self._losses(F) + self._missed(Z, R)

    def _layers(self) -> cp.Expression:
        """Z, from the layer that moves upwards."""
        model, number = self.of.model, int(self.block[1:])
        u = self._enters() @ self.x
        while True:
            shape = self._rows(number - 1)
            u = self._variable(u)
            self.limits.append(cp.multiply(self._parameter(f"side{number}", shape), u) >= 0)
            z = self._variable(cp.multiply(self._parameter(f"on{number}", shape), u))
            if number == len(model.layers):
                return z
            number += 1
            width = model.layers[number - 1]
            u = z @ self._parameter(f"W{number}", (model.layers[number - 2], width))
            if model.fit_bias:
                bias = self._parameter(f"bias{number}", width)
                u = u + self._ones() @ cp.reshape(bias, (1, width), order="F")

    def _losses(self, F: cp.Expression) -> cp.Expression:
        """sum_t e_t L_t(F_t)."""
        rows, loss = self.of.rows, self.of.model.loss
        found = []
        for t, task in enumerate(self.of.tasks):
            at = rows.task == t
            scores = F[rows.row[at], t]
            alone = Task(X=np.eye(len(task.y)), y=task.y, sample_weight=task.sample_weight)
            found.append(loss.expression(alone, scores))
        return self._parameter("loss_weight", len(found), nonneg=True) @ cp.hstack(found)

    def _missed(self, Z: cp.Expression, R: cp.Expression) -> cp.Expression:
        """gamma ||Z - D R||^2, rows as often as they are rebuilt."""
        if self.of.gamma == 0.0:
            return cp.Constant(0.0)
        shape = self._rows(-1)
        R = self._variable(R)
        self.limits.append(cp.multiply(self._parameter("side", shape), R) >= 0)
        missed = Z - cp.multiply(self._parameter("met", shape), R)
        times = np.sqrt(self.of.rows.times)[:, None] * np.ones(shape)
        return self.of.gamma * cp.sum_squares(cp.multiply(times, missed))

    def _enters(self) -> cp.Expression:
        """What the block is multiplied with: the rows, or what lies below it."""
        if self.block == "W1":
            return cp.Constant(self.of.inputs)
        return self._parameter("enters", (len(self.of.rows.X), self.x.shape[0]))

    def _at_least_zero(self, part: cp.Expression) -> cp.Expression:
        self.limits.append(part >= 0)
        return part

    def _variable(self, expression: cp.Expression) -> cp.Variable:
        """A variable that is this expression."""
        found = cp.Variable(expression.shape)
        self.limits.append(found == expression)
        return found

    def _parameter(self, name: str, shape: object, *, nonneg: bool = False) -> cp.Parameter:
        if name not in self.given:
            self.given[name] = cp.Parameter(shape, nonneg=nonneg)
        return self.given[name]

    def _rows(self, number: int) -> tuple[int, int]:
        return len(self.of.rows.X), self.of.model.layers[number]

    def _ones(self) -> Array:
        return np.ones((len(self.of.rows.X), 1))
