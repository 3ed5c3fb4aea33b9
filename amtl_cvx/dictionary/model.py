r"""The model of SC-MTL: sparse codes over a dictionary that all tasks share.

    J(D, G) = sum_t c_t L_t(D g_t)         ||d_k||_2 <= 1 for every column of D,   ||g_t||_1 <= radius

D (d, K) is the dictionary; column t of G (K, T) is the code of task t, and its predictor is D g_t. Nothing is
priced: the two balls are all that holds the predictors, ||D g_t|| <= radius. J is convex in D and in G while
the other stands still.

Source: Maurer, Pontil, Romera-Paredes, Sparse coding for multitask and transfer learning, ICML 2013, eq. 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

from amtl_cvx.arrays import Array, is_number
from amtl_cvx.errors import ModelError
from amtl_cvx.losses import Loss, Squared, loss_label, make_loss
from amtl_cvx.notebook import paragraph
from amtl_cvx.problem.given import check_targets, loss_of, task_weights_of, weights_as_numbers
from amtl_cvx.tasks import TaskSet, check_tasks


@dataclass(frozen=True, kw_only=True)
class DictionaryModel:
    """SC-MTL: what is minimised over a dictionary D and codes G.

    Source: Maurer, Pontil, Romera-Paredes, ICML 2013, eq. 1.

    Parameters
    ----------
    loss : Loss or str
        A smooth one; its label will do (``"huber:1.5"``). Default `Squared()`, mean over a task's rows.
    features : int
        K, how many columns the dictionary has, >= 1; more than tasks or than columns of X is allowed.
    radius : float
        How large ||g_t||_1 may be, > 0: the longest that a predictor can get.
    task_weights : {"equal", "inverse-sqrt"} or tuple of T positive floats
        c_t.

    Raises
    ------
    ModelError
        For a setting that is not of the form above.

    Examples
    --------
    >>> from amtl_cvx import DictionaryModel
    >>> DictionaryModel(features=3, radius=2.0).blocks
    ('D', 'G')
    """

    family: ClassVar[str] = "sc-mtl"
    blocks: ClassVar[tuple[str, ...]] = ("D", "G")
    loss: Loss = field(default_factory=Squared)
    features: int = cast(int, None)  # which is refused below, with what to give
    radius: float = cast(float, None)
    task_weights: str | tuple[float, ...] = "equal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss", loss_of(self.loss))
        if not self.loss.smooth:
            raise ModelError(
                f"the {self.loss.name} loss has kinks, for which a dictionary has no certificate: take a"
                " smooth loss (squared, logistic, huber, squared-hinge)"
            )
        features: object = self.features
        if not is_number(features) or not 1 <= float(features) < 2**31 or float(features) != int(features):
            raise ModelError(
                f"features must be how many columns the dictionary has, a whole number >= 1, got {features!r}"
            )
        object.__setattr__(self, "features", int(features))
        radius: object = self.radius
        if not (is_number(radius) and 1e-150 <= float(radius) <= 1e150):
            raise ModelError(f"radius must be a number > 0 (1e-150 to 1e150), got {radius!r}")
        object.__setattr__(self, "radius", float(radius))
        object.__setattr__(self, "task_weights", task_weights_of(self.task_weights))

    def _repr_html_(self) -> str:
        return paragraph([repr(self)])

    def to_dict(self) -> dict[str, Any]:
        """The model by the names of the command line, for JSON."""
        weights = self.task_weights
        return {
            "loss": loss_label(self.loss),
            "reduction": self.loss.reduction,
            "features": self.features,
            "radius": self.radius,
            "task_weights": weights if isinstance(weights, str) else list(weights),
        }

    @classmethod
    def made_from(cls, stored: Mapping[str, Any]) -> DictionaryModel:
        """The model that `to_dict` described; anything may be raised for what it did not write."""
        weights = stored["task_weights"]
        return cls(
            loss=make_loss(stored["loss"], reduction=stored["reduction"]),
            features=stored["features"],
            radius=stored["radius"],
            task_weights=weights if isinstance(weights, str) else tuple(float(c) for c in weights),
        )

    def check(self, tasks: TaskSet) -> None:
        """Raise `DataError` where the tasks do not fit the loss or the task weights."""
        check_tasks(tasks)
        check_targets(self.loss, tasks, one_class=True)  # predictors are bounded: J has a minimum
        self.task_weight(tasks)

    def compress(self, tasks: TaskSet) -> TaskSet:
        """Tasks with the same losses and at most d + 1 rows each where the loss allows it."""
        return replace(tasks, tasks=tuple(self.loss.compress(task) for task in tasks))

    def task_weight(self, tasks: TaskSet) -> Array:
        """The task weights c as numbers, (T,)."""
        return weights_as_numbers(self.task_weights, tasks)
