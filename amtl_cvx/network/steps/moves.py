r"""The steps of the blocks in the activation cell of a point: V_l of every layer, S, and A column by column.

    V_l-step   min  sum_t e_t L_t(F_t) + gamma ||E||^2 + decay ||V_l||^2     F, E affine in V_l (`cell`)
    S-step     min  sum_t e_t L_t(F_t) + gamma ||E||^2 + mu ||S||_1
    A-step     min  gamma ||E_.j||^2 + sum_t p_t |a_tj| + decay bias_j^2     by columns, A >= 0 or signed

each over the moves that keep the signs of all u^l and of R. J is convex there. The squared loss is quadratic,
and one problem is the step; for other losses steps of Newton's method lead to the minimum in the cell, along
which every point stays in it, for it is convex. A bias moves with the weights it stands under.

A minimum in the cell is no minimum of the block: the next cell may go on. And where no block's step gains,
a joint move may: the sides of R couple V, S and A (`reports/features/cells.md` has both).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.errors import SolveError
from amtl_cvx.features.gram import Quadratic
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.problem import NetworkProblem
from amtl_cvx.network.steps.cell import BlockCell, Cell
from amtl_cvx.network.steps.program import CellProgram, Form, Sides
from amtl_cvx.solvers import AUTO, Backend, Solved
from amtl_cvx.subproblems import Problems
from amtl_cvx.subproblems.problems import kept

_NEWTON_STEPS = 60
_SETTLED = 1e-13  # of J: a fall below it is rounding
_SHORT, _SHORTEST = 0.2, 1e-10  # parts of a Newton step: curvature is added, no more of it is tried
_ADDED, _LEAST_ADDED = 1e-3, 1e-6  # of the diagonal of H: at first, and what counts as nothing


class Moved(NamedTuple):
    """The new values of a block and of its bias, by their names, and how they were solved for."""

    value: Mapping[str, Array]
    solved: Solved


def named(point: NetworkPoint, name: str, value: Array) -> dict[str, Array]:
    """A block W1, W2, ..., S or A with its bias, from one array that has the bias as last row."""
    if name == "S":
        return {name: value}
    bias = "bias_feedback" if name == "A" else f"bias{name[1:]}"
    return {name: value[:-1], bias: value[-1]} if bias in point.model.blocks else {name: value}


def with_bias(point: NetworkPoint, name: str) -> Array:
    """The array of a block, with its bias as last row."""
    if name == "S":
        return point.S
    return point.A_plus if name == "A" else point.V[int(name[1:]) - 1]


@dataclass(frozen=True, kw_only=True)
class LossStep:
    """argmin over a layer or over S of J in the cell of a point."""

    block: str
    program: CellProgram
    backend: Backend = AUTO

    @classmethod
    def compile(
        cls,
        problem: NetworkProblem,
        block: str,
        *,
        backend: Backend = AUTO,
        problems: Problems | None = None,
    ) -> LossStep:
        """The step of "W1", "W2", ..., or "S", compiled or found among `problems`."""
        n = with_bias(problem.zero, block).size
        form = Form(n=n, priced=n if block == "S" else 0, signed=True)
        return cls(block=block, program=CellProgram(form=form, problems=kept(problems)), backend=backend)

    def solve(self, point: NetworkPoint) -> Moved:
        """The block's minimum in the cell; its value at the point is the start of Newton's method."""
        cell, total, quadratic = Cell.of(point, self.block), Solved.none(), point.model.loss.quadratic
        known: Indices = np.zeros(0, dtype=np.intp)
        added = _ADDED if self.block == "S" and _straight(point) else 0.0
        for _ in range(1 if quadratic else _NEWTON_STEPS):
            J = cell.point.objective
            try:
                new, fall, told, known = self._model_minimum(cell, known, added)
            except SolveError:  # curvatures so small that no solver sees them
                if quadratic or added:
                    raise
                added = _ADDED
                new, fall, told, known = self._model_minimum(cell, known, added)
            total = total + told
            if quadratic:
                return Moved(named(point, self.block, new), total)
            moved, length = self._along(cell.point, new, fall)
            if moved is not None:
                cell = replace(cell, point=moved)
            if fall <= _SETTLED * abs(J) or (moved is None and added > _LEAST_ADDED):
                break
            added = max(10.0 * added, _ADDED) if length <= _SHORT else 0.1 * added
            added = added if added > _LEAST_ADDED else 0.0
        return Moved(named(point, self.block, with_bias(cell.point, self.block)), total)

    def _cell(self, cell: Cell) -> BlockCell:
        return cell.sparse() if self.block == "S" else cell.layer(int(self.block[1:]) - 1)

    def _model_minimum(
        self, cell: Cell, known: Indices, added: float
    ) -> tuple[Array, float, Solved, Indices]:
        """The minimum of the second-order model in the cell, with curvature added; how far J falls to first
        order; how it was solved; the units whose signs were needed.
        """
        point, block = cell.point, self._cell(cell)
        H, half = block.derivatives()
        old = with_bias(point, self.block)
        x, price = old.ravel(), np.zeros(old.size)
        if self.block == "S":
            price[:] = point.model.mu
        else:
            H.flat[:: len(H) + 1] += point.model.decay
            half = half + point.model.decay * x
        if added:
            diagonal = np.diag(H)
            H.flat[:: len(H) + 1] += added * np.maximum(diagonal, diagonal.mean() or 1.0)
        new, told, known = self.program.lazily(
            Quadratic(H, H @ x - half), price, sides_of(block, old), known, self.backend
        )
        fall = -2.0 * float(half @ (new - x)) - float(price @ (np.abs(new) - np.abs(x)))
        return new.reshape(old.shape), fall, told, known

    def _along(self, point: NetworkPoint, target: Array, fall: float) -> tuple[NetworkPoint | None, float]:
        """The first of half as long moves towards the target that lowers J enough, and its length."""
        old, J, length = with_bias(point, self.block), point.objective, 1.0
        furthest = point.model.loss.longest_move
        if np.isfinite(furthest):
            moved = float(np.abs(point.at(**named(point, self.block, target)).scores - point.scores).max())
            length = min(1.0, furthest / moved) if moved > 0.0 else 1.0
        while length > _SHORTEST:
            value = target if length >= 1.0 else old + length * (target - old)
            new = point.at(**named(point, self.block, value))
            if new.objective <= J - 1e-4 * length * fall + 0.1 * _SETTLED * abs(J):
                return new, length
            length *= 0.5
        return None, length


@dataclass(frozen=True, kw_only=True)
class FeedbackStep:
    """argmin over A of J in the cell of a point, one column after another."""

    program: CellProgram
    backend: Backend = AUTO

    @classmethod
    def compile(
        cls, problem: NetworkProblem, *, backend: Backend = AUTO, problems: Problems | None = None
    ) -> FeedbackStep:
        """The step for the problem's shapes: T unknowns a column, one more with a bias."""
        n, T = len(problem.zero.A_plus), problem.tasks.T
        form = Form(n=n, priced=T, signed=problem.model.signed)
        return cls(program=CellProgram(form=form, problems=kept(problems)), backend=backend.on_cpu())

    def solve(self, point: NetworkPoint) -> Moved:
        """The minimum; where nothing is rebuilt it is 0."""
        new = np.zeros_like(point.A_plus)
        if point.problem.gamma == 0.0:
            told = Solved(solver="closed form", status="optimal", seconds=0.0)
            return Moved(named(point, "A", new), told)
        cell, total, T = Cell.of(point, "A"), Solved.none(), point.tasks.T
        price = np.concatenate([point.prices, np.zeros(len(new) - T)])
        for j in range(new.shape[1]):
            block, old = cell.feedback(j), point.A_plus[:, [j]]
            H, half = block.derivatives()
            bias = np.arange(T, len(new))
            H[bias, bias] += point.model.decay
            half[bias] += point.model.decay * old[bias, 0]
            none = np.zeros(0, dtype=np.intp)
            new[:, j], told, _ = self.program.lazily(
                Quadratic(H, H @ old[:, 0] - half), price, sides_of(block, old), none, self.backend
            )
            total = total + told
        return Moved(named(point, "A", new), total)


def sides_of(block: BlockCell, old: Array) -> Sides:
    """The signs that a block has to keep, as rows on its value instead of its move."""

    def rows(places: Indices) -> tuple[Array, Array]:
        G = block.normals(places)
        return G, block.slack(np.zeros_like(old))[places] - G @ old.ravel()

    return Sides(rows=rows, outside=lambda x: block.outside(x.reshape(old.shape) - old))


def _straight(point: NetworkPoint) -> bool:
    """Whether labels are on straight parts of the loss, so that the model may fall without end."""
    return bool(((point.loss_curvatures <= 0.0) & (point.loss_slopes != 0.0)).any())
