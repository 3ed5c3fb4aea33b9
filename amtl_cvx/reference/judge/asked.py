r"""What a back end is handed: the data of a problem as plain arrays and numbers, in its own dtype.

    asked = Asked.of(problem, "w-step", W=W, B=B, dtype="float32")
    asked.X[t], asked.y[t], asked.mu, asked.coupling, asked.W, asked.B

What is asked (`ask`) is one of

    evaluate    J, its gradients and the losses at (W, B)
    w-step      the best W for B; W is a start
    one-task    the best w of `task`, the other predictors and B as they are
    b-step      the best B for W
    rounds      the objective after each of 2 `count` half-steps from B: W-step, B-step, W-step, ...
    fit         a first-order point, begun at (W, B)

    J(W, B) = sum_t (1 + mu sum_u B[t, u]) c_t L_t(w_t) + coupling ||W - W B||_F^2,   B >= 0, diag(B) = 0

with c = `task_weights`, L_t the loss summed over rows or divided by their number (with `sample_weight`: by
the sum of weights), no factor 1/2. B[s, t] is how much task s helps task t. Numbers are rounded to the dtype
before anything is computed: the judge judges at the very numbers that the back end sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import Array
from amtl_cvx.errors import ModelError
from amtl_cvx.problem import Problem
from amtl_cvx.tasks import Task, TaskSet

ASKS = ("evaluate", "w-step", "one-task", "b-step", "rounds", "fit")
METHODS: Mapping[str, str] = {ask: ask.replace("-", "_") for ask in ASKS}
"""What each is called as a method of a Python object."""
DTYPES = ("float64", "float32")
Numbers = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """A question to a back end.

    Attributes
    ----------
    ask : str
        One of `ASKS`.
    X, y : list of T arrays (n_t, d), (n_t,)
        Labels are -1 and +1.
    sample_weight : list of T arrays (n_t,), or None
    task_weights : (T,) array
        c_t.
    loss, loss_parameters : str, mapping
        "huber", {"threshold": 1.5}.
    reduction : {"mean", "sum"}
    coupling, mu : float
    transfer, transfer_parameters : str, mapping
    omega, omega_parameters : str or None, mapping
        With rho, where there is one.
    W, B : (d, T), (T, T) arrays
    task, count : int or None
    dtype : {"float64", "float32"}
        That of all arrays.
    task_names, feature_names : tuple of str

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
    >>> from amtl_cvx.reference.judge import Asked
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [1.0, 2.0]])
    >>> problem = Problem(tasks, Model(transfer=LossWeightedL1(mu=0.5), coupling=2.0))
    >>> asked = Asked.of(problem, "w-step", dtype="float32")
    >>> asked.loss, asked.mu, asked.X[1].dtype.name, asked.B.shape
    ('squared', 0.5, 'float32', (2, 2))
    """

    ask: str
    X: list[Numbers]
    y: list[Numbers]
    sample_weight: list[Numbers] | None
    task_weights: Numbers
    loss: str
    loss_parameters: Mapping[str, float]
    reduction: str
    coupling: float
    mu: float
    transfer: str
    transfer_parameters: Mapping[str, Any] = field(default_factory=dict)
    omega: str | None = None
    omega_parameters: Mapping[str, Any] = field(default_factory=dict)
    W: Numbers
    B: Numbers
    task: int | None = None
    count: int | None = None
    dtype: str = "float64"
    task_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        problem: Any,
        ask: str,
        *,
        W: Array | None = None,
        B: Array | None = None,
        task: int | None = None,
        count: int | None = None,
        dtype: str = "float64",
    ) -> Asked:
        """The question about a problem of W and B; W and B are 0 where they are not given."""
        if ask not in ASKS or dtype not in DTYPES:
            raise ModelError(f"expected one of {', '.join(ASKS)} in {' or '.join(DTYPES)}, got {ask} {dtype}")
        tasks, model = problem.tasks, problem.model
        words = model.to_dict()
        loss = model.loss
        weighted = any(task.sample_weight is not None for task in tasks)
        W = np.zeros((tasks.d, tasks.T)) if W is None else W
        B = np.zeros((tasks.T, tasks.T)) if B is None else B
        names = tasks.feature_names or tuple(f"feature {i}" for i in range(tasks.d))
        parameter = {} if loss.parameter is None else {loss.parameter: float(getattr(loss, loss.parameter))}
        return cls(
            ask=ask,
            X=[_own(each.X, dtype) for each in tasks],
            y=[_own(_targets(loss, each), dtype) for each in tasks],
            sample_weight=[_own(each.weights, dtype) for each in tasks] if weighted else None,
            task_weights=_own(problem.task_weight, dtype),
            loss=loss.name,
            loss_parameters=parameter,
            reduction=loss.reduction,
            coupling=float(model.coupling),
            mu=float(model.mu),
            transfer=words["transfer"],
            transfer_parameters=words.get("transfer_parameters", {}),
            omega=words.get("omega"),
            omega_parameters=words.get("omega_parameters", {}),
            W=_own(W, dtype),
            B=_own(B, dtype),
            task=task,
            count=count,
            dtype=dtype,
            task_names=tasks.names,
            feature_names=tuple(names),
        )

    @property
    def T(self) -> int:
        """How many tasks there are."""
        return len(self.X)

    @property
    def d(self) -> int:
        """How many features there are."""
        return int(self.X[0].shape[1])

    @property
    def method(self) -> str:
        """The method of a Python object that answers."""
        return METHODS[self.ask]

    def copy(self) -> Asked:
        """The same with arrays of its own, which may be written to: what a back end gets."""
        weights = self.sample_weight
        return replace(
            self,
            X=[each.copy() for each in self.X],
            y=[each.copy() for each in self.y],
            sample_weight=None if weights is None else [each.copy() for each in weights],
            task_weights=self.task_weights.copy(),
            W=self.W.copy(),
            B=self.B.copy(),
        )

    def arrays(self) -> dict[str, Numbers]:
        """All arrays by name: X[0], y[0], ..., task_weights, W, B."""
        found = {"task_weights": self.task_weights, "W": self.W, "B": self.B}
        for name, parts in (("X", self.X), ("y", self.y), ("sample_weight", self.sample_weight or [])):
            found |= {f"{name}[{t}]": part for t, part in enumerate(parts)}
        return found

    def changed(self, other: Asked) -> str | None:
        """The name of an array that differs in a bit from that of `other`; None where none does."""
        mine, theirs = self.arrays(), other.arrays()
        for name, array in mine.items():
            there = theirs.get(name)
            if not isinstance(there, np.ndarray) or (there.shape, there.dtype) != (array.shape, array.dtype):
                return name
            if np.ascontiguousarray(there).tobytes() != np.ascontiguousarray(array).tobytes():
                return name
        return None


def problem_of(problem: Any, dtype: str) -> Any:
    """The problem with rows and weights rounded to the dtype; itself where nothing moves."""
    tasks, model = problem.tasks, problem.model
    arrays = [array for each in tasks for array in (each.X, each.y, each.weights)]
    if dtype == "float64" or all(map(_single, [*arrays, problem.task_weight])):
        return problem
    rounded = tuple(
        Task(
            X=_rounded(each.X),
            y=_rounded(each.y),
            name=each.name,
            sample_weight=None if each.sample_weight is None else _rounded(each.sample_weight),
        )
        for each in tasks
    )
    weights = tuple(float(c) for c in _rounded(problem.task_weight))
    found = TaskSet(tasks=rounded, feature_names=tasks.feature_names, labels=tasks.labels)
    return Problem(found, replace(model, task_weights=weights))


def exact_in(problem: Any, dtype: str) -> bool:
    """Whether the dtype holds all rows, weights and task weights without rounding."""
    return problem_of(problem, dtype) is problem


def doubles(array: Numbers) -> Array:
    """The same numbers in double precision."""
    found: Array = np.asarray(array, dtype=np.float64)
    return found


def _targets(loss: Any, task: Any) -> Array:
    """y, of a classification -1 and +1."""
    return np.where(task.y > 0.0, 1.0, -1.0) if loss.classification else task.y


def _own(array: Array, dtype: str) -> Numbers:
    return np.array(array, dtype=dtype, order="C")


def _single(array: Array) -> bool:
    return bool((_rounded(array) == array).all())


def _rounded(array: Array) -> Array:
    found: Array = np.asarray(array, dtype=np.float32).astype(np.float64)
    return found
