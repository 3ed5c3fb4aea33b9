"""What a run returns: the blocks, how they were reached, and how good they are.

A `Solution` is complete in itself: it predicts on raw new data (it carries the preparation of the features),
knows its certificate, its history and an honest status. Reaching a round limit is a status, not an error.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amtl_cvx.arrays import Labels, check_features, frozen, in_labels, one_row
from amtl_cvx.errors import DataError
from amtl_cvx.families import Family, Named, family_of
from amtl_cvx.history import Record, State, history_columns
from amtl_cvx.notebook import paragraph, picture
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Blocks
from amtl_cvx.scoring import score
from amtl_cvx.tasks import Array, TaskSet, check_tasks, task_index

if TYPE_CHECKING:
    from amtl_cvx.certificate import Certificate
    from amtl_cvx.graph import TransferGraph
    from amtl_cvx.problem import Model


__all__ = ["Blocks", "Record", "Solution", "State", "Status", "history_columns"]


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
    GROWING = "growing"
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
    Status.GROWING: "predictors keep growing while J falls; the reason says what helps",
    Status.INTERRUPTED: "this is the best point so far",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution(Named):
    """A fitted model; its arrays are read-only, so that its certificate stays true: change a copy.

    Attributes
    ----------
    blocks : Mapping
        The blocks of the family by their names; each is an attribute too. Of AMTL: ``W`` (d, T), predictors
        for prepared features, and ``B`` (T, T), transfer, exactly feasible; ``B[s, t]`` is the edge s -> t,
        "task s helps task t". Of learned features ``L`` (d, k), ``S`` (k, T) and, but for GO-MTL, ``A``
        (T, k), the feedback of the tasks; their predictors are L S. Of networks ``W1`` (d, k1), ``W2``, ...
        in place of L, and the biases that there are.
    losses : (T,)
        L_t(w_t), without task weights.
    objective : float
        J at the blocks.
    certificate, status, history, method, model
        How good the point is, how the run ended, its steps, and what was solved.
    task_names, feature_names
        Names of the columns of the predictors and (if known) of their rows.
    preparation : Preparation or None
        The feature map to apply to raw rows, None for the identity.
    facts : Mapping
        What a method of its own kind adds: of a curriculum ``order``, in which the tasks were learned, and
        ``ridge``, the ridge weight of its start where it is not the coupling; both are attributes too. Of
        the simple one also ``reading``, how its order was found.
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

    blocks: Mapping[str, Array]
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
    facts: Mapping[str, Any] = field(default_factory=dict)
    labels: Labels | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    gpu: str = ""
    state: State | None = None

    def __post_init__(self) -> None:
        kept = {name: _own(array) for name, array in self.blocks.items()}  # what the certificate judged
        object.__setattr__(self, "blocks", kept)
        object.__setattr__(self, "losses", _own(self.losses))

    def __repr__(self) -> str:
        return "\n  ".join(self._lines())

    def _repr_html_(self) -> str:
        png = self.family.png(self)
        return paragraph(self._lines()) + ("" if png is None else picture(png, self.family.summary(self)))

    def _lines(self) -> list[str]:
        d, T = self.shape
        size, reasons = f"{T} tasks, {d} features", self.certificate.reasons
        why = reasons.get("growth") or reasons.get("minimum")
        return [
            f"Solution({self.method}, {self.status.value}: {size}, objective {self.objective:.6g})",
            self.certificate.verdict(),
            *([] if why is None else [why]),
            self.family.summary(self),
        ]

    @property
    def family(self) -> Family:
        """The family of the model."""
        return family_of(self.model)

    @property
    def predictors(self) -> Array:
        """The predictors of the tasks for prepared features, (d, T); a network has none, only `scores`."""
        return self.family.predictors(self.blocks)

    @property
    def shape(self) -> tuple[int, int]:
        """How many prepared features and how many tasks it is of, (d, T)."""
        return self.family.shape(self.blocks)

    @property
    def order(self) -> tuple[int, ...] | None:
        """The order in which a curriculum learned the tasks; None for every other method."""
        return self.facts.get("order")

    @property
    def ridge(self) -> float | None:
        """The ridge weight of a curriculum's start where it is not the coupling."""
        return self.facts.get("ridge")

    @property
    def graph(self) -> TransferGraph:
        """The learned directed graph, with names and losses of the tasks; AMTL's."""
        found: TransferGraph = self.family.graph(self)  # type: ignore[attr-defined]
        return found

    @np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
    def scores(self, X: ArrayLike) -> Array:
        """Scores of every task for raw rows X (N, d_raw), or one row (d_raw,): (N, T).

        The columns of a frame are brought into the order of `feature_names`, where these are known.

        Raises
        ------
        DataError
            If X does not have the features the model was fitted on, or holds what is no number.
        """
        raw = self.shape[0] if self.preparation is None else self.preparation.d
        names = None if self.feature_names is None else self.feature_names[:raw]
        rows = check_features(one_row(X), d=raw, names=names)
        prepared = rows if self.preparation is None else self.preparation.apply(rows)
        return self.family.scores(self.blocks, prepared)

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
        raw = self.shape[0] if self.preparation is None else self.preparation.d
        if tasks.d != raw:
            raise DataError(f"expected tasks with the {raw} features of the fit, got {tasks.d}")
        if self.feature_names is not None:
            tasks = tasks.with_features(self.feature_names[:raw])
        return score(
            self, tasks if self.preparation is None else self.preparation.apply_tasks(tasks), classes=classes
        )


def _own(array: Array) -> Array:
    """A read-only copy."""
    return frozen(np.array(array, dtype=np.float64))
