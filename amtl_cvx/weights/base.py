"""What every penalty on the predictors has, and what it may have; see the package's essay."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Hashable, Mapping
from fractions import Fraction
from typing import Any, ClassVar, Self

import cvxpy as cp
import numpy as np

from amtl_cvx.arrays import is_number
from amtl_cvx.cones import Cone
from amtl_cvx.errors import ModelError
from amtl_cvx.plugins import description_of, word_value
from amtl_cvx.tasks import Array, TaskSet
from amtl_cvx.weights.tangent import Tangent, by_differences

_HALVINGS = 60
_TORN = 1e-6  # relative difference of what should be the same


class WeightPenalty(abc.ABC):
    """What predictors cost: Omega(W), convex in W (d, T), >= 0, 0 at W = 0 and proportional to rho.

    A penalty is a frozen dataclass with a field `rho`, its weight, and the methods `expression`, `value`,
    `prox` and `conjugate`. A quadratic one has a `gram` and derives from `QuadraticPenalty`.
    """

    name: ClassVar[str]
    rotation_invariant: ClassVar[bool] = False
    """True where it sees W only through W'W: it turns with the features then (`rowspace`)."""
    rho: float

    @abc.abstractmethod
    def expression(self, W: cp.Expression) -> cp.Expression:
        """The penalty as a convex CVXPY scalar."""

    @abc.abstractmethod
    def value(self, W: Array) -> float:
        """The penalty in NumPy, written apart from `expression`."""

    @abc.abstractmethod
    def prox(self, V: Array, step: float) -> Array:
        """The argmin over W of ``Omega(W) + ||W - V||_F^2 / (2 step)``, (d, T); `step` > 0."""

    @abc.abstractmethod
    def conjugate(self, V: Array) -> float:
        """The sup over W of ``<V, W> - Omega(W)``, inf outside its domain."""

    @property
    def has_prox(self) -> bool:
        """Whether `prox` is its own, by which residuals may be judged; without it there is no C2."""
        return True

    def cone(self, shape: tuple[int, ...]) -> Cone | None:
        """CVXPY's program of it for W (d, T), in place of a conjugate (`certificate.by_cone`)."""
        return None

    def subgradient(self, V: Array, step: float) -> Array:
        """The subgradient ``(V - prox) / step`` at the prox of V, (d, T); one's own may round less."""
        Z: Array = (V - self.prox(V, step)) / step
        return Z

    def subgradient_after(self, W: Array, slope: Array, rate: float) -> Array:
        """The subgradient at the prox of ``W - slope / rate``, (d, T), of a step 1 / `rate`."""
        return self.subgradient(W - slope / rate, 1.0 / rate)

    def tangent(self, V: Array, step: float) -> Tangent:
        """The moves along which the prox of V (d, T) keeps its structure; by differences, or of one's own."""
        return by_differences(lambda U: self.prox(U, step), V)

    def margin(self, V: Array, step: float) -> float | None:
        """How far V (d, T) may move (Frobenius) before `tangent` has other moves; None where not known."""
        return None

    def told(self, W: Array) -> str:
        """What the penalty has made of W, in words; "" where that is nothing to count."""
        return ""

    def clip(self, Z: Array) -> Array:
        """Z where its conjugate is finite, else a point near Z where it is: of one's own, or s Z, s < 1."""
        if np.isfinite(self.conjugate(Z)):
            return Z
        low, high = 0.0, 1.0  # Omega >= 0, so its conjugate is finite at 0
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if np.isfinite(self.conjugate(middle * Z)) else (low, middle)
        return low * Z

    def bind(self, tasks: TaskSet) -> Self:
        """The penalty for these tasks: one that goes by their names gets them."""
        return self

    def check(self, T: int) -> None:
        """Raise `ModelError` where the penalty does not fit T tasks, or its parts each other.

        A class of one's own may be torn: at W = prox(V) with the subgradient Z = V - W, Omega(W) + Omega*(Z)
        is <Z, W>; Omega is 0 at 0 and proportional to rho, which the compiled step has as a factor.
        """
        if self.value(np.zeros((3, T))) != 0.0:
            raise ModelError(f"the penalty {self.name}: its value at W = 0 must be 0")
        twice = dataclasses.replace(self, rho=2.0 * self.rho)  # type: ignore[type-var]
        drawn = np.random.default_rng(0).normal(size=(2, 3, T))
        for V in (drawn[0], 3.0 * self.rho * drawn[1]):
            W = self.prox(V, 1.0)
            Z = self.clip(V - W)
            parts = (self.value(W), self.conjugate(Z), -float((Z * W).sum()))
            apart = abs(sum(parts)) + float(np.abs(V - W - Z).max()) * float(np.abs(W).sum())
            if not apart <= _TORN * (sum(map(abs, parts)) + float((V * V).sum())):
                raise ModelError(f"the penalty {self.name}: its value, prox and conjugate differ")
            if not abs(twice.value(V) - 2.0 * self.value(V)) <= _TORN * abs(self.value(V)):
                raise ModelError(f"the penalty {self.name} must be proportional to rho")
            one = np.zeros_like(V)
            one[0, 0] = V[0, 0]
            for U in (V, one, V - V.mean(axis=1, keepdims=True)):  # W may not be longer than it says
                far = float(np.linalg.norm(U - U.mean(axis=1, keepdims=True)))
                value = self.value(U) * (1.0 + _TORN)
                if self.radius(value) < float(np.linalg.norm(U)) or self.spread(value, T) < far:
                    raise ModelError(f"the penalty {self.name}: its radius or spread is too small")

    def bounds_W(self, T: int) -> bool:
        """Whether it grows without bound with ||W||, whatever the direction."""
        return False

    def radius(self, value: float) -> float:
        """The largest ||W||_F at which it can be at most `value` >= 0; inf where that is not known."""
        return math.inf

    def spread(self, value: float, T: int) -> float:
        """The largest ||W - mean of its columns||_F where the penalty is at most `value`; inf if unknown."""
        return self.radius(value)

    def gram(self, T: int) -> Array | None:
        """Gamma (T, T) where ``Omega = rho tr(W Gamma W')``, None where it is no such form."""
        return None

    def exact_gram(self, T: int) -> tuple[tuple[Fraction, ...], ...] | None:
        """Gamma in rationals, which its doubles may only be near to; None where there is none."""
        return None

    def parameters(self) -> dict[str, Any]:
        """What was given, by name; dataclass fields."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if field.init
        }

    @property
    def label(self) -> str:
        """What the command line calls it, numbers short (``"mean:rho=0.5"``)."""
        given = self.parameters().items()
        return f"{self.name}:{','.join(f'{key}={value:g}' for key, value in given if is_number(value))}"

    def description(self) -> Hashable:
        """Class and fields, arrays by their bytes: equal for penalties that are the same."""
        return description_of(self)

    @classmethod
    def options(cls, words: Mapping[str, str]) -> dict[str, Any]:
        """The parameters that the words of a command line (``key=value``) mean."""
        return {name: word_value(text) for name, text in words.items()}
