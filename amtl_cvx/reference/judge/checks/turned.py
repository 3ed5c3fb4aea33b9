r"""A problem seen otherwise, with the same answer but for how it is written: B' = B[p][:, p].


    W' = Q W[:, p],  B' = B[p][:, p],  J'(W', B') = f J(W, B)
     l' = g l[p],  G_W' = f Q^-T G_W[:, p],  G_B' = f G_B[p][:, p]

permuted tasks       p                                               Q = I
permuted rows        the rows of every task in another order
rotated features     X Q^-1, Q orthogonal with entries 0, 1/2 and 1  the coupling and a ridge do not change
repeated rows        every row twice: of means nothing changes; of sums losses double, and with coupling and
                     ridge doubled J does
scaled               X 2^a, y 2^b (b = 0 for labels): Q = 2^(b-a), coupling and ridge times 4^a, J times 4^b
flipped              -y: Q = -I
renamed              other names of tasks and features
heavier              twice the task weights, coupling and ridge: J doubles

Every change is exact in float32 as well, so that what is held against each other is what the back end made of
one and the same problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.problem import Problem
from amtl_cvx.reference.judge.asked import exact_in
from amtl_cvx.reference.judge.case import Case
from amtl_cvx.reference.judge.checks.edges import several
from amtl_cvx.tasks import Task, TaskSet


@dataclass(frozen=True, kw_only=True, eq=False)
class Twin:
    """A problem in the place of a pack."""

    name: str
    problem: Any
    ask: str = "joint"
    task: int | None = None
    solution: Mapping[str, Array] = field(default_factory=dict)
    given: Mapping[str, Array] = field(default_factory=dict)
    minima: tuple[Mapping[str, Array], ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Turn:
    """The other problem, and how answers are carried over.

    Attributes
    ----------
    case : Case
        The back end before it.
    order : (T,) ndarray of int
        p.
    Q, inverse : (d, d) ndarray
        Q and Q^-1.
    f, g : float
        Factors of J and of the losses.
    """

    case: Case
    order: Indices
    Q: Array
    inverse: Array
    f: float = 1.0
    g: float = 1.0

    def W(self, W: Array) -> Array:
        """W'."""
        found: Array = self.Q @ W[:, self.order]
        return found

    def B(self, B: Array) -> Array:
        """B'."""
        return B[np.ix_(self.order, self.order)]

    def value(self, name: str, value: Array) -> Array:
        """What a part of an answer of "evaluate" is there."""
        if name == "objective":
            return np.asarray(self.f * value)
        if name == "losses":
            return np.asarray(self.g * value[self.order])
        if name == "gradient_B":
            return self.f * self.B(value)
        found: Array = self.f * self.inverse.T @ value[:, self.order]
        return found

    def limit(self, name: str, limit: Array) -> Array:
        """What the limit of such a part is there."""
        if name != "gradient_W":
            return self.value(name, limit)
        found: Array = self.f * np.abs(self.inverse).T @ limit[:, self.order]
        return found


Turning = Callable[[Case], "Turn | None"]


def _turn(
    case: Case,
    name: str,
    parts: Iterator[Task],
    *,
    order: Indices | None = None,
    Q: Array | None = None,
    inverse: Array | None = None,
    f: float = 1.0,
    g: float = 1.0,
    heavier: float = 1.0,
    coupling: float = 1.0,
    features: tuple[str, ...] | None = None,
) -> Turn | None:
    """The turn to other tasks; None where the dtype does not hold them."""
    problem = case.problem
    tasks, model, eye = problem.tasks, problem.model, np.eye(problem.tasks.d)
    order = np.arange(tasks.T) if order is None else order
    weights = tuple(float(c) for c in heavier * problem.task_weight[order])
    omega = model.omega
    if omega is not None:
        omega = replace(omega, rho=coupling * omega.rho)
    named = features if features is not None else tasks.feature_names
    found = TaskSet(tasks=tuple(parts), feature_names=named, labels=tasks.labels)
    turned = replace(model, coupling=coupling * model.coupling, task_weights=weights, omega=omega)
    other = Problem(found, turned)
    if not exact_in(other, case.dtype):
        return None
    return Turn(
        case=case.before(Twin(name=f"{case.name} {name}", problem=other)),
        order=order,
        Q=eye if Q is None else Q,
        inverse=eye if inverse is None else inverse,
        f=f,
        g=g,
    )


def _task(task: Task, **parts: Any) -> Task:
    fields = {"X": task.X, "y": task.y, "name": task.name, "sample_weight": task.sample_weight}
    return Task(**{**fields, **parts})


def permuted_tasks(case: Case) -> Turn | None:
    """The last task first."""
    order = np.roll(np.arange(case.T), 1)
    return _turn(case, "permuted tasks", (case.problem.tasks[int(t)] for t in order), order=order)


def permuted_rows(case: Case) -> Turn | None:
    """The rows of every task from the last to the first, every other one first."""

    def moved(task: Task) -> Task:
        places = np.arange(len(task.y))[::-1]
        places = np.concatenate([places[::2], places[1::2]])
        weight = None if task.sample_weight is None else task.sample_weight[places]
        return _task(task, X=task.X[places], y=task.y[places], sample_weight=weight)

    return _turn(case, "permuted rows", (moved(task) for task in case.problem.tasks))


def rotated(case: Case) -> Turn | None:
    """Features in another order with other signs, the first four of them mixed where that is exact."""
    d = int(case.problem.tasks.d)
    order, signs = np.roll(np.arange(d), 1), np.where(np.arange(d) % 2 == 0, 1.0, -1.0)
    plain = np.eye(d)[order] * signs[None, :]
    mixed = np.eye(d)
    if d >= 4:
        two = np.array([[1.0, 1.0], [1.0, -1.0]])
        mixed[:4, :4] = np.kron(two, two) / 2.0
    for Q in (mixed @ plain, plain):
        parts = (_task(task, X=task.X @ Q.T) for task in case.problem.tasks)
        found = _turn(case, "rotated", parts, Q=Q, inverse=Q.T)
        if found is not None:
            return found
    return None


def repeated(case: Case) -> Turn | None:
    """Every row twice."""

    def twice(task: Task) -> Task:
        weight = task.sample_weight
        weight = None if weight is None else np.concatenate([weight, weight])
        return _task(
            task, X=np.vstack([task.X, task.X]), y=np.concatenate([task.y] * 2), sample_weight=weight
        )

    parts = (twice(task) for task in case.problem.tasks)
    factor = 2.0 if case.problem.model.loss.reduction == "sum" else 1.0
    return _turn(case, "repeated", parts, f=factor, g=factor, coupling=factor)


def scaled(case: Case) -> Turn | None:
    """X a quarter and, of the squared loss, y eight times as large."""
    a = 0.25
    b = 8.0 if case.problem.model.loss.name == "squared" else 1.0
    eye = np.eye(case.problem.tasks.d)
    parts = (_task(task, X=a * task.X, y=b * task.y) for task in case.problem.tasks)
    return _turn(case, "scaled", parts, Q=b / a * eye, inverse=a / b * eye, f=b * b, g=b * b, coupling=a * a)


def flipped(case: Case) -> Turn | None:
    """Targets, or labels, of the other sign."""
    eye = np.eye(case.problem.tasks.d)
    parts = (_task(task, y=_other_sign(task.y)) for task in case.problem.tasks)
    return _turn(case, "flipped", parts, Q=-eye, inverse=-eye)


def _other_sign(y: Array) -> Array:
    zeros_and_ones = bool(np.isin(y, (0.0, 1.0)).all()) and bool((y == 1.0).any())
    return 1.0 - y if zeros_and_ones else -y


def renamed(case: Case) -> Turn | None:
    """Names that would sort the other way."""
    tasks = case.problem.tasks
    features = tuple(f"x{tasks.d - j:03d}" for j in range(tasks.d))
    parts = (_task(task, name=f"{tasks.T - t}") for t, task in enumerate(tasks))
    return _turn(case, "renamed", parts, features=features)


def heavier(case: Case) -> Turn | None:
    """Task weights, coupling and ridge doubled."""
    return _turn(case, "heavier", iter(case.problem.tasks), f=2.0, heavier=2.0, coupling=2.0)


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A way to see a problem otherwise."""

    name: str
    words: str
    turn: Turning
    applies: Callable[[Case], str] = lambda case: ""


def amtl(case: Case) -> str:
    """Why a problem is not turned."""
    words = case.problem.model.to_dict()
    plain = words["transfer"] == "loss-weighted-l1" and words.get("omega") in (None, "ridge")
    return "" if plain and case.problem.model.smooth_in_W else "only AMTL with a smooth loss is turned"


def _scalable(case: Case) -> str:
    name = case.problem.model.loss.name
    return "" if name in ("squared", "logistic") else f"the {name} loss has units of its own"


def _signed(case: Case) -> str:
    return "" if case.problem.model.loss.name != "poisson" else "counts have no sign"


RELATIONS = (
    Relation(
        name="permute-tasks",
        words="with its tasks in another order",
        turn=permuted_tasks,
        applies=several,
    ),
    Relation(name="permute-rows", words="with its rows in another order", turn=permuted_rows),
    Relation(name="rotate-features", words="with its features rotated", turn=rotated),
    Relation(name="repeat-rows", words="with every row twice", turn=repeated),
    Relation(name="scale", words="in other units of X and y", turn=scaled, applies=_scalable),
    Relation(name="flip-signs", words="with y of the other sign", turn=flipped, applies=_signed),
    Relation(name="rename", words="with other names", turn=renamed),
    Relation(name="double-weights", words="with weights and coupling doubled", turn=heavier),
)
