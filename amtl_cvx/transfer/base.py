"""What every transfer penalty has, and what it may have; see the package's essay."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import cvxpy as cp
import numpy as np

from amtl_cvx.cones import Cone
from amtl_cvx.errors import ModelError
from amtl_cvx.plugins import check_weight, description_of, word_value
from amtl_cvx.tasks import Array, TaskSet
from amtl_cvx.transfer.atoms import Atoms
from amtl_cvx.transfer.sets import FeasibleSet, Orthant

_ORTHANT = Orthant()


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

    def margin(self, V: Array, step: float, losses: Array) -> float | None:
        """How far V (T, T) may move, entry by entry, before the prox keeps other zeros, groups or budgets.

        Where no entry of V moves by as much, nor `step` times the price of an edge or group, the prox at V is
        smooth and keeps what it keeps. None where it is not known: then the curvature of J cannot be judged.
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


def check_mu(mu: object) -> None:
    """Raise `ModelError` unless mu is a finite number >= 0."""
    check_weight("mu (the price of transfer)", mu)
