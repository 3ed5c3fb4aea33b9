r"""How far an answer may be from the right one: derived from dtype, sizes of terms and condition.

eps is that of the dtype (2^-52, 2^-23), n_t the rows of task t, c_t = n_t + d + T + 16 the roundings that a
sum over rows takes at most, s_i = |x_i|'|w_t| what the score of a row is summed from, v_i its weight, phi''
the largest curvature within rounding.

Values. A sum of terms that are known to some eps each is known to (number of terms) eps sum|terms|, whatever
the order of summation (Higham 2002, section 4.2), so for J, its losses and its gradients

    L_t           c_t eps scale_t sum_i v_i [|phi| + |phi'| (s_i + |y_i|) + phi'' (s_i + |y_i|)^2]
    J             sum_t c_t (1 + R(B; e_t)) (limit of L_t) + c eps (2 coupling sum (|W||M|)^2 + R + Omega)
    G_W[j, t]     c_t eps (a_t scale_t sum_i |x_ij| slope_i + 2 coupling (|W||K||K'|)[j, t])
                  slope_i = v_i (|phi'| + phi'' (s_i + |y_i|))
    G_B[s, t]     prices of the limits of the losses + c eps (p_s + 2 coupling (|W|'|W||M|)[s, t])

which also covers a back end that works with X'X and X'y.

Residuals of steps. A solution of H w = b by a factorisation solves a system in which H_ij moved by N eps
sqrt(H_ii H_jj) (Demmel 1989: Cholesky's backward error, in any units of the features), so that

    |G_W[j, t]| <= N eps size_W[j, t]             N = 4 (n + T d + 16), 4 for what iterates until it stays
    size_W[j, t] = a_t scale_t ||x_j|| ||slope|| + 2 coupling sqrt(P_tt) sum_u sqrt(P_uu) |W_ju|
    size_B[s, t] = p_s + 2 coupling ||w_s|| (||w_t|| + sum_u ||w_u|| B[u, t])

with norms over rows, and p_s the price of a loss as large as what it is summed from. Relative residuals are
|G_W| / size_W and |min(h_s B, G_B)| / size_B, h_s = 2 coupling ||w_s||^2.

Gaps. J cannot be told from its minimum where the gap is below 8 eps sum|terms|; a residual of N eps size
costs (1/2) r'H^-1 r beside that, with the smallest eigenvalue of the Hessian in units of its diagonal.

Answers. max |x - x*| <= 32 kappa eps max |x*| for each block x, kappa the condition number that the pack
proves of its answer (`claims.response`).

Final points are the limit of an iteration of steps: they are asked for residuals of sqrt(eps), with which J
is right to about kappa eps. A back end whose stopping rule asks for something else says so (`accuracy`).

Sources: Higham, Accuracy and Stability of Numerical Algorithms, 2002; Demmel, On floating point errors in
Cholesky, 1989; CERTIFICATES of the project, section 7 (32 kappa eps, 8 eps sum|terms| + gap).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array

ANSWERS = 32.0
"""Units of kappa eps that an answer may be off by."""
OBJECTIVES = 8.0
"""Units of eps sum|terms| below which a gap is rounding."""
SOLVABLE = 1e-2
"""A limit of a gap or a residual beyond this part of its terms asks nothing any more."""
APART = 0.1
"""The same of a distance, of the answer."""
_MORE = 16.0
_ITERATED = 4.0  # times the backward error of a factorisation: what stops when nothing gets better
_DENSE = 1200  # unknowns up to which the condition of a W-step is computed


def eps_of(dtype: str) -> float:
    """The distance of 1 to the next number."""
    return float(np.finfo(dtype).eps)


class Rows(NamedTuple):
    """What the rows of a task add: sizes of phi, and of phi' (n_t,), weights included."""

    values: Array
    slopes: Array


@dataclass(frozen=True, eq=False)
class Limits:
    """The limits at a point, in the dtype of the back end.

    Parameters
    ----------
    point : Point
        Of the problem that was asked, in double precision.
    dtype : str
    accuracy : float or None
        What the back end's own stopping rule asks for.
    """

    point: Any
    dtype: str = "float64"
    accuracy: float | None = None

    @property
    def eps(self) -> float:
        """That of the dtype."""
        return eps_of(self.dtype)

    @property
    def tasks(self) -> Any:
        """Those of the problem."""
        return self.point.tasks

    @cached_property
    def units(self) -> Array:
        """Roundings of a sum over the rows of each task, times eps, (T,)."""
        counts = np.array([len(task.y) for task in self.tasks], dtype=np.float64)
        found: Array = (counts + self.tasks.d + self.tasks.T + _MORE) * self.eps
        return found

    @cached_property
    def rows(self) -> tuple[Rows, ...]:
        """What the rows add, task by task."""
        return tuple(self._rows_of(t) for t in range(self.tasks.T))

    @np.errstate(over="ignore", invalid="ignore")
    def _rows_of(self, t: int) -> Rows:
        task, w, loss = self.tasks[t], self.point.W[:, t], self.point.model.loss
        z, reach = task.X @ w, np.abs(task.X) @ np.abs(w)
        size = reach + np.abs(task.y)
        own = loss.on(task.sample_weight)
        moved = float(self.units[t]) * size
        bent = np.max([own.curvatures(z + side * moved, task.y) for side in (-1.0, 0.0, 1.0)], axis=0)
        slopes = np.max([np.abs(own.slopes(z + side * moved, task.y)) for side in (-1.0, 0.0, 1.0)], axis=0)
        return Rows(np.abs(own.rows(z, task.y)) + slopes * size + bent * size**2, slopes + bent * size)

    @cached_property
    def losses(self) -> Array:
        """Of L_t, (T,)."""
        scale = self.point.problem.loss_scales
        found: Array = self.units * scale * np.array([each.values.sum() for each in self.rows])
        return found

    @cached_property
    def terms(self) -> float:
        """The sum of the sizes of what J is summed from."""
        point = self.point
        squares = float(((np.abs(point.W) @ np.abs(point.M)) ** 2).sum())
        omega = 0.0 if point.model.omega is None else abs(point.terms.omega)
        sizes = self._weight * np.abs(point.losses)
        rest = omega + abs(float(point.terms.transfer))
        return float(sizes.sum()) + 2.0 * float(point.model.coupling) * squares + rest

    @property
    def _weight(self) -> Array:
        """c_t (1 + R(B; e_t) - R(B; 0)), no sign of B hiding another, (T,)."""
        point = self.point
        raised = np.abs(point.model.transfer.weights(np.abs(point.B)))
        found: Array = point.problem.task_weight * (1.0 + raised)
        return found

    @property
    def objective(self) -> float:
        """Of J."""
        sums = (self.tasks.d + self.tasks.T + _MORE) * self.eps
        return float((self._weight * self.losses).sum()) + float(sums) * self.terms

    @cached_property
    def gradient_W(self) -> Array:
        """Of G_W, (d, T)."""
        point = self.point
        weight = self._weight * point.problem.loss_scales
        pull = np.column_stack(
            [np.abs(task.X).T @ each.slopes for task, each in zip(self.tasks, self.rows, strict=True)]
        )
        K = np.abs(point.K)
        coupled = 2.0 * point.square_weight * (np.abs(point.W) @ K @ K.T)
        found: Array = self.units * (weight * pull + coupled)
        return found

    @cached_property
    def gradient_B(self) -> Array:
        """Of G_B, (T, T), for a penalty with prices."""
        point = self.point
        c, zero = point.problem.task_weight, np.zeros(self.tasks.T)
        base, prices = self._prices(zero), self._prices(point.weighted_losses)
        moved = np.abs(self._prices(c * self.losses) - base)
        sizes, M = np.abs(point.W), np.abs(point.M)
        sums = (self.tasks.d + self.tasks.T + _MORE) * self.eps
        inner = 2.0 * point.model.coupling * (sizes.T @ sizes @ M)
        found: Array = moved[:, None] + sums * (np.abs(prices)[:, None] + inner)
        return found

    def _prices(self, losses: Array) -> Array:
        found = self.point.model.transfer.prices(losses)
        return np.zeros_like(losses) if found is None else np.asarray(found, dtype=np.float64)

    # ---------------------------------------------------------------- residuals

    @property
    def step(self) -> float:
        """The largest relative residual of a step's answer."""
        most = max(len(task.y) for task in self.tasks)
        rounding = _ITERATED * float(most + self.tasks.d * self.tasks.T + _MORE) * self.eps
        return rounding if self.accuracy is None else max(rounding, self.accuracy)

    @property
    def final(self) -> float:
        """The largest relative residual of a final point."""
        return max(self.step, math.sqrt(self.eps) if self.accuracy is None else self.accuracy)

    @cached_property
    def curvature_W(self) -> Array:
        """The diagonal of the Hessian in W, (d, T)."""
        point = self.point
        bent = np.column_stack([np.diag(block) for block in point.loss_hessians])
        found: Array = bent + 2.0 * point.square_weight * (point.K**2).sum(axis=1)
        return found

    @cached_property
    def size_W(self) -> Array:
        """What an entry of G_W is held against, (d, T)."""
        point = self.point
        weight = point.loss_weight * point.problem.loss_scales
        pull = np.column_stack(
            [
                np.linalg.norm(task.X, axis=0) * float(np.linalg.norm(each.slopes))
                for task, each in zip(self.tasks, self.rows, strict=True)
            ]
        )
        root = np.sqrt((point.K**2).sum(axis=1))
        found: Array = weight * pull + 2.0 * point.square_weight * np.outer(np.abs(point.W) @ root, root)
        return found

    @cached_property
    def size_B(self) -> Array:
        """What an entry of G_B is held against, (T, T)."""
        point = self.point
        c, scale = point.problem.task_weight, point.problem.loss_scales
        sizes = scale * np.array([each.values.sum() for each in self.rows])
        prices = np.abs(self._prices(c * sizes))
        length = np.linalg.norm(point.W, axis=0)
        inner = np.outer(length, length + length @ np.abs(point.B))
        found: Array = prices[:, None] + 2.0 * point.model.coupling * inner
        return found

    # ------------------------------------------------------------------ answers

    @cached_property
    def spectrum_W(self) -> tuple[float, float] | None:
        """Smallest and largest eigenvalue of the Hessian in W in units of its diagonal; None if too large."""
        point = self.point
        if point.W.size > _DENSE or not point.model.smooth_in_W:
            return None
        H = point.smooth_hessian_W()
        root = np.sqrt(np.diag(H))
        if not (np.isfinite(root).all() and (root > 0.0).all()):
            return None
        values = np.linalg.eigvalsh(H / np.outer(root, root))
        return max(float(values[0]), 0.0), float(values[-1])

    @property
    def kappa_W(self) -> float:
        """The condition of the W-step in units of its diagonal; infinite where it is not known."""
        if self.spectrum_W is None or not self.spectrum_W[0] > len(self.point.W) * eps_of("float64"):
            return math.inf
        return self.spectrum_W[1] / self.spectrum_W[0]

    @property
    def rounding_of_J(self) -> float:
        """What of a gap is rounding of J."""
        return OBJECTIVES * self.eps * self.terms

    def gap_W(self, residual: float) -> float:
        """What a relative residual of W may gain."""
        if self.spectrum_W is None or not self.spectrum_W[0] > 0.0:
            return self.rounding_of_J + residual * self.terms
        missed = (residual * self.size_W) ** 2 / self.curvature_W
        return self.rounding_of_J + 0.5 * float(missed.sum()) / self.spectrum_W[0]

    def gap_B(self, residual: float, right: Array) -> float:
        """What a relative residual of B may gain, beside the best B; without prices, of all terms."""
        if self.point.row_prices is None:
            return self.rounding_of_J + residual * self.terms
        moved = self.size_B * np.maximum(np.abs(self.point.B), right)
        return self.rounding_of_J + residual * float(moved.sum())
