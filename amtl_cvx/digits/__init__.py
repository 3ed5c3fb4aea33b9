r"""Proven digits: one true first-order point near the stored one, and how many of its digits are known.

    proven = prove(tasks, model, solution.W, solution.B)
    proven.radius, proven.strict_local_min, proven.W[0][0], proven.objective

The problem is the exact one: every entry of X and y, mu, coupling and numbers given as task weights are the
dyadic rationals that their doubles are; 1/n_t and c_t = n_t^-1/2 ("inverse-sqrt") are the real numbers,
enclosed in balls, not the doubles next to them. On the free variables x = (W, B_st > 0) the first-order
system is g(x) = 0,

    G_W[:, t] = a_t grad L_t(w_t) + 2 coupling (W P)_t          P = (I - B)(I - B)'
    G_B[s, t] = p_s - 2 coupling w_s'(w_t - W b_t)              for B_st > 0,   p_s = mu c_s l_s for AMTL

A penalty that is a sum of prices and squares of edges above bounds, B = base + E x, x >= lo, has the
coefficients x in the place of the entries of B and lo in that of 0 (`atoms`; a symmetric pair is one x, an
edge of any sign two, of which one is 0).

Newton's method finds its root to `dps` digits. The proof is in ball arithmetic (Arb) alone, with Y an
approximate inverse of the Jacobian J = g', X = x +- r and no double anywhere:

    -Y g(x) + (I - Y J(X)) (X - x)  inside the interior of X - x      one root in X (Krawczyk)
    B_st > 0 on X, G_B[s, t] > 0 off the support on X                 it is the one first-order point in X
    inertia of the reduced Hessian J(X), a block LDL'                 strict local minimum, or saddle

A loss that is smooth by pieces (squared hinge, Huber) adds its rows to the set that is proved: each must keep
its piece on X. For a loss with a kink (hinge, quantile) the rows on it are part of the active set, with one
unknown more each, and the inertia is that of the Hessian bordered by them (`kinks`). Where the point is
degenerate (a multiplier 0, a singular Jacobian, a row at a kink without need, rows on kinks that depend on
each other) or not within reach, the answer is `NotCertifiable` with the reason, never a number. `rational`
has the two half-steps in exact rationals for all losses but logistic and Poisson, with a duality gap of
exactly 0.

Needs the optional packages of ``amtl-cvx[verify]``. Source: Krawczyk, Computing 4 (1969); Rump, Acta
Numerica 19 (2010), section 13; Johansson, Arb, IEEE Trans. Computers 66 (2017).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amtl_cvx.digits.point import ProvenPoint
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import Array, TaskSet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from amtl_cvx.digits.rational import ExactTransfer, ExactWeights, Matrix, Number

__all__ = ["ProvenPoint", "exact_prices", "exact_transfer", "exact_weights", "prove"]


def prove(
    tasks: TaskSet,
    model: Model,
    W: Array,
    B: Array,
    *,
    dps: int = 70,
    digits: int = 40,
    within: float = 1e-5,
) -> ProvenPoint:
    """Prove that one first-order point lies next to (W, B), and enclose it.

    Parameters
    ----------
    tasks, model
        The problem: any loss of `losses`, a transfer penalty with `prices` or `atoms`.
    W, B : (d, T), (T, T) array_like
        The stored point. The positive entries of B are the active set that is proved; the rows on kinks are
        found.
    dps : int
        Decimals to work with, doubled up to twice where they do not suffice; the radius is 10^(20 - dps), or
        that part of the largest unknown above 1.
    digits : int
        Digits of W, B and J to give; `dps` is raised to 30 more where it is less.
    within : float
        How far from the proven point the stored one may be, relative to the largest entry of its block; up to
        the radius it always may.

    Raises
    ------
    NotCertifiable
        Where there is no proof, with the reason; or the extra ``[verify]`` is not installed.
    DataError
        For a wrong shape, a NaN, or data that do not fit the loss.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, TaskSet
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [0.0, 1.0]])
    >>> model, W, B = Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5), np.eye(2) / 2, np.zeros((2, 2))
    >>> from amtl_cvx.digits import prove
    >>> proven = prove(tasks, model, W, B)
    >>> proven.strict_local_min, proven.objective[:12]
    (True, '0.5000000000')
    """
    require_flint()
    model.check_coupled("the proof of W and B")
    from amtl_cvx.digits.proof import prove_point

    return prove_point(
        Problem(tasks, model).at(W, B), dps=max(dps, digits + 30), digits=digits, within=within
    )


def exact_transfer(
    W: Matrix, prices: Sequence[Number], coupling: float, *, support: Array | None = None
) -> ExactTransfer:
    """The best B for a W in exact rationals, with a duality gap of exactly 0.

    Parameters
    ----------
    W : (d, T) array_like or rows of Fraction
        The predictors, read as the rationals they are.
    prices : sequence of T numbers
        p_s, from `exact_prices`.
    coupling : float
        That of the model.
    support : (T, T) array_like, optional
        A B whose positive entries are tried first.

    Raises
    ------
    DataError
        For a negative price or shapes that do not match.
    NotCertifiable
        Without the extra ``[verify]``.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx.digits import exact_transfer
    >>> exact_transfer(np.ones((1, 2)), [1, 1], 1.0).B[0][1]
    Fraction(1, 2)
    """
    require_flint()
    from amtl_cvx.digits import rational

    return rational.exact_transfer(W, prices, coupling, support=support)


def exact_weights(tasks: TaskSet, model: Model, B: Matrix) -> ExactWeights:
    """The best W for a B in exact rationals, for every loss but logistic and Poisson; its gap is exactly 0.

    Parameters
    ----------
    tasks, model
        The problem.
    B : (T, T) array_like or rows of Fraction
        The graph, read as the rationals it is.

    Raises
    ------
    NotCertifiable
        For another loss, a problem that is too large, and without the extra ``[verify]``.
    """
    require_flint()
    from amtl_cvx.digits import rational

    return rational.exact_weights(tasks, model, B)


def exact_prices(tasks: TaskSet, model: Model, W: Matrix) -> tuple[Fraction, ...]:
    """The prices p (T,) of a B-step at W (d, T) in exact rationals.

    Raises
    ------
    NotCertifiable
        For a penalty or loss whose prices are no rationals, and without the extra ``[verify]``.
    """
    require_flint()
    from amtl_cvx.digits import rational

    return rational.exact_prices(tasks, model, W)


def require_flint() -> None:
    """`NotCertifiable` where python-flint is not installed."""
    try:
        import flint  # noqa: F401
    except ImportError as error:
        raise NotCertifiable(
            "proven digits need python-flint, which is not installed: pip install 'amtl-cvx[verify]'"
        ) from error
