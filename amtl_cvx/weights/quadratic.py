r"""Quadratic penalties on the predictors, Omega = rho tr(W Gamma W'), Gamma positive semidefinite.

    Ridge            Gamma = I              rho sum_t ||w_t||^2
    MeanRegularised  Gamma = I - 11'/T      rho sum_t ||w_t - mean of all||^2

and `Laplacian`. The two are rho ||W G||_F^2 with G G' = Gamma, here G = Gamma (both are projections), so that
the coupling and Omega are one square of W: coupling ||W [I - B, sqrt(rho/coupling) G]||_F^2. The W-step, its
gap and its curvature need nothing else of them. The gradient is 2 rho W Gamma, the conjugate

    Omega*(V) = tr(V Gamma^+ V') / (4 rho),  infinite where a row of V has a part in the kernel of Gamma

Source: Evgeniou, Pontil, Regularized multi-task learning, KDD 2004 (mean-regularised).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import cvxpy as cp
import numpy as np

from amtl_cvx.errors import ModelError, NotCertifiable
from amtl_cvx.plugins import check_weight
from amtl_cvx.tasks import Array
from amtl_cvx.weights.base import WeightPenalty


class QuadraticPenalty(WeightPenalty):
    """A penalty ``rho * tr(W Gamma W')``; a class of this kind has `root` and `exact_gram`."""

    rotation_invariant: ClassVar[bool] = True

    @abc.abstractmethod
    def root(self, T: int) -> Array:
        """G (T, k) with G G' = Gamma."""

    @abc.abstractmethod
    def exact_gram(self, T: int) -> tuple[tuple[Fraction, ...], ...]:
        """Gamma in rationals, which its doubles may only be near to."""

    def check(self, T: int) -> None:
        """Raise `ModelError` where `value` is not that of `root`: a class of one's own may be torn."""
        W, G = np.random.default_rng(0).normal(size=(2, T)), self.root(T)
        if not isinstance(G, np.ndarray) or G.ndim != 2 or len(G) != T:
            raise ModelError(
                f"the penalty {self.name}: its root for T = {T} must be an array ({T}, k), got {np.shape(G)}"
            )
        value, squares = self.value(W), float(self.rho) * float(((W @ G) ** 2).sum())
        if not abs(value - squares) <= 1e-10 * abs(squares):
            raise ModelError(
                f"the penalty {self.name}: its value and its root differ, {value:g} and {squares:g}"
            )

    def exact(self, T: int) -> tuple[tuple[Fraction, ...], ...]:
        """rho Gamma in rationals; `NotCertifiable` where `exact_gram` is not exact, or not that of `root`."""
        rows = self.exact_gram(T)
        try:  # of doubles Fraction would make rationals, of NumPy's integers such as overflow
            exact = [
                [Fraction(int(entry.numerator), int(entry.denominator)) for entry in row] for row in rows
            ]
            found = np.array(exact, dtype=float)
        except (AttributeError, TypeError, ValueError) as error:
            raise NotCertifiable(
                f"the penalty {self.name}: its exact Gamma must be ({T}, {T}) of Fractions"
            ) from error
        Gamma = self.gram(T)
        if found.shape != (T, T) or not np.abs(found - Gamma).max() <= 1e-12 * np.abs(Gamma).max():
            raise NotCertifiable(f"the penalty {self.name}: its exact Gamma is not that of its root")
        if any(exact[s][t] != exact[t][s] for s in range(T) for t in range(s)):
            raise NotCertifiable(f"the penalty {self.name}: its exact Gamma is not symmetric")
        rho = Fraction(float(self.rho))
        return tuple(tuple(rho * entry for entry in row) for row in exact)

    def bounds_W(self, T: int) -> bool:
        values = np.linalg.svd(self.root(T), compute_uv=False)
        return len(values) == T and bool(values[-1] > T * np.finfo(np.float64).eps * values[0])

    def gram(self, T: int) -> Array:
        G = self.root(T)
        Gamma: Array = G @ G.T
        return Gamma


def as_quadratic(omega: WeightPenalty) -> QuadraticPenalty:
    """The penalty itself where it is quadratic; `NotCertifiable` for what is proved of such ones alone."""
    if not isinstance(omega, QuadraticPenalty):
        raise NotCertifiable(f"the penalty {omega.name} on W is not quadratic, which is needed here")
    return omega


@dataclass(frozen=True, kw_only=True)
class Ridge(QuadraticPenalty):
    """The square of all weights, ``rho * ||W||_F^2``: short predictors.

    Parameters
    ----------
    rho : float
        Its weight, > 0.

    Raises
    ------
    ModelError
        For a rho that is no such number.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Ridge
    >>> Ridge(rho=0.5).value(np.array([[1.0, 3.0], [0.0, 0.0]]))
    5.0
    """

    name: ClassVar[str] = "ridge"
    rho: float

    def __post_init__(self) -> None:
        check_weight("rho", self.rho, positive=True)

    def root(self, T: int) -> Array:
        return np.eye(T)

    def exact_gram(self, T: int) -> tuple[tuple[Fraction, ...], ...]:
        return tuple(tuple(Fraction(int(s == t)) for t in range(T)) for s in range(T))

    def expression(self, W: cp.Expression) -> cp.Expression:
        return self.rho * cp.sum_squares(W)

    def value(self, W: Array) -> float:
        return self.rho * float((W**2).sum())

    def prox(self, V: Array, step: float) -> Array:
        return V / (1.0 + 2.0 * step * self.rho)

    def conjugate(self, V: Array) -> float:
        return float((V**2).sum()) / (4.0 * self.rho)


@dataclass(frozen=True, kw_only=True)
class MeanRegularised(QuadraticPenalty):
    """How far predictors are from their mean, ``rho * sum_t ||w_t - mean||^2``: tasks that are much alike.

    Nothing is said of the mean itself: all predictors may move together at no cost.
    Source: Evgeniou, Pontil, KDD 2004.

    Parameters
    ----------
    rho : float
        Its weight, > 0.

    Raises
    ------
    ModelError
        For a rho that is no such number.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import MeanRegularised
    >>> MeanRegularised(rho=0.5).value(np.array([[1.0, 3.0], [7.0, 7.0]]))
    1.0
    """

    name: ClassVar[str] = "mean"
    rho: float

    def __post_init__(self) -> None:
        check_weight("rho", self.rho, positive=True)

    def root(self, T: int) -> Array:
        return np.eye(T) - 1.0 / T

    def exact_gram(self, T: int) -> tuple[tuple[Fraction, ...], ...]:
        return tuple(tuple(Fraction(int(s == t)) - Fraction(1, T) for t in range(T)) for s in range(T))

    def expression(self, W: cp.Expression) -> cp.Expression:
        mean = cp.sum(W, axis=1, keepdims=True) / W.shape[1]
        return self.rho * cp.sum_squares(W - mean @ np.ones((1, W.shape[1])))

    def value(self, W: Array) -> float:
        return self.rho * float((_centred(W) ** 2).sum())

    def prox(self, V: Array, step: float) -> Array:
        apart = _centred(V)
        W: Array = V - apart + apart / (1.0 + 2.0 * step * self.rho)
        return W

    def conjugate(self, V: Array) -> float:
        apart = _centred(V)
        common, rounding = np.abs(V - apart), 4.0 * np.finfo(np.float64).eps * np.abs(V).max(initial=0.0)
        return float((apart**2).sum()) / (4.0 * self.rho) if (common <= rounding).all() else np.inf


def _centred(W: Array) -> Array:
    """Predictors less their mean, (d, T)."""
    apart: Array = W - W.mean(axis=1, keepdims=True)
    return apart
