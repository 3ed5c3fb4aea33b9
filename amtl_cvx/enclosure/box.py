r"""Where a global minimum must lie: a box derived from the data and one known value of J, never guessed.

U is J at a known point, m_t = min c_t L_t (here with the task weight), Delta = U - sum_s m_s. At every point
with J <= U each term of J is at most what the others leave of U, so with weight_t as in `exact`

    c_t L_t(w_t) - m_t <= Delta    =>  |w_ti - what_ti| <= sqrt(Delta (X_t'X_t)^-1_ii / weight_t)
    mu sum_u B[t, u] m_t <= Delta  =>  sum_u B[t, u] <= Delta / (mu m_t),  so each B[t, u] as well
    coupling ||W - W B||_F^2 <= Delta

around the least-squares what_t. For c_t = 1 and mean losses the first line reads n_t (X_t'X_t)^-1_ii. A
penalty on W is one more term >= 0 and makes no box smaller. Every bound is a rational number rounded outward.
It needs X_t of full column rank, m_t > 0 and mu > 0; anything else is refused with the reason (theory.md
section 11): a box chosen by hand has "proved" a wrong optimum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from amtl_cvx.enclosure.exact import ExactProblem, Matrix, Vector, dot, inverse, magnitude, sqrt_above
from amtl_cvx.errors import ModelError, NotCertifiable
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet

_BITS = 30  # of a bound, rounded outward
_ROUNDING = Fraction(1, 2**80)  # of y'y: below it, a minimal loss is what rounding leaves of 0


@dataclass(frozen=True, kw_only=True)
class Box:
    """Bounds that hold at every point with J <= upper.

    Attributes
    ----------
    W_low, W_high : Matrix
        (d, T), bounds of W.
    B_high : Matrix
        (T, T), bounds of B from above, 0 on the diagonal; from below B >= 0.
    row_sum : Vector
        (T,), bounds of sum_u B[t, u]: what task t may give in all.
    residual : Fraction
        Bound of ||W - W B||_F^2.
    minima : Vector
        (T,), m_t = min c_t L_t, exact.
    upper : Fraction
        U, the value of J the box belongs to.
    """

    W_low: Matrix
    W_high: Matrix
    B_high: Matrix
    row_sum: Vector
    residual: Fraction
    minima: Vector
    upper: Fraction

    def contains(self, other: Box) -> bool:
        """Whether every point of `other` lies in this box."""
        return (
            _below(self.W_low, other.W_low)
            and _below(other.W_high, self.W_high)
            and _below(other.B_high, self.B_high)
        )


def derive_box(tasks: TaskSet, model: Model, upper: Fraction) -> Box:
    """The box of all points with J <= `upper`; see the module essay.

    Raises
    ------
    NotCertifiable
        For another loss or penalty, mu = 0, a rank-deficient X_t, a task fitted perfectly.
    ModelError
        Where `upper` lies below the sum of the minimal losses, so that no point has that J.
    """
    return box_of(ExactProblem.read(tasks, model), upper)


def box_of(problem: ExactProblem, upper: Fraction) -> Box:
    """`derive_box` for an exact problem."""
    if problem.mu == 0 and problem.T > 1:
        raise NotCertifiable("mu = 0 leaves B without a bound, no box can be derived: take mu > 0")
    inverses = [_inverse_gram(problem, t) for t in range(problem.T)]
    centres = [tuple(dot(row, h) for row in inv) for inv, h in zip(inverses, problem.moment, strict=True)]
    minima = tuple(_minimum(problem, t, w) for t, w in enumerate(centres))
    slack = upper - sum(minima)
    if slack < 0:
        raise ModelError(
            f"no point has J <= {float(upper):.6g}: the minimal losses alone add up to"
            f" {float(sum(minima)):.6g}; give J at a known point"
        )
    low, high = [], []
    for inv, centre, weight in zip(inverses, centres, problem.weight, strict=True):
        radii = [sqrt_above(slack * inv[i][i] / weight) for i in range(problem.d)]
        low.append([_round(w - r, r, math.floor) for w, r in zip(centre, radii, strict=True)])
        high.append([_round(w + r, r, math.ceil) for w, r in zip(centre, radii, strict=True)])
    row_sum = (
        tuple(_round(bound, bound, math.ceil) for bound in (slack / (problem.mu * m) for m in minima))
        if problem.T > 1
        else (Fraction(0),)
    )
    return Box(
        W_low=tuple(zip(*low, strict=True)),
        W_high=tuple(zip(*high, strict=True)),
        B_high=tuple(
            tuple(Fraction(0) if s == t else row_sum[s] for t in range(problem.T)) for s in range(problem.T)
        ),
        row_sum=row_sum,
        residual=slack / problem.coupling,
        minima=minima,
        upper=upper,
    )


def check_box(given: Box, derived: Box) -> Box:
    """`given` where it contains `derived`, else `NotCertifiable`: a hand-made box may cut off the minimum."""
    if not given.contains(derived):
        raise NotCertifiable(
            "the box given does not contain the box derived from the data, the optimum may lie outside it:"
            f" B must be allowed up to {float(max(map(max, derived.B_high))):.6g}; leave the box out"
        )
    return given


def _inverse_gram(problem: ExactProblem, t: int) -> Matrix:
    found = inverse(problem.gram[t])
    if found is None:
        raise NotCertifiable(
            f"X of task {t} has rank below d = {problem.d} ({len(problem.y[t])} rows), its loss does not"
            " bound w: drop collinear features or add rows"
        )
    return found


def _minimum(problem: ExactProblem, t: int, w: Vector) -> Fraction:
    minimum = problem.weighted_loss(t, w)
    if minimum <= _ROUNDING * problem.weight[t] * problem.square[t]:
        raise NotCertifiable(
            f"task {t} is fitted perfectly (minimal loss {float(minimum):.3g}), its edges are free and"
            " B has no bound: add rows (more than d) or drop the task"
        )
    return minimum


def _round(value: Fraction, size: Fraction, direction: Callable[[Fraction], int]) -> Fraction:
    if size == 0:
        return value
    scale = Fraction(2) ** (_BITS - magnitude(size))
    return direction(value * scale) / scale


def _below(left: Matrix, right: Matrix) -> bool:
    return all(a <= b for u, v in zip(left, right, strict=True) for a, b in zip(u, v, strict=True))
