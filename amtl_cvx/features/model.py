r"""The models of shared features: AMTFL, whose reliable tasks shape them, and GO-MTL.

    J(L, S, A) = sum_t (1 + alpha ||a_t||_1) c_t L_t(L s_t)  +  alpha sum_t f_t ||a_t||_1  +  mu ||S||_1
                 + gamma ||Z - Z S A||_F^2  +  decay ||L||_F^2,        Z = X L

L (d, k) makes the features; column t of S (k, T) is how task t uses them, and its predictor is L s_t; row t
of A (T, k) is what task t gives back to them. Feedback costs what the task loses, so that reliable tasks
shape the features; f_t = price_floor / sqrt(n_t / mean n) is what it costs at least. X has every row once.

J is convex in L, in S and in A while the two others stand still. This is eq. 6 of [L18] without its ReLU
(sigma = identity); GO-MTL is alpha = gamma = 0, with no A.

Sources: [L18] Lee, Yang, Hwang, Deep Asymmetric Multi-task Feature Learning, ICML 2018; GO-MTL: Kumar, Daume,
Learning Task Grouping and Overlap in Multi-task Learning, ICML 2012.
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

FEEDBACKS = ("signed", "nonnegative")
GAMMA_PER = ("total", "row")
RECONSTRUCT = ("all", "labelled")
_USUAL = {"gamma_per": "total", "feedback": "signed", "price_floor": 0.0, "reconstruct": "all"}


@dataclass(frozen=True, kw_only=True)
class FeatureModel:
    """AMTFL with linear features: what is minimised over L, S and A.

    Source: Lee, Yang, Hwang, ICML 2018, eq. 6 with sigma = identity.

    Parameters
    ----------
    loss : Loss or str
        A smooth one; its label will do (``"huber:1.5"``). Default `Squared()`, mean over a task's rows.
    features : int
        k, how many features are learned, >= 1; more than tasks or than columns of X is allowed.
    mu : float
        The price of ||S||_1, > 0: without one J has no minimum, for L can shrink as S grows.
    alpha : float
        The price of feedback, >= 0, in units of the task's loss; 1 unless it is given.
    gamma : float
        The weight of the reconstruction ||Z - Z S A||_F^2, >= 0.
    decay : float
        The weight of ||L||_F^2, >= 0 (lambda in [L18]); 0 only beside a gamma or an alpha.
    feedback : {"signed", "nonnegative"}
        Whether A may be negative; |A| is what has a price.
    gamma_per : {"total", "row"}
        "row": the weight is gamma / N, N being the rows that are reconstructed.
    price_floor : float
        What feedback costs beside the loss, times sqrt(mean n / n_t), >= 0; the authors' code has 0.001.
    reconstruct : {"all", "labelled"}
        Whether rows that no task has a label for are reconstructed too.
    task_weights : {"equal", "inverse-sqrt"} or tuple of T positive floats
        c_t.
    activation : {"identity"}
        sigma.

    Raises
    ------
    ModelError
        For a setting that is not of the form above.

    Examples
    --------
    >>> from amtl_cvx import FeatureModel
    >>> FeatureModel(features=3, mu=0.1, alpha=0.5, gamma=0.2, decay=0.01).to_dict()["feedback"]
    'signed'
    """

    family: ClassVar[str] = "features"
    activations: ClassVar[tuple[str, ...]] = ("identity",)
    loss: Loss = field(default_factory=Squared)
    features: int = cast(int, None)  # which is refused below, with what to give
    mu: float = cast(float, None)
    alpha: float = 1.0
    gamma: float = 0.0
    decay: float = 0.0
    feedback: str = "signed"
    gamma_per: str = "total"
    price_floor: float = 0.0
    reconstruct: str = "all"
    task_weights: str | tuple[float, ...] = "equal"
    activation: str = "identity"

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss", loss_of(self.loss))
        if not self.loss.smooth:
            raise ModelError(
                f"the {self.loss.name} loss has kinks, for which features have no certificate: take a smooth"
                " loss (squared, logistic, huber, squared-hinge)"
            )
        object.__setattr__(self, "features", _count(self.features))
        for name in ("mu", "alpha", "gamma", "decay", "price_floor"):
            object.__setattr__(self, name, _weight(name, getattr(self, name)))
        for name, known in (
            ("feedback", FEEDBACKS),
            ("gamma_per", GAMMA_PER),
            ("reconstruct", RECONSTRUCT),
            ("activation", self.activations),
        ):
            if getattr(self, name) not in known:
                relu = "; a ReLU is NetworkModel's" if getattr(self, name) == "relu" else ""
                raise ModelError(f"{name} must be one of {known}, got {getattr(self, name)!r}{relu}")
        object.__setattr__(self, "task_weights", task_weights_of(self.task_weights))
        if self.mu == 0.0:
            raise ModelError(
                "mu must be > 0, got 0: J would have no minimum, for L can shrink while S grows and L S stays"
            )
        if self.decay == self.alpha == self.gamma == 0.0:
            raise ModelError(
                "decay must be > 0 where alpha and gamma are 0: J would have no minimum, for S can shrink"
                " while L grows and L S stays"
            )

    def _repr_html_(self) -> str:
        return paragraph([repr(self)])

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of the blocks, in the order of a round."""
        return ("L", "S", "A")

    @property
    def has_feedback(self) -> bool:
        """Whether there is a block A."""
        return "A" in self.blocks

    @property
    def signed(self) -> bool:
        """Whether entries of A may be negative."""
        return self.feedback == "signed"

    def to_dict(self) -> dict[str, Any]:
        """The model by the names of the command line, for JSON."""
        weights = self.task_weights
        return {
            "loss": loss_label(self.loss),
            "reduction": self.loss.reduction,
            **{name: getattr(self, name) for name in self.settings()},
            "task_weights": weights if isinstance(weights, str) else list(weights),
        }

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        """The names of what is set beside the loss and the weights of the tasks."""
        return (
            "features",
            "mu",
            "alpha",
            "gamma",
            "decay",
            "feedback",
            "gamma_per",
            "price_floor",
            "reconstruct",
            "activation",
        )

    @classmethod
    def made_from(cls, stored: Mapping[str, Any]) -> FeatureModel:
        """The model that `to_dict` described; anything may be raised for what it did not write."""
        weights = stored["task_weights"]
        return cls(
            loss=make_loss(stored["loss"], reduction=stored["reduction"]),
            task_weights=weights if isinstance(weights, str) else tuple(float(c) for c in weights),
            **{name: stored[name] for name in cls.settings()},
        )

    def check(self, tasks: TaskSet) -> None:
        """Raise `DataError` where the tasks do not fit the loss or the task weights."""
        check_tasks(tasks)
        check_targets(self.loss, tasks, one_class=self.decay > 0.0)  # with it J has a minimum all the same
        self.task_weight(tasks)

    def compress(self, tasks: TaskSet) -> TaskSet:
        """Tasks with the same losses and at most d + 1 rows each where the loss allows it."""
        return replace(tasks, tasks=tuple(self.loss.compress(task) for task in tasks))

    def task_weight(self, tasks: TaskSet) -> Array:
        """The task weights c as numbers, (T,)."""
        return weights_as_numbers(self.task_weights, tasks)


@dataclass(frozen=True, kw_only=True)
class GoMtlModel(FeatureModel):
    """GO-MTL: sum_t c_t L_t(L s_t) + mu ||S||_1 + decay ||L||_F^2, over L and S alone.

    Source: Kumar, Daume, ICML 2012.

    Parameters
    ----------
    loss, features, mu, decay, task_weights
        As `FeatureModel` has them; decay > 0.

    Raises
    ------
    ModelError
        For a setting that is not of that form; an alpha or gamma is one of AMTFL.

    Examples
    --------
    >>> from amtl_cvx import GoMtlModel
    >>> GoMtlModel(features=3, mu=0.1, decay=0.01).blocks
    ('L', 'S')
    """

    family: ClassVar[str] = "go-mtl"
    alpha: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        of_amtfl = [
            name for name in ("alpha", "gamma", *_USUAL) if getattr(self, name) != _USUAL.get(name, 0.0)
        ]
        if of_amtfl:
            raise ModelError(f"GO-MTL has no {of_amtfl[0]}: take FeatureModel, the model of AMTFL")

    def __repr__(self) -> str:
        shown = ("loss", "features", "mu", "decay", "task_weights")
        return f"GoMtlModel({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    @property
    def blocks(self) -> tuple[str, ...]:
        return ("L", "S")

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        return ("features", "mu", "decay", "activation")


def unusual(model: FeatureModel) -> list[str]:
    """The settings of feedback and reconstruction that are not the default, by name."""
    return [name for name, value in _USUAL.items() if getattr(model, name) != value]


def _count(features: object) -> int:
    """How many features; `ModelError` for what is no whole number >= 1."""
    if not is_number(features) or not 1 <= float(features) < 2**31 or float(features) != int(features):
        raise ModelError(f"features must be how many to learn, a whole number >= 1, got {features!r}")
    return int(features)


def _weight(name: str, value: object) -> float:
    """A weight as a float; `ModelError` unless it is 0 or a number whose squares are numbers."""
    if not is_number(value) or not (value == 0.0 or 1e-150 <= float(value) <= 1e150):
        raise ModelError(f"{name} must be a number >= 0 (0, or 1e-150 to 1e150), got {value!r}")
    return float(value) + 0.0  # of -0.0 too
