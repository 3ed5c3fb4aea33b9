r"""A penalty on W that the user writes as a CVXPY expression, Omega(W) = rho f(W).

`function` takes W (d, T) and returns a CVXPY scalar: convex by CVXPY's rules, >= 0 everywhere by its sign
analysis, 0 at W = 0, without variables of its own and without atoms that are not defined everywhere. What W
can gain is bounded by the program that CVXPY makes of f (`cones`), so that no conjugate is asked for. With a
`prox` there is a first-order residual as well:

    function.prox = prox    # prox(V, step): the argmin over W of f(W) + ||W - V||^2 / (2 step)

Without one a solver's stands for it in the steps, and in no residual that is judged.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Self

import cvxpy as cp
import numpy as np

from amtl_cvx.cones import Cone, ConeForm
from amtl_cvx.cones.door import KEPT, called, check_alone, check_finite, kept_by_thread, short
from amtl_cvx.errors import ConvexityError, ModelError
from amtl_cvx.plugins import check_weight
from amtl_cvx.tasks import Array, TaskSet
from amtl_cvx.weights.base import WeightPenalty

Function = Callable[[Any], cp.Expression]
Prox = Callable[[Array, float], Array]


@dataclass(frozen=True, kw_only=True, repr=False)
class UserOmega(WeightPenalty):
    """A penalty on W of the user's own, ``rho * function(W)`` with a CVXPY expression.

    Certified up to C1, with trust in CVXPY's canonicalisation and no solver; up to C2 where the function has
    an attribute `prox`. A smooth loss is needed, as for every penalty on W with kinks.

    Parameters
    ----------
    function : callable(W) -> cvxpy.Expression
        A plain Python function; W is (d, T).
    rho : float
        Its weight, > 0.

    Raises
    ------
    ModelError
        For a rho that is no such number, for what is no function, and with tasks for one that raises an
        error or is no scalar of W alone.
    ConvexityError
        With tasks: where it is not convex, or can be negative.
    NotCertifiable
        With tasks: where CVXPY writes it with cones that are not checked.

    Examples
    --------
    >>> import cvxpy as cp, numpy as np
    >>> from amtl_cvx import UserOmega
    >>> def largest(W):
    ...     return cp.sum(cp.max(cp.abs(W), axis=1))
    >>> penalty = UserOmega(largest, rho=0.5)
    >>> penalty, penalty.value(np.array([[1.0, -3.0], [2.0, 0.0]]))
    (UserOmega(largest, rho=0.5), 2.5)
    """

    name: ClassVar[str] = "user"
    function: Function = field(kw_only=False)
    rho: float

    def __post_init__(self) -> None:
        check_weight("rho", self.rho, positive=True)
        if not inspect.isfunction(self.function):
            raise ModelError(f"a penalty on W of your own is a function(W) or a class, got {self.function!r}")

    def __repr__(self) -> str:
        return f"UserOmega({self.function.__name__}, rho={self.rho!r})"

    @property
    def label(self) -> str:
        return f"{self.function.__name__}:rho={self.rho:g}"

    def parameters(self) -> dict[str, Any]:
        return {"rho": self.rho}  # the function is what it is called by

    @classmethod
    def options(cls, words: Mapping[str, str]) -> dict[str, Any]:
        if words:
            raise ModelError(f"a function has no parameter but rho, got {', '.join(words)}")
        return {}

    def bind(self, tasks: TaskSet) -> Self:
        _checked(self.function, self._prox, (tasks.d, tasks.T))
        return self

    def check(self, T: int) -> None:
        """Nothing: `bind` has held its parts against each other, and there is no conjugate."""

    def expression(self, W: cp.Expression) -> cp.Expression:
        return self.rho * called(self.function, {"W": W})

    def value(self, W: Array) -> float:
        variable, expression = _evaluated(self.function, np.shape(W))
        variable.save_value(np.asarray(W))
        return self.rho * float(expression.value)

    @property
    def has_prox(self) -> bool:
        return self._prox is not None

    @property
    def _prox(self) -> Prox | None:
        found: Prox | None = getattr(self.function, "prox", None)
        return found

    def prox(self, V: Array, step: float) -> Array:
        """That of the function; without one, a solver's, to about 1e-12."""
        if self._prox is not None:
            return np.asarray(self._prox(V, step * self.rho), dtype=np.float64)
        cone = self.cone(np.shape(V))
        W: Array = cone.near(V, step)[-1].x[cone.columns].reshape(V.shape, order="F")
        return W

    def conjugate(self, V: Array) -> float:
        """Not known: the program takes its place (`certificate.by_cone`)."""
        return np.inf if np.any(V) else 0.0

    def cone(self, shape: tuple[int, ...]) -> Cone:
        return _form(self.function, shape).at().scaled(self.rho)


@kept_by_thread
def _evaluated(function: Function, shape: tuple[int, ...]) -> tuple[cp.Variable, cp.Expression]:
    """The expression with a leaf that only holds a value."""
    W = cp.Variable(shape)
    return W, called(function, {"W": W})


@kept_by_thread
def _form(function: Function, shape: tuple[int, ...]) -> ConeForm:
    """The program of f in the entries of W, by columns."""
    w = cp.Variable(int(np.prod(shape)))
    return ConeForm.of(called(function, {"W": cp.reshape(w, shape, order="F")}), w)


@lru_cache(maxsize=KEPT)
def _checked(function: Function, prox: Prox | None, shape: tuple[int, ...]) -> None:
    """Both checks, once."""
    _check_function(function, shape)
    if prox is not None:
        _check_prox(function, shape)


def _check_function(function: Function, shape: tuple[int, ...]) -> None:
    """What the essay lists, or an error in one line that names the function."""
    name, W = function.__name__, cp.Variable(shape, name="W")
    found = called(function, {"W": W})
    check_alone(found, {W}, name)
    if not found.is_convex():
        raise ConvexityError(f"{name} is not convex in W by CVXPY's rules: {short(found)}")
    if not found.is_nonneg():
        raise ConvexityError(f"{name} must be >= 0 for all W, which CVXPY cannot tell of {short(found)}")
    variable, expression = _evaluated(function, shape)
    variable.save_value(np.zeros(shape))
    check_finite(expression, f"{name} at W = 0")
    if float(expression.value) > 0.0:
        raise ModelError(f"{name} must be 0 at W = 0, it is {expression.value:g}: subtract that")
    _form(function, shape)


def _check_prox(function: Function, shape: tuple[int, ...]) -> None:
    """Raise `ModelError` where a prox is beaten by a solver."""
    rng, penalty = np.random.default_rng(0), UserOmega(function, rho=1.0)
    cone = penalty.cone(shape)
    for step in (0.1, 1.0):
        V = rng.normal(size=shape)
        best = cone.near(V, step)[-1].x[cone.columns].reshape(shape, order="F")
        costs = [
            penalty.value(W) + float(((W - V) ** 2).sum()) / (2.0 * step)
            for W in (penalty.prox(V, step), best)
        ]
        if not costs[0] <= costs[1] + 1e-7 * (1.0 + abs(costs[1])):
            raise ModelError(
                f"the prox of {function.__name__} is none: at step {step:g} a solver finds a W that costs"
                f" {costs[1]:.6g}, its own costs {costs[0]:.6g}"
            )
