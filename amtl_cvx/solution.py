"""What a run returns: W, B, how they were reached, and how good they are.

A `Solution` is complete in itself: it predicts on raw new data (it carries the preparation of the features),
knows its certificate, its history and an honest status. Reaching a round limit is a status, not an error.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amtl_cvx.arrays import Labels, check_features, frozen, in_labels, one_row
from amtl_cvx.certificate import Certificate
from amtl_cvx.errors import DataError
from amtl_cvx.notebook import paragraph, picture
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model
from amtl_cvx.scoring import score
from amtl_cvx.tasks import Array, TaskSet, check_tasks, task_index

if TYPE_CHECKING:
    from amtl_cvx.graph import TransferGraph


class Status(enum.Enum):
    """How a run ended; the value is what files store, `text` tells what to try.

    Examples
    --------
    >>> from amtl_cvx import Status
    >>> Status("round limit").text
    'the round limit came before the tolerance; try more rounds, or refinement'
    """

    CERTIFIED = "certified"
    ROUND_LIMIT = "round limit"
    STALLED = "stalled"
    INTERRUPTED = "interrupted"

    @property
    def text(self) -> str:
        """The status in words, with what to try."""
        return _STATUS_TEXT[self]


_STATUS_TEXT = {
    Status.CERTIFIED: "the certificate passes",
    Status.ROUND_LIMIT: "the round limit came before the tolerance; try more rounds, or refinement",
    Status.STALLED: "no step is taken any more but the certificate does not pass; where its reasons do not"
    " say why, try another solver or a larger tolerance",
    Status.INTERRUPTED: "this is the best point so far",
}


class Blocks(NamedTuple):
    """What a method's certificate judges: the arrays, and for a curriculum how it was learned."""

    W: Array
    B: Array
    order: tuple[int, ...] | None = None
    ridge: float | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """One line of the history: the point after a half-step ("W", "B"), a curriculum task or a refinement.

    `seconds` counts from the start of the run; `solver_seconds` is the solver's own time in this step.
    """

    round: int
    step: str
    objective: float
    stationarity_W: float
    stationarity_B: float
    relative: float
    seconds: float
    solver: str
    solver_status: str
    solver_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """Where a fit stands after a step: all that its next decision needs (`Options.start`).

    Attributes
    ----------
    method : str
        The method that is running.
    W, B, history
        The point and how it was reached, the step that led here last.
    phase : str
        The part of the fit that step belongs to; each method names its own.
    moved : bool
        Whether the steps of this round moved the point.
    factor, previous
        Of the look ahead: how far it goes, and the B that it goes away from (None before the first B-step).
    refining : Mapping
        What refinement carries from one step to the next, empty before its first.
    handed : Blocks or None
        Where the alternation handed over to refinement.
    order, ridge
        Of the curriculum: the tasks learned so far, and the ridge weight of its start.
    labels : (negative, positive) or None
        What a classification calls its classes, in the users' own words or numbers.
    seconds : Mapping
        Where the time went, as in `Solution`.
    """

    method: str
    W: Array
    B: Array
    history: tuple[Record, ...]
    phase: str
    moved: bool = False
    factor: float = 1.0
    previous: Array | None = None
    refining: Mapping[str, Any] = field(default_factory=dict)
    handed: Blocks | None = None
    order: tuple[int, ...] = ()
    ridge: float | None = None
    labels: Labels | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


HISTORY_COLUMNS = (
    "round", "step", "objective", "stationarity_W", "stationarity_B", "relative", "seconds", "solver",
    "solver_status",
)  # fmt: skip
"""The columns of history.csv, in order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """A fitted model; its arrays are read-only, so that its certificate stays true: change a copy.

    Attributes
    ----------
    W : (d, T)
        Predictors, for prepared features.
    B : (T, T)
        Transfer, exactly feasible; ``B[s, t]`` is the edge s -> t, "task s helps task t".
    losses : (T,)
        L_t(w_t), without task weights.
    objective : float
        J(W, B).
    certificate, status, history, method, model
        How good the point is, how the run ended, its steps, and what was solved.
    task_names, feature_names
        Names of the columns of W and (if known) of its rows.
    preparation : Preparation or None
        The feature map to apply to raw rows, None for the identity.
    order : tuple of int or None
        The order in which the curriculum learned the tasks.
    ridge : float or None
        The ridge weight of the curriculum's start where it is not the coupling.
    labels : (negative, positive) or None
        What a classification calls its classes, in the users' own words or numbers.
    seconds : Mapping
        Where the time went: "compile", "solvers", "total" and the rest by name.
    gpu : str
        What a GPU did in the inner solves, or why it did nothing.
    state : State or None
        Where an interrupted fit stopped: with it as `Options.start` the fit goes on as if it had not.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, Options, TaskSet, fit
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    >>> tasks = TaskSet.from_matrix(X, np.column_stack([X @ [1, 2], X @ [1, 1]]) + X[:, :1] ** 2)
    >>> model = Model(transfer=LossWeightedL1(mu=0.1), coupling=0.1)
    >>> solution = fit(tasks, model, options=Options(engine="fast"))
    >>> solution.status.value, solution.W.shape, solution.graph.T
    ('certified', (2, 2), 2)
    >>> solution.predict("task 0", [[1.0, 0.0]]).round(1)
    array([2.1])
    >>> sorted(solution.score(tasks))
    ['pooled rmse', 'rmse']
    """

    W: Array
    B: Array
    losses: Array
    objective: float
    certificate: Certificate
    status: Status
    history: tuple[Record, ...]
    method: str
    model: Model
    task_names: tuple[str, ...]
    feature_names: tuple[str, ...] | None = None
    preparation: Preparation | None = None
    order: tuple[int, ...] | None = None
    ridge: float | None = None
    labels: Labels | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    gpu: str = ""
    state: State | None = None

    def __post_init__(self) -> None:
        for name in ("W", "B", "losses"):  # what the certificate judged, and nobody changes afterwards
            object.__setattr__(self, name, frozen(np.array(getattr(self, name), dtype=np.float64)))

    def __repr__(self) -> str:
        return "\n  ".join(self._lines())

    def _repr_html_(self) -> str:
        return paragraph(self._lines()) + picture(self.graph.png(), self.graph.describe())

    def _lines(self) -> list[str]:
        size, why = f"{len(self.B)} tasks, {len(self.W)} features", self.certificate.reasons.get("minimum")
        return [
            f"Solution({self.method}, {self.status.value}: {size}, objective {self.objective:.6g})",
            self.certificate.verdict(),
            *([] if why is None else [why]),
            self.graph.describe(),
        ]

    @property
    def graph(self) -> TransferGraph:
        """The learned directed graph, with names and losses of the tasks."""
        from amtl_cvx.graph import TransferGraph

        signed = self.model.transfer.feasible(len(self.B)).signed
        return TransferGraph(B=self.B, names=self.task_names, losses=self.losses, signed=signed)

    @np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
    def scores(self, X: ArrayLike) -> Array:
        """Scores of every task for raw rows X (N, d_raw), or one row (d_raw,): (N, T).

        The columns of a frame are brought into the order of `feature_names`, where these are known.

        Raises
        ------
        DataError
            If X does not have the features the model was fitted on, or holds what is no number.
        """
        raw = len(self.W) if self.preparation is None else self.preparation.d
        names = None if self.feature_names is None else self.feature_names[:raw]
        rows = check_features(one_row(X), d=raw, names=names)
        prepared = rows if self.preparation is None else self.preparation.apply(rows)
        return prepared @ self.W

    def predict(self, task: int | str, X: ArrayLike) -> NDArray[Any]:
        """Predictions of one task, by number or name, for raw rows X (N, d_raw): (N,), in the units of y.

        A regression loss gives numbers, a classification loss the labels of the training data.

        Raises
        ------
        DataError
            For a task that there is not, and as `scores`.
        """
        chosen = task_index(self.task_names, task)
        decided = self.model.loss.decide(self.scores(X)[:, chosen])
        return decided if self.labels is None else in_labels(self.labels, decided)

    def score(self, tasks: TaskSet, *, classes: bool = False) -> Mapping[str, float]:
        """How well the solution predicts the raw rows of `tasks`, all or some of its own by name.

        Returns
        -------
        mapping
            "rmse", the mean over tasks, and "pooled rmse" over all rows; for a classification loss
            "accuracy", the mean over tasks, and with `classes` (one-vs-rest over shared rows) the share of
            rows whose class has the largest score, "class accuracy".

        Raises
        ------
        DataError
            For a task or a feature that the solution has not.
        """
        check_tasks(tasks)
        raw = len(self.W) if self.preparation is None else self.preparation.d
        if tasks.d != raw:
            raise DataError(f"expected tasks with the {raw} features of the fit, got {tasks.d}")
        if self.feature_names is not None:
            tasks = tasks.with_features(self.feature_names[:raw])
        return score(
            self, tasks if self.preparation is None else self.preparation.apply_tasks(tasks), classes=classes
        )
