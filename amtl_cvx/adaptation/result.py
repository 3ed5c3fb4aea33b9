"""A new task beside a fit: its predictor, who helps it, and how good both are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amtl_cvx.arrays import Array, Labels, check_features, frozen, in_labels, one_row
from amtl_cvx.certificate import Certificate
from amtl_cvx.graph import TransferGraph
from amtl_cvx.notebook import paragraph
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model

_SHOWN = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Adaptation:
    """A new task for a fitted model, the predictors of the fit being held.

    Attributes
    ----------
    name : str
        Of the new task.
    w : (d,) array
        Its predictor, for prepared features.
    b : (T,) array
        ``b[s]`` is the edge from task s of the fit to the new one, "task s helps it"; exactly >= 0.
    loss, objective : float
        L(w) without task weight, and what was minimised.
    certificate : Certificate
        Kind "adaptation": the gap of w alone, of b alone, and of both together, which are jointly convex.
    task_names : tuple of T str
        The tasks of the fit.
    W, B, losses
        Of the fit, as they were held.
    model : Model
        Of the fit.
    feature_names, preparation, labels
        As in `Solution`.
    solver, seconds : str, float
        Who solved the problem, and all that it took.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, Task, TaskSet, adapt, fit
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(40, 3)) for _ in range(2)]
    >>> tasks = TaskSet.from_arrays(X, [rows @ [1.0, 2.0, 0.0] for rows in X], names=["north", "south"])
    >>> solution = fit(tasks, Model(transfer=LossWeightedL1(mu=0.1), coupling=1.0))
    >>> found = adapt(solution, Task(X=[[1.0, 0.0, 0.0]], y=[1.0], name="new town"))
    >>> found.predict([[0.0, 1.0, 0.0]]).round(1), sorted(found.helpers)
    (array([2.]), ['north', 'south'])
    """

    name: str
    w: Array
    b: Array
    loss: float
    objective: float
    certificate: Certificate
    task_names: tuple[str, ...]
    W: Array
    B: Array
    losses: Array
    model: Model
    feature_names: tuple[str, ...] | None = None
    preparation: Preparation | None = None
    labels: Labels | None = None
    solver: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        for name in ("w", "b", "W", "B", "losses"):
            object.__setattr__(self, name, frozen(np.array(getattr(self, name), dtype=np.float64)))

    def __repr__(self) -> str:
        return "\n  ".join(self._lines())

    def _repr_html_(self) -> str:
        return paragraph(self._lines())

    def _lines(self) -> list[str]:
        return [
            f"Adaptation({self.name!r}: {len(self.w)} features, objective {self.objective:.6g})",
            self.certificate.verdict(),
            self.describe(),
        ]

    @property
    def helpers(self) -> Mapping[str, float]:
        """Who helps the new task and by how much, the largest weight first."""
        order = np.argsort(-self.b, kind="stable")
        return {self.task_names[s]: float(self.b[s]) for s in order if self.b[s] > 0.0}

    def describe(self) -> str:
        """Who helps the new task, in a line."""
        helpers = [f"{name!r} ({weight:.3g})" for name, weight in self.helpers.items()]
        if not helpers:
            return f"No task helps {self.name!r}."
        more = f" and {len(helpers) - _SHOWN} more" if len(helpers) > _SHOWN else ""
        return f"{self.name!r} is helped by {', '.join(helpers[:_SHOWN])}{more}."

    @property
    def graph(self) -> TransferGraph:
        """The graph of the fit with the new task as its last one, which helps nobody."""
        return TransferGraph(
            B=widened(self.B, self.b),
            names=(*self.task_names, self.name),
            losses=np.append(self.losses, self.loss),
        )

    def scores(self, X: ArrayLike) -> Array:
        """Scores of the new task for raw rows X (N, d_raw), or one row: (N,); errors of `Solution.scores`."""
        raw = len(self.w) if self.preparation is None else self.preparation.d
        names = None if self.feature_names is None else self.feature_names[:raw]
        rows = check_features(one_row(X), d=raw, names=names)
        prepared = rows if self.preparation is None else self.preparation.apply(rows)
        found: Array = prepared @ self.w
        return found

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predictions for raw rows X (N, d_raw): (N,), in the units of y or the labels of the fit."""
        decided = self.model.loss.decide(self.scores(X))
        return decided if self.labels is None else in_labels(self.labels, decided)


def widened(B: Array, b: Array) -> Array:
    """B (T, T) with b (T,) as the column of one more task, which gives nothing: (T + 1, T + 1)."""
    T = len(b)
    wide = np.zeros((T + 1, T + 1))
    wide[:T, :T], wide[:T, T] = B, b
    return wide
