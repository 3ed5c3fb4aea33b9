r"""A transfer penalty that the user writes as a CVXPY expression, R(B; l) = mu f(B, l).

`function` takes B (T, T), B >= 0 with a zero diagonal, and the weighted losses l (T,), and returns a CVXPY
scalar. What the rest of the toolkit needs of a penalty is decided by CVXPY's own analysis at the door, for
all B and all losses >= 0, or the function is refused in one line that says what it lacks:

    convex in B         DCP, and DPP where the losses are a parameter, so that one compilation serves all
    affine in l         with B a constant and l a variable
    >= 0, rising in l   its sign is known; what is affine in l and >= 0 for every l >= 0 cannot fall with one
    finite at B = 0     its value there
    nothing hidden      no variables or parameters of its own, no atoms with a domain beyond B >= 0

What B can still gain is bounded by the program that CVXPY makes of f (`cones`), so that no conjugate is
asked for. With a `prox` there is a first-order residual as well:

    row_max.prox = prox    # prox(V, step, losses): the argmin over B of f(B, losses) + ||B - V||^2 / (2 step)

Examples: the dearest edge of each task, sum_s l_s max_t B[s, t]; a Huber price, which is flat for many small
edges.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Self

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx.cones import Cone, ConeForm
from amtl_cvx.cones.door import KEPT, called, check_alone, check_finite, kept_by_thread, short
from amtl_cvx.errors import ConvexityError, ModelError, NotCertifiable
from amtl_cvx.tasks import Array
from amtl_cvx.transfer.base import TransferPenalty, check_mu
from amtl_cvx.transfer.sets import project_transfer

Function = Callable[[Any, Any], cp.Expression]
Prox = Callable[[Array, float, Array], Array]


@dataclass(frozen=True, kw_only=True, repr=False)
class UserTransfer(TransferPenalty):
    """A price on edges of the user's own, ``mu * function(B, losses)`` with a CVXPY expression.

    Convex in B >= 0, affine in the losses and not falling with one, which is checked where a model meets its
    tasks. Certified up to C1, with trust in CVXPY's canonicalisation and no solver; up to C2 where the
    function has an attribute `prox`.

    Parameters
    ----------
    function : callable(B, losses) -> cvxpy.Expression
        A plain Python function; B is (T, T), losses (T,).
    mu : float
        Its weight, >= 0.

    Raises
    ------
    ModelError
        For a mu that is no price, for what is no function, and with tasks for one that raises an error or
        is no scalar of B and the losses alone.
    ConvexityError
        With tasks: where it is not convex, not DPP, not affine in the losses or can be negative.

    Examples
    --------
    >>> import cvxpy as cp, numpy as np
    >>> from amtl_cvx import UserTransfer
    >>> def row_max(B, losses):
    ...     return cp.sum(cp.multiply(losses, cp.max(B, axis=1)))
    >>> penalty = UserTransfer(row_max, mu=0.5)
    >>> penalty, penalty.value(np.array([[0.0, 3.0], [1.0, 0.0]]), np.array([2.0, 4.0]))
    (UserTransfer(row_max, mu=0.5), 5.0)
    """

    name: ClassVar[str] = "user"
    function: Function = field(kw_only=False)
    mu: float

    def __post_init__(self) -> None:
        check_mu(self.mu)
        if not inspect.isfunction(self.function):
            raise ModelError(
                f"a transfer penalty of your own is a function(B, losses) or a class, got {self.function!r}"
            )

    def __repr__(self) -> str:
        return f"UserTransfer({self.function.__name__}, mu={self.mu!r})"

    def parameters(self) -> dict[str, Any]:
        return {}  # the function is the label

    @classmethod
    def options(cls, words: Mapping[str, str]) -> dict[str, Any]:
        if words:
            raise ModelError(f"a function has no parameter but mu, got {', '.join(words)}")
        return {}

    def named(self, names: tuple[str, ...]) -> Self:
        _checked(self.function, self._prox, len(names))
        return self

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * called(self.function, {"B": B, "losses": losses})

    def value(self, B: Array, losses: Array) -> float:
        evaluated = _evaluated(self.function, len(B))
        evaluated.B.save_value(np.asarray(B))
        evaluated.losses.save_value(np.asarray(losses))
        return self.mu * float(evaluated.expression.value)

    @property
    def has_prox(self) -> bool:
        return self._prox is not None

    @property
    def _prox(self) -> Prox | None:
        found: Prox | None = getattr(self.function, "prox", None)
        return found

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        if self._prox is None:
            raise ModelError(
                f"{self.function.__name__} has no prox: give it one, {self.function.__name__}.prox ="
                " prox(V, step, losses)"
            )
        return project_transfer(np.asarray(self._prox(V, float(step) * self.mu, losses), dtype=np.float64))

    def cone(self, losses: Array) -> Cone:
        return _form(self.function, len(losses)).at(losses).scaled(self.mu)

    def mu_max(self, gain: Array, losses: Array) -> float:
        raise ModelError(f"no mu is known that keeps B at 0 for {self.function.__name__}: give mu a number")


class _Evaluated(NamedTuple):
    B: cp.Variable
    losses: cp.Variable
    expression: cp.Expression


@kept_by_thread
def _evaluated(function: Function, T: int) -> _Evaluated:
    """The expression with leaves that only hold values."""
    B, losses = cp.Variable((T, T), nonneg=True), cp.Variable(T, nonneg=True)
    return _Evaluated(B, losses, called(function, {"B": B, "losses": losses}))


@kept_by_thread
def _form(function: Function, T: int) -> ConeForm:
    """The program of f in the entries of B off its diagonal, by columns."""
    losses = cp.Parameter(T, nonneg=True)
    v, B = free_graph(T)
    return ConeForm.of(called(function, {"B": B, "losses": losses}), v, losses)


def free_graph(T: int, *, signed: bool = False) -> tuple[cp.Variable, cp.Expression]:
    """The entries off the diagonal, by columns, as a variable, >= 0 unless `signed`; and B (T, T) of them."""
    places = np.flatnonzero(~np.eye(T, dtype=bool).ravel(order="F"))
    b = cp.Variable(max(len(places), 1), nonneg=not signed)
    spread = sp.csc_array((np.ones(len(places)), (places, np.arange(len(places)))), shape=(T * T, b.size))
    return b, cp.reshape(spread @ b, (T, T), order="F")


@lru_cache(maxsize=KEPT)
def _checked(function: Function, prox: Prox | None, T: int) -> None:
    """Both checks, once."""
    _check_function(function, T)
    if prox is not None:
        _check_prox(function, T)


def _check_function(function: Function, T: int) -> None:
    """What the essay lists, or an error in one line that names the function."""
    name, losses = function.__name__, cp.Parameter(T, nonneg=True, name="losses")
    B = cp.Variable((T, T), nonneg=True, name="B")
    found = called(function, {"B": B, "losses": losses})
    check_alone(found, {B, losses}, name)
    if not found.is_convex():
        raise ConvexityError(f"{name} is not convex in B by CVXPY's rules: {short(found)}")
    if not cp.Problem(cp.Minimize(found)).is_dpp():
        raise ConvexityError(
            f"{name} is not DPP, it would be compiled at every solve: multiply the losses with a function of"
            f" B alone: {short(found)}"
        )
    fixed = called(function, {"B": cp.Parameter((T, T), nonneg=True), "losses": cp.Variable(T, nonneg=True)})
    if not fixed.is_affine():
        raise ConvexityError(
            f"{name} must be affine in the losses, so that what B costs is a weight of each: {short(found)}"
        )
    if not found.is_nonneg():
        raise ConvexityError(
            f"{name} must be >= 0 and not fall with a loss, for all B >= 0 and losses >= 0, which CVXPY"
            f" cannot tell of {short(found)}"
        )
    evaluated = _evaluated(function, T)
    evaluated.B.save_value(np.zeros((T, T)))
    evaluated.losses.save_value(np.ones(T))
    check_finite(evaluated.expression, f"{name} at B = 0")


def _check_prox(function: Function, T: int) -> None:
    """Raise `ModelError` where a prox is beaten by a solver; as far as the function is known as a program."""
    if T == 1:
        return  # there is no edge
    rng, off = np.random.default_rng(0), ~np.eye(T, dtype=bool)
    penalty = UserTransfer(function, mu=1.0)
    for step in (0.1, 1.0):
        V, losses = rng.normal(size=(T, T)), rng.uniform(0.5, 2.0, T)
        try:
            cone = penalty.cone(losses)
        except NotCertifiable:
            return
        H = sp.csc_array(sp.eye_array(len(cone.columns), format="csc") / step)
        best = np.zeros((T, T))
        best.T[off] = np.maximum(cone.solved(H, -V.T[off] / step)[-1].x[cone.columns], 0.0)
        costs = [
            penalty.value(B, losses) + float(((B - V)[off] ** 2).sum()) / (2.0 * step)
            for B in (penalty.prox(V, step, losses), best)
        ]
        if not costs[0] <= costs[1] + 1e-7 * (1.0 + abs(costs[1])):
            raise ModelError(
                f"the prox of {function.__name__} is none: at step {step:g} a solver finds a B that costs"
                f" {costs[1]:.6g}, its own costs {costs[0]:.6g}"
            )
