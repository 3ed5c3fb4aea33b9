"""What every transfer penalty has, and what it may have; see the package's essay."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx.arrays import Indices, Mask
from amtl_cvx.cones import Cone
from amtl_cvx.errors import ModelError
from amtl_cvx.plugins import check_weight, description_of, word_value
from amtl_cvx.tasks import Array, TaskSet
from amtl_cvx.transfer.sets import FeasibleSet, Orthant

_ORTHANT = Orthant()


@dataclass(frozen=True, kw_only=True, eq=False)
class Atoms:
    """``B = base + E x, x >= lo``, ``R = (P l + p0)'x + (Q l + q0)'x^2``: what has second derivatives.

    Attributes
    ----------
    E : (T T, k) sparse array
        Every column a graph, its entries by rows (s T + t); two columns that share an entry are each
        other's negative.
    P, Q : (k, T)
        How the prices of x and x^2 depend on the weighted losses.
    p0, q0, lo : (k,)
    base : (T, T)
    """

    E: sp.csc_array
    P: Array
    p0: Array
    Q: Array
    q0: Array
    lo: Array
    base: Array

    @cached_property
    def entries(self) -> bool:
        """Whether every column is one entry of B, or its negative, and a source's squares cost the same.

        Then J(W, .) splits into columns of B with one quadratic form.
        """
        if (np.diff(self.E.indptr) != 1).any() or (np.abs(self.E.data) != 1.0).any():
            return False
        sources = self.E.indices // len(self.base) + len(self.base) * (self.E.data < 0.0)
        _, first, each = np.unique(sources, return_index=True, return_inverse=True)
        alike = first[each]
        return bool((self.Q[alike] == self.Q).all() and (self.q0 == self.q0[alike]).all())

    @cached_property
    def opposite(self) -> Indices:
        """For each column the number of the one that is its negative, (k,); -1 where there is none."""
        shared = (self.E.T @ self.E).tocoo()
        found, apart = np.full(len(self.lo), -1), shared.row != shared.col
        found[shared.row[apart]] = shared.col[apart]
        return found

    def prices(self, losses: Array) -> tuple[Array, Array]:
        """What x and x^2 cost at the weighted losses (T,), (k,) each."""
        return self.P @ losses + self.p0, self.Q @ losses + self.q0

    def rates(self, x: Array, chosen: Indices) -> Array:
        """Derivatives of the slopes of R in some x in the weighted losses, (len(chosen), T)."""
        rates: Array = self.P[chosen] + 2.0 * x[chosen, None] * self.Q[chosen]
        return rates

    def graph(self, x: Array) -> Array:
        """B (T, T) of x (k,)."""
        B: Array = self.base + (self.E @ x).reshape(self.base.shape)
        return B

    def coefficients(self, B: Array) -> Array:
        """x (k,) of a B that is such a sum; of two opposite columns one is at its bound."""
        weight = np.asarray((self.E**2).sum(axis=0)).ravel()
        x: Array = np.maximum(self.E.T @ (B - self.base).ravel() / weight, self.lo)
        return x


class TransferPenalty(abc.ABC):
    """What edges cost: R(B; losses), convex in B (T, T), affine and non-decreasing in the losses (T,).

    A penalty is a frozen dataclass with a field `mu` and the methods `expression`, `value`, `prox` and
    `conjugate`. One with another feasible set names it in `feasible`, or has its own `constraints` and
    `project`; one that is linear in B has `prices`; `atoms` give it second derivatives.
    """

    name: ClassVar[str]
    row_steps: ClassVar[bool] = False
    """True where `prox` takes one step per row, in closed form: sharper residuals, and refinement."""
    exact_prox: ClassVar[bool] = False
    """True where `prox` is exact to rounding, so that refinement may take differences of it."""
    mu: float

    @abc.abstractmethod
    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        """The penalty as a convex CVXPY scalar, DPP when `losses` is a `cp.Parameter(nonneg=True)`."""

    @abc.abstractmethod
    def value(self, B: Array, losses: Array) -> float:
        """The penalty in NumPy, written apart from `expression`."""

    @abc.abstractmethod
    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        """The prox of the penalty at V (T, T), (T, T).

        The argmin over the feasible set of ``R(B; losses) + sum (B - V)^2 / (2 step)``. `step` is a positive
        number or, with `row_steps`, (T, 1): one step for each row of B (each source).
        """

    def conjugate(self, S: Array, losses: Array) -> float | None:
        """The conjugate of the penalty with its set at S (T, T), inf outside its domain.

        The sup over the feasible set of ``<S, B> - R(B; losses)``, off the diagonal. It bounds what
        a move of B can gain (`certificate.conjugate`). None where it is not known: then nothing is known of
        that gain, and no point of such a model passes.
        """
        return None

    @property
    def has_prox(self) -> bool:
        """Whether `prox` can be asked; without it there is no first-order residual of B, and no C2."""
        return True

    def cone(self, losses: Array) -> Cone | None:
        """CVXPY's program of R, which bounds gains in place of a conjugate (`certificate.by_cone`)."""
        return None

    def prices(self, losses: Array) -> Array | None:
        """Row prices p (T,) if ``R(B; losses) = sum_s p_s sum_t B[s, t]``, else None."""
        return None

    def atoms(self, T: int) -> Atoms | None:
        """The penalty as `Atoms`, None where it is none; what Newton's method on (W, B) works with."""
        return None

    def feasible(self, T: int) -> FeasibleSet:
        """The feasible set; B >= 0 without a diagonal unless the penalty names another."""
        return _ORTHANT

    def constraints(self, B: cp.Expression) -> list[cp.Constraint]:
        """Constraints on B besides B >= 0 and diag(B) = 0."""
        return self.feasible(B.shape[0]).constraints(B)

    def project(self, V: Array) -> Array:
        """The nearest point of the feasible set, (T, T)."""
        return self.feasible(len(V)).project(V)

    def demands(self, T: int) -> str:
        """What the feasible set asks of B, in words."""
        more = f" and the constraints of {type(self).__name__}" if self._own_set else ""
        return self.feasible(T).words + more

    def start(self, T: int) -> Array:
        """A feasible B (T, T) from which an alternation can begin."""
        if self._own_set:
            return self.project(np.zeros((T, T)))
        return self.feasible(T).start(T)

    def bind(self, tasks: TaskSet) -> Self:
        """The penalty for these tasks, if it needs their names or counts; `ModelError` if they do not fit."""
        return self.named(tasks.names)

    def named(self, names: tuple[str, ...]) -> Self:
        """The penalty for tasks of these names, if it goes by names; `ModelError` if they do not fit."""
        return self

    def mu_max(self, gain: Array, losses: Array) -> float:
        """The mu from which B = 0 stays the best B; `ModelError` where there is none.

        `gain` (T, T) is the slope at B = 0 of what an edge saves, >= 0, and `losses` (T,) are those of the
        sources, infinite for one without loss, whose edges no price that grows with it keeps away.
        """
        if self.start(len(gain)).any():
            raise ModelError(f"{type(self).__name__} does not allow B = 0: no mu gives it, give mu a number")
        one = replace(self, mu=1.0).atoms(len(gain))  # type: ignore[type-var]
        free = replace(self, mu=0.0).atoms(len(gain))  # type: ignore[type-var]
        if one is None or free is None:
            return float((gain / losses[:, None]).max(initial=0.0))
        P, p0 = one.P - free.P, one.p0 - free.p0
        if len(p0) and not (P.any() or p0.any()):
            raise ModelError(
                f"{type(self).__name__} has no price on a first small edge: no mu gives B = 0, give"
                " mu a number"
            )
        losses = np.where(np.isfinite(losses), losses, 0.0)
        saved, prices = one.E.T @ gain.ravel() - free.P @ losses - free.p0, P @ losses + p0
        paid = prices > 0.0
        return float((saved[paid] / prices[paid]).max(initial=0.0))

    @property
    def _own_set(self) -> bool:
        """Whether the class has a projection or constraints of its own, without a named set."""
        cls = type(self)
        return (
            cls.project is not TransferPenalty.project or cls.constraints is not TransferPenalty.constraints
        )

    def edge_prices(self, losses: Array) -> Array | None:
        """Prices of edges, infinite where one may not be, if R is linear over all B >= 0 on the others.

        (T, 1) where every edge may be, else (T, T). None for any other penalty or set: what splits into
        columns or needs an active set of entries asks for this.
        """
        if (found := self.row_prices(losses)) is not None:
            return found[:, None]
        prices = self.prices(losses)
        if prices is None or self._own_set:
            return None
        allowed = self.feasible(len(losses)).allowed(len(losses))
        return None if allowed is None else np.where(allowed, prices[:, None], np.inf)

    def row_prices(self, losses: Array) -> Array | None:
        """Row prices (T,) where every edge may be and B >= 0 is free, else None: AMTL and its kin.

        Asked for by what is proved for that case alone (gap by columns, curvature, digits, curriculum).
        """
        whole = not self._own_set and self.feasible(len(losses)) == _ORTHANT
        return self.prices(losses) if whole else None

    def weights(self, B: Array) -> Array:
        """How much each loss is raised by what its task gives, (T,): R(B; e_t) - R(B; 0)."""
        zero = np.zeros(len(B))
        base = self.value(B, zero)
        return np.array([self.value(B, unit) - base for unit in np.eye(len(B))])

    def parameters(self) -> dict[str, Any]:
        """What was given besides mu, by name; dataclass fields."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if field.init and field.name != "mu"
        }

    def description(self) -> Hashable:
        """Class and fields, arrays by their bytes: equal for penalties that are the same."""
        return description_of(self)

    @classmethod
    def options(cls, words: Mapping[str, str]) -> dict[str, Any]:
        """The parameters that the words of a command line (``key=value``) mean."""
        return {name: word_value(text) for name, text in words.items()}


def atoms_of(transfer: TransferPenalty, T: int) -> Atoms | None:
    """The penalty as atoms, its own or single entries at row prices; None where it is no such sum.

    Atoms that a class inherits and that reach beyond its own feasible set are none.
    """
    atoms = transfer.atoms(T)
    if atoms is not None:
        ramp = np.linspace(1.0, 2.0, len(atoms.lo))
        inside = (atoms.graph(atoms.lo + x) for x in (ramp, ramp[::-1]))
        return atoms if all(np.array_equal(transfer.project(B), B) for B in inside) else None
    fixed = transfer.row_prices(np.zeros(T))
    if fixed is None:
        return None
    priced = [transfer.row_prices(unit) for unit in np.eye(T)]
    rates = np.column_stack([prices - fixed for prices in priced if prices is not None])
    entries = entry_atoms(~np.eye(T, dtype=bool), rates=np.zeros(T), fixed=fixed)
    return replace(entries, P=rates[entries.E.indices // T])


def check_mu(mu: object) -> None:
    """Raise `ModelError` unless mu is a finite number >= 0."""
    check_weight("mu (the price of transfer)", mu)


def entry_atoms(
    allowed: Mask,
    *,
    rates: Array,
    fixed: Array | float = 0.0,
    square: float = 0.0,
    square_rates: Array | None = None,
    lowest: Array | None = None,
    split: bool = False,
) -> Atoms:
    """One atom for each allowed entry of B, by rows; with `split` another one for its negative part.

    x costs ``rates[s] l_s + fixed[s]``, x^2 ``square_rates[s] l_s + square``, and x >= `lowest` (T, T).
    """
    T = len(allowed)
    sources = np.nonzero(allowed)[0]
    places, k = np.flatnonzero(allowed), len(sources)
    E = sp.csc_array((np.ones(k), (places, np.arange(k))), shape=(T * T, k))
    P, Q, each = np.zeros((k, T)), np.zeros((k, T)), np.arange(k)
    P[each, sources] = rates[sources]
    if square_rates is not None:
        Q[each, sources] = square_rates[sources]
    p0, q0 = np.broadcast_to(fixed, T)[sources], np.full(k, square)
    lo = np.zeros(k) if lowest is None else lowest.ravel()[places]
    if split:
        E, P, Q = sp.hstack([E, -E], format="csc"), np.vstack([P, P]), np.vstack([Q, Q])
        p0, q0, lo = np.tile(p0, 2), np.tile(q0, 2), np.tile(lo, 2)
    return Atoms(E=E, P=P, p0=p0, Q=Q, q0=q0, lo=lo, base=np.zeros((T, T)))
