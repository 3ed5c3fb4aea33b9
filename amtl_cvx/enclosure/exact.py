r"""One small squared-loss problem in exact rational numbers, read from the stored doubles.

    c_t l_t(w) = weight_t (w'G_t w - 2 h_t'w + k_t),   G_t = X_t'V X_t,  h_t = X_t'V y_t,  k_t = y_t'V y_t
    J(W, B)    = sum_t (1 + mu sum_u B[t, u]) c_t l_t(w_t) + coupling ||W - W B||_F^2 + tr(W Omega W')

with Omega (T, T) = rho Gamma of a quadratic penalty on W, exact and positive semidefinite, 0 without one, and
weight_t = c_t / n_t (reduction "mean") or c_t ("sum"), V = diag(v) how often the rows of task t count, once
unless they have weights, and n_t the sum of v. Data, weights, mu, coupling and numbers given as c_t are the
rationals that their doubles stand for. A matrix is a tuple of rows.

c_t = 1/sqrt(n_t) is that real number, as in `digits`, and mostly irrational. It lies between the rationals
low_t <= c_t <= high_t, multiples of 2^-128, and J, a sum of terms c_t (1 + mu sum_u B[t, u]) L_t >= 0 and of
others >= 0 without c_t, does not fall as a c_t rises. Hence with J_low, J of the weights low_t, and the ratio
max_t high_t / low_t

    J_low(W, B) <= J(W, B) <= ratio J_low(W, B)        everywhere.

All that is computed here is J_low; a lower bound of it is one of J, and times the ratio, which is 1 where the
weights are rational and 1 + 2^-120 or less otherwise, J_low at a point bounds J there from above.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from amtl_cvx.errors import NotCertifiable
from amtl_cvx.losses import Squared
from amtl_cvx.problem import Model
from amtl_cvx.tasks import Array, Task, TaskSet
from amtl_cvx.transfer import LossWeightedL1
from amtl_cvx.weights import as_quadratic

Vector = tuple[Fraction, ...]
Matrix = tuple[Vector, ...]
_ROOT_BITS = 128


class TaskWeight(NamedTuple):
    """c_t as a proof names it, and rationals on either side of it."""

    name: str
    low: Fraction
    high: Fraction


def task_weights(tasks: TaskSet, model: Model) -> list[TaskWeight]:
    """c_t of every task; see the module essay."""
    if model.task_weights == "inverse-sqrt":
        return [_inverse_root(sum(row_counts(task), Fraction(0)), task.name) for task in tasks]
    return [TaskWeight(c.hex(), Fraction(c), Fraction(c)) for c in model.task_weight(tasks).tolist()]


def row_counts(task: Task) -> Vector:
    """How often each row of a task counts."""
    return tuple(map(Fraction, task.weights.tolist()))


def _inverse_root(n: Fraction, name: str = "a task") -> TaskWeight:
    p, q = math.isqrt(n.numerator), math.isqrt(n.denominator)
    if Fraction(p, q) ** 2 == n:
        return TaskWeight(f"{q}/{p}", Fraction(q, p), Fraction(q, p))
    if n < 1:
        raise NotCertifiable(f"the weights of {name!r} have a sum below 1: give task weights as numbers")
    low, unit = math.isqrt(4**_ROOT_BITS * n.denominator // n.numerator), 2**_ROOT_BITS
    return TaskWeight(f"1/sqrt({n})", Fraction(low, unit), Fraction(low + 1, unit))


@dataclass(frozen=True, kw_only=True)
class ExactProblem:
    """The problem; see the module essay.

    Attributes
    ----------
    X, y : tuple of Matrix, tuple of Vector
        Rows and targets of every task.
    gram, moment, square : tuple of Matrix, tuple of Vector, Vector
        G_t (d, d), h_t (d,) and k_t.
    weight : Vector
        low_t / n_t or low_t.
    ratio : Fraction
        By which J may be above J_low at most.
    mu, coupling : Fraction
    omega : Matrix
        rho Gamma, (T, T), positive semidefinite.
    """

    X: tuple[Matrix, ...]
    y: tuple[Vector, ...]
    gram: tuple[Matrix, ...]
    moment: tuple[Vector, ...]
    square: Vector
    weight: Vector
    ratio: Fraction
    mu: Fraction
    coupling: Fraction
    omega: Matrix

    @classmethod
    def read(cls, tasks: TaskSet, model: Model) -> ExactProblem:
        """The exact problem behind `tasks` and `model`; `NotCertifiable` unless it is AMTL, squared loss."""
        model.check(tasks)
        if not isinstance(model.loss, Squared):
            raise NotCertifiable(
                f"the global proof is for the squared loss, this model has {model.loss.name!r}: a solver's"
                " claim (SCIP) is what can be had"
            )
        if not isinstance(model.transfer, LossWeightedL1):
            raise NotCertifiable(
                f"the global proof is for the penalty {LossWeightedL1.name!r}, this model has"
                f" {model.transfer.name!r}"
            )
        if any(task.compressed for task in tasks):
            raise NotCertifiable(
                "the global proof needs the rows themselves, a factor of them is rounded: read the data with"
                " keep_rows=True"
            )
        X = tuple(exact_matrix(task.X) for task in tasks)
        y = tuple(tuple(Fraction(value) for value in task.y.tolist()) for task in tasks)
        often = [row_counts(task) for task in tasks]
        mean = model.loss.reduction == "mean"
        counts = [sum(v, Fraction(0)) if mean else Fraction(1) for v in often]
        columns = [tuple(zip(*rows, strict=True)) for rows in X]
        pulls = [
            (*(_times(v, column) for column in C), _times(v, target))
            for v, C, target in zip(often, columns, y, strict=True)
        ]
        prices = task_weights(tasks, model)
        return cls(
            X=X,
            y=y,
            gram=tuple(
                tuple(tuple(dot(u, x) for x in C) for u in V[:-1])
                for V, C in zip(pulls, columns, strict=True)
            ),
            moment=tuple(tuple(dot(u, target) for u in V[:-1]) for V, target in zip(pulls, y, strict=True)),
            square=tuple(dot(V[-1], target) for V, target in zip(pulls, y, strict=True)),
            weight=tuple(c.low / n for c, n in zip(prices, counts, strict=True)),
            ratio=max(c.high / c.low for c in prices),
            mu=Fraction(float(model.mu)),
            coupling=Fraction(float(model.coupling)),
            omega=exact_omega(model, tasks.T),
        )

    @property
    def T(self) -> int:
        return len(self.weight)

    @property
    def d(self) -> int:
        return len(self.moment[0])

    def weighted_loss(self, t: int, w: Sequence[Fraction]) -> Fraction:
        """c_t L_t(w), c_t at its lower end."""
        quadratic = dot(w, [dot(row, w) for row in self.gram[t]])
        return self.weight[t] * (quadratic - 2 * dot(self.moment[t], w) + self.square[t])

    def objective(self, W: Matrix, B: Matrix) -> Fraction:
        """J_low(W, B), exact."""
        columns = list(zip(*W, strict=True))
        losses = sum(
            (1 + self.mu * sum(row)) * self.weighted_loss(t, w)
            for t, (row, w) in enumerate(zip(B, columns, strict=True))
        )
        sources = list(zip(*B, strict=True))
        residuals = (row[t] - dot(row, sources[t]) for row in W for t in range(self.T))
        omega = sum(w * dot(column, row) for row in W for w, column in zip(row, self.omega, strict=True))
        return losses + self.coupling * sum(r * r for r in residuals) + omega

    def gradients(self, W: Matrix, B: Matrix) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
        """G_W (d, T) and G_B (T, T) of J_low, exact; the diagonal of G_B is meaningless."""
        columns, sources = list(zip(*W, strict=True)), list(zip(*B, strict=True))
        T, d = range(self.T), range(self.d)
        R = [[W[i][t] - dot(W[i], sources[t]) for t in T] for i in d]
        slopes = [
            [
                2 * self.weight[t] * (dot(row, columns[t]) - h)
                for row, h in _pairs(self.gram[t], self.moment[t])
            ]
            for t in T
        ]
        G_W = [
            [
                (1 + self.mu * sum(B[t])) * slopes[t][i]
                + 2 * self.coupling * (R[i][t] - dot(B[t], R[i]))
                + 2 * dot(self.omega[t], W[i])
                for t in T
            ]
            for i in d
        ]
        prices = [self.mu * self.weighted_loss(s, columns[s]) for s in T]
        G_B = [[prices[s] - 2 * self.coupling * sum(W[i][s] * R[i][t] for i in d) for t in T] for s in T]
        return G_W, G_B


def exact_omega(model: Model, T: int) -> Matrix:
    """rho Gamma of the penalty on W, 0 without one; `NotCertifiable` unless it is positive semidefinite."""
    if model.omega is None:
        return ((Fraction(0),) * T,) * T
    found = as_quadratic(model.omega).exact(T)
    if squares_of(found) is None:
        raise NotCertifiable(f"the penalty {model.omega.name}: its Gamma is not positive semidefinite")
    return found


def squares_of(A: Matrix) -> Matrix | None:
    """Rows (a_k, g_k) with ``A = sum_k a_k g_k g_k'``, a_k > 0, by elimination.

    None for a matrix that is not symmetric and positive semidefinite.
    """
    rows, found = [list(row) for row in A], list[Vector]()
    if rows != [list(column) for column in zip(*A, strict=True)]:
        return None
    for k, pivot in enumerate(rows):
        if pivot[k] < 0 or (pivot[k] == 0 and any(pivot[k:])):
            return None
        if pivot[k]:
            found.append((1 / pivot[k], *pivot))
            for i in range(k + 1, len(rows)):
                share = rows[i][k] / pivot[k]
                rows[i] = [a - share * b for a, b in zip(rows[i], pivot, strict=True)]
    return tuple(found)


def _times(v: Vector, column: Sequence[Fraction]) -> Vector:
    return tuple(weight * x for weight, x in zip(v, column, strict=True))


def exact_matrix(values: Array) -> Matrix:
    """The rationals that the doubles of an array stand for."""
    return tuple(tuple(Fraction(value) for value in row) for row in values.tolist())


def dot(u: Sequence[Fraction], v: Sequence[Fraction]) -> Fraction:
    """Inner product."""
    return sum((a * b for a, b in zip(u, v, strict=True)), Fraction(0))


def inverse(A: Matrix) -> Matrix | None:
    """A^-1 by Gauss-Jordan elimination; None for a singular A."""
    n = len(A)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(A)]
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k] != 0), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for i in range(n):
            if i != k and rows[i][k] != 0:
                rows[i] = [a - rows[i][k] * b for a, b in zip(rows[i], rows[k], strict=True)]
    return tuple(tuple(row[n:]) for row in rows)


def sqrt_above(value: Fraction, bits: int = 40) -> Fraction:
    """A dyadic number >= sqrt(value), by a relative 2^-bits or less above it; value >= 0."""
    if value == 0:
        return Fraction(0)
    scale = bits + max(0, -magnitude(value) // 2 + 1)
    return Fraction(math.isqrt(math.floor(value * 4**scale)) + 1, 2**scale)


def magnitude(value: Fraction) -> int:
    """e with 2^(e-1) < abs(value) < 2^(e+1); value is not 0."""
    return abs(value.numerator).bit_length() - value.denominator.bit_length()


def _pairs(rows: Matrix, values: Vector) -> zip[tuple[Vector, Fraction]]:
    return zip(rows, values, strict=True)
