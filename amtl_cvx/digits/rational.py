r"""The two half-steps in exact rational arithmetic: a gap of 0, not of 1e-16.

    prices = exact_prices(tasks, model, W)
    step = exact_transfer(W, prices, model.coupling, support=B)      step.gap == 0
    step = exact_weights(tasks, model, B)                            step.gap == 0

Doubles are dyadic rationals, so both steps of a loss of polynomial pieces (`pieces`: all but logistic and
Poisson) are problems over the rationals.

B-step, column t (A = W without w_t): from the support P of a float answer or from the empty one,

    (2 coupling A_P'A_P) b_P = 2 coupling A_P'w_t - p_P,   b_P > 0,   q = p - 2 coupling A'(w_t - A b) >= 0

An edge with q < 0 enters, edges that would turn negative leave (Lawson, Hanson, Solving Least Squares
Problems, chapter 23), in rationals, so that J falls strictly and no support comes twice. An entering edge
whose w_s is a combination of those of P moves along that combination, which costs no curvature, until an
edge of P reaches 0: the support stays independent, and T - 1 > d or collinear tasks need no exception.

W-step: (blockdiag(a_t s_t X_t'X_t) + coupling P (x) I) vec W = stack(a_t s_t X_t'y_t), s_t = 1/n_t or 1, for
the squared loss (theory.md section 3); the others are convex quadratic programs (`weightstep`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import fmpq, fmpq_mat

from amtl_cvx.digits.column import Column
from amtl_cvx.digits.counts import exact_count, row_counts
from amtl_cvx.digits.gram import exact_gram
from amtl_cvx.digits.pieces import NAMES, exact, piecewise
from amtl_cvx.digits.prices import linear_prices
from amtl_cvx.digits.weightstep import ExactRow, WeightStep, first_duals
from amtl_cvx.errors import DataError, NotCertifiable, SolveError
from amtl_cvx.losses import LOSSES
from amtl_cvx.problem import Model
from amtl_cvx.tasks import Array, TaskSet

Number = int | float | Fraction
Matrix = Array | Sequence[Sequence[Number]]
MAX_UNKNOWNS = 300
"""Unknowns of a W-step up to which its system is solved over the rationals (half a minute there)."""


@dataclass(frozen=True, kw_only=True)
class ExactTransfer:
    """The solution of a B-step over the rationals.

    Attributes
    ----------
    B : tuple of T tuples of T Fraction
    gap : Fraction
        Primal minus dual objective, summed over the columns; 0.
    unique : bool
        True: no other B is optimal. False: not proved.
    exchanges : int
        Edges that entered or left beyond the support given.
    """

    B: tuple[tuple[Fraction, ...], ...]
    gap: Fraction
    unique: bool
    exchanges: int


@dataclass(frozen=True, kw_only=True)
class ExactWeights:
    """The solution of a W-step over the rationals.

    Attributes
    ----------
    W : tuple of d tuples of T Fraction
    gradient : Fraction
        The largest |G_W|, from the rows and their multipliers; 0.
    gap : Fraction
        Primal minus dual objective, where the gradient is 0; 0.
    multipliers : tuple of T tuples of n_t Fraction
        u of every row, a subgradient of its loss.
    """

    W: tuple[tuple[Fraction, ...], ...]
    gradient: Fraction
    gap: Fraction
    multipliers: tuple[tuple[Fraction, ...], ...]


def exact_transfer(
    W: Matrix, prices: Sequence[Number], coupling: float, *, support: Array | None = None
) -> ExactTransfer:
    """min over B >= 0, diag(B) = 0 of coupling ||W - W B||_F^2 + sum_s p_s sum_t B[s, t], exactly.

    Parameters
    ----------
    W : (d, T) array or d rows of T numbers
        Exact as they are.
    prices : T numbers >= 0
        p_s, see `exact_prices`.
    coupling : float
        > 0.
    support : (T, T) array_like, optional
        A B whose positive entries are tried first.

    Raises
    ------
    DataError
        For a negative price or shapes that do not match.
    SolveError
        Should the B found not be optimal.
    """
    A = _matrix(W)
    T = A.ncols()
    p = [exact(price) for price in prices]
    if len(p) != T or any(price < 0 for price in p):
        raise DataError(f"expected {T} prices >= 0, one per task, got {list(prices)}")
    tried = np.zeros((T, T)) if support is None else np.asarray(support, dtype=float)
    if tried.shape != (T, T):
        raise DataError(f"support must have shape {(T, T)}, it has {tried.shape}")
    lam = exact(coupling)
    gram = A.transpose() * A
    columns, gap, unique, exchanges = [], fmpq(0), True, 0
    for t in range(T):
        others = [s for s in range(T) if s != t]
        column = Column(gram, t, others, [p[s] / (2 * lam) for s in others])
        column.start([i for i, s in enumerate(others) if tried[s, t] > 0])
        column.minimise()
        gap += _column_gap(A, t, others, column.b, [p[s] for s in others], lam)
        unique = unique and column.unique()
        exchanges += column.exchanges
        full = dict(zip(others, column.b, strict=True))
        columns.append([_fraction(full.get(s, fmpq(0))) for s in range(T)])
    B = tuple(zip(*columns, strict=True))
    return ExactTransfer(B=B, gap=_fraction(gap), unique=unique, exchanges=exchanges)


def exact_prices(tasks: TaskSet, model: Model, W: Matrix) -> tuple[Fraction, ...]:
    """p_s of a loss of polynomial pieces at W over the rationals, (T,).

    Raises
    ------
    NotCertifiable
        If a price is not rational: another loss, or c_t = n_t^-1/2 where n_t is no square.
    """
    _need_pieces(tasks, model)
    columns, pairs = _matrix(W), linear_prices(model.transfer, tasks.T)
    found = []
    for t, (c, scale, (fixed, at_unit)) in enumerate(
        zip(_task_weights(tasks, model), _scales(tasks, model), pairs, strict=True)
    ):
        scores = _matrix(tasks[t].X) * fmpq_mat(tasks.d, 1, [columns[i, t] for i in range(tasks.d)])
        rows = zip(scores.entries(), tasks[t].y.tolist(), row_counts(tasks[t]), strict=True)
        loss = scale * sum((v * piecewise(model.loss, y).value(z) for z, y, v in rows), fmpq(0))
        found.append(_fraction(exact(fixed) + (exact(at_unit) - exact(fixed)) * c * loss))
    return tuple(found)


def exact_weights(tasks: TaskSet, model: Model, B: Matrix) -> ExactWeights:
    """The W-step of a loss of polynomial pieces at B, exactly; see `weightstep`.

    Raises
    ------
    NotCertifiable
        For another loss, a c_t that is not rational, a singular system, or more than `MAX_UNKNOWNS`.
    """
    _need_pieces(tasks, model)
    T, d = tasks.T, tasks.d
    if T * d > MAX_UNKNOWNS:
        raise NotCertifiable(f"too large for exact rationals: {T * d} unknowns, the limit is {MAX_UNKNOWNS}")
    lam, graph = exact(model.coupling), _matrix(B)
    M = _identity(T) - graph
    P = lam * (M * M.transpose()) + exact_gram(model, T)
    rows = [
        ExactRow(t, [exact(x) for x in xs], piecewise(model.loss, y), factor * v)
        for t, (task, factor) in enumerate(zip(tasks, _loss_factors(tasks, model, graph), strict=True))
        for xs, y, v in zip(task.X.tolist(), task.y.tolist(), row_counts(task), strict=True)
    ]
    step = WeightStep(rows, P, d)
    if model.loss.quadratic or P.det() != 0:
        step.start(*first_duals(tasks, model, np.array([[float(x) for x in row] for row in B])))
        try:
            return _exact_weights(step, step.minimise(), [len(task.y) for task in tasks])
        except ZeroDivisionError:
            pass
    raise NotCertifiable(
        "the W-step has no unique solution: I - B is singular and the rows do not make up for it"
        if model.loss.quadratic
        else "I - B is singular: the exact W-step of a loss with pieces needs it regular"
    )


def _exact_weights(step: WeightStep, W: fmpq_mat, counts: Sequence[int]) -> ExactWeights:
    """What was found, with its gradient and gap from the rows."""
    gradient = max(abs(entry) for entry in step.gradient(W).entries())
    ends = np.cumsum([0, *counts])
    return ExactWeights(
        W=tuple(tuple(_fraction(W[i, t]) for t in range(step.T)) for i in range(step.d)),
        gradient=_fraction(gradient),
        gap=_fraction(step.mismatch(W)),
        multipliers=tuple(
            tuple(_fraction(u) for u in step.u[i:j]) for i, j in zip(ends[:-1], ends[1:], strict=True)
        ),
    )


def _column_gap(
    W: fmpq_mat, t: int, others: Sequence[int], b: Sequence[fmpq], p: Sequence[fmpq], lam: fmpq
) -> fmpq:
    """P(b) - D(theta) at theta = 2 coupling r, from the columns of W.

    `SolveError` unless theta is dual feasible: the gap would prove nothing.
    """
    d = W.nrows()
    A = fmpq_mat([[W[i, s] for s in others] for i in range(d)]) if others else fmpq_mat(d, 0)
    w = fmpq_mat(d, 1, [W[i, t] for i in range(d)])
    r = w - A * fmpq_mat(len(others), 1, list(b))
    theta = 2 * lam * r
    slopes = (A.transpose() * theta).entries()
    least = min((price - slope for slope, price in zip(slopes, p, strict=True)), default=fmpq(0))
    if least < 0:
        raise SolveError(
            f"the exact B-step must leave multipliers >= 0, the least of column {t} is"
            f" {float(_fraction(least)):.3g}: report this",
            step="B",
            solver="exact",
            status="not dual feasible",
        )
    primal = lam * _dot(r, r) + sum((price * x for price, x in zip(p, b, strict=True)), fmpq(0))
    return primal - (_dot(theta, w) - _dot(theta, theta) / (4 * lam))


def _dot(a: fmpq_mat, b: fmpq_mat) -> fmpq:
    return (a.transpose() * b)[0, 0]


def _need_pieces(tasks: TaskSet, model: Model) -> None:
    model.check(tasks)
    if model.loss.name not in NAMES or type(model.loss) is not LOSSES[model.loss.name]:
        raise NotCertifiable(
            f"exact rationals need a loss of polynomial pieces ({', '.join(NAMES)}), this is"
            f" {model.loss.name}"
        )
    for task in tasks:
        if task.compressed:
            raise NotCertifiable(
                f"{task.name!r} holds a rounded factor of its rows: exact steps need the rows"
            )


def _loss_factors(tasks: TaskSet, model: Model, B: fmpq_mat) -> list[fmpq]:
    """a_t s_t (T,), a_t = c_t (1 + k_t sum_u B[t, u])."""
    return [
        c * scale * (1 + (exact(at_unit) - exact(fixed)) * sum((B[t, u] for u in range(tasks.T)), fmpq(0)))
        for t, (c, scale, (fixed, at_unit)) in enumerate(
            zip(
                _task_weights(tasks, model),
                _scales(tasks, model),
                linear_prices(model.transfer, tasks.T),
                strict=True,
            )
        )
    ]


def _task_weights(tasks: TaskSet, model: Model) -> list[fmpq]:
    if model.task_weights != "inverse-sqrt":
        return [exact(float(c)) for c in model.task_weight(tasks)]
    counts = [exact_count(task) for task in tasks]
    roots = [fmpq(math.isqrt(int(n.p)), math.isqrt(int(n.q))) for n in counts]
    for task, n, root in zip(tasks, counts, roots, strict=True):
        if root * root != n:
            raise NotCertifiable(
                f"the weight 1/sqrt({n}) of {task.name!r} is not rational: give task weights as numbers"
            )
    return [1 / root for root in roots]


def _scales(tasks: TaskSet, model: Model) -> list[fmpq]:
    return [1 / exact_count(task) if model.loss.reduction == "mean" else fmpq(1) for task in tasks]


def _matrix(rows: Matrix) -> fmpq_mat:
    return fmpq_mat([[exact(number) for number in row] for row in rows])


def _identity(n: int) -> fmpq_mat:
    return fmpq_mat([[fmpq(int(i == j)) for j in range(n)] for i in range(n)])


def _fraction(number: fmpq) -> Fraction:
    return Fraction(int(number.p), int(number.q))
