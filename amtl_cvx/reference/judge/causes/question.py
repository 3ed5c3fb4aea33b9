"""What a back end was handed, in plain arrays, and the right formula of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.losses import make_loss
from amtl_cvx.reference.judge.asked import Asked, doubles
from amtl_cvx.reference.judge.causes.formula import Formula, Rows
from amtl_cvx.reference.judge.causes.variation import Point


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """Rows, model and start.

    Attributes
    ----------
    X, y : list of (n_t, d) and (n_t,) ndarray
    sample_weight : list of (n_t,) ndarray or None
    task_weights : (T,) ndarray
    loss : str
        As `make_loss` reads it.
    reduction : {"mean", "sum"}
    coupling, mu, ridge : float
    W, B : (d, T), (T, T) ndarray
        The point that was given, or the start.
    task, count : int or None
        The task of a one-task step, the number of rounds.
    """

    X: Sequence[Array]
    y: Sequence[Array]
    task_weights: Array
    loss: str
    reduction: str
    coupling: float
    mu: float
    W: Array
    B: Array
    sample_weight: Sequence[Array] | None = None
    ridge: float = 0.0
    task: int | None = None
    count: int | None = None

    @classmethod
    def of(cls, asked: Asked) -> Question | None:
        """Of what a back end was handed, in double precision; None for a model that is not AMTL's."""
        if asked.transfer != "loss-weighted-l1" or asked.omega not in (None, "ridge"):
            return None
        parameter = "".join(f":{value!r}" for value in asked.loss_parameters.values())
        weights = asked.sample_weight
        return cls(
            X=[doubles(X) for X in asked.X],
            y=[doubles(y) for y in asked.y],
            sample_weight=None if weights is None else [doubles(v) for v in weights],
            task_weights=doubles(asked.task_weights),
            loss=f"{asked.loss}{parameter}",
            reduction=asked.reduction,
            coupling=asked.coupling,
            mu=asked.mu,
            ridge=float(asked.omega_parameters.get("rho", 0.0)) if asked.omega else 0.0,
            W=doubles(asked.W),
            B=doubles(asked.B),
            task=asked.task,
            count=asked.count,
        )

    @cached_property
    def right(self) -> Formula:
        """J as the model has it."""
        data = []
        for t, (X, y) in enumerate(zip(self.X, self.y, strict=True)):
            v = np.ones(len(y)) if self.sample_weight is None else np.asarray(self.sample_weight[t], float)
            scale = 1.0 / float(v.sum()) if self.reduction == "mean" else 1.0
            data.append(Rows(X=np.asarray(X, float), y=np.asarray(y, float), weight=v, scale=scale))
        c = np.asarray(self.task_weights, float)
        return Formula(
            data=tuple(data),
            loss=make_loss(self.loss),
            task_weights=c,
            price_weights=c,
            mu=float(self.mu),
            coupling=float(self.coupling),
            ridge=float(self.ridge),
        )

    @property
    def start(self) -> Point:
        """W and B as they were given."""
        return Point(np.asarray(self.W, float), np.asarray(self.B, float))

    @property
    def T(self) -> int:
        return len(self.X)
