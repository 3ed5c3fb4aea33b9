r"""The model of AMTFL with ReLU and of Deep-AMTFL: features that a network makes, shaped by reliable tasks.

    u^1 = X V_1,   z^l = max(u^l, 0),   u^(l+1) = z^l V_(l+1),   Z = z^h
    F = Z S,   R = F A,   E = Z - max(R, 0)

    J = sum_t (1 + alpha ||a_t||_1) c_t L_t(F_t)  +  alpha sum_t f_t ||a_t||_1  +  mu ||S||_1
        + gamma ||E||_F^2  +  decay sum_l ||V_l||_F^2

S (k_h, T) is how tasks use the last layer, row t of A (T, k_h) what task t gives back to it, the rest as in
`features.model`. With one hidden layer this is eq. 6 of [L18], with more eq. 7.

A bias is a further row of V_l, and of A, whose input is 1. It counts in decay like every weight: without a
price it could grow while S shrinks, and J would have no minimum. decay > 0 for the same reason, and because
a unit that is off on every row could otherwise be anything.

Source: [L18] Lee, Yang, Hwang, Deep Asymmetric Multi-task Feature Learning, ICML 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from amtl_cvx.arrays import is_number
from amtl_cvx.errors import ModelError
from amtl_cvx.features.model import FeatureModel
from amtl_cvx.losses import make_loss


@dataclass(frozen=True, kw_only=True)
class NetworkModel(FeatureModel):
    """AMTFL with ReLU, or Deep-AMTFL: what is minimised over the layers, S and A.

    Source: Lee, Yang, Hwang, ICML 2018, eq. 6 and 7.

    Parameters
    ----------
    loss, mu, alpha, gamma, feedback, gamma_per, price_floor, reconstruct, task_weights
        As `FeatureModel` has them.
    layers : tuple of int
        (k_1, ..., k_h), how many units each hidden layer has, >= 1 each.
    features : int
        k_h; by itself it says that there is one hidden layer.
    decay : float
        The weight of the squares of the layers' weights and of all biases, > 0.
    fit_bias : bool
        Whether every layer has a bias.
    feedback_bias : bool
        Whether what is rebuilt, max(F A, 0), has one.
    activation : {"relu"}
        sigma.

    Raises
    ------
    ModelError
        For a setting that is not of the form above.

    Examples
    --------
    >>> from amtl_cvx import NetworkModel
    >>> NetworkModel(layers=(4, 3), mu=0.1, alpha=0.5, gamma=0.2, decay=0.01).blocks
    ('W1', 'W2', 'S', 'A')
    """

    family: ClassVar[str] = "network"
    activations: ClassVar[tuple[str, ...]] = ("relu",)
    layers: tuple[int, ...] = ()
    fit_bias: bool = False
    feedback_bias: bool = False
    activation: str = "relu"

    def __post_init__(self) -> None:
        layers = layers_of(self.layers, self.features)
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "features", layers[-1])
        for name in ("fit_bias", "feedback_bias"):
            if not isinstance(getattr(self, name), bool):
                raise ModelError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if is_number(self.decay) and self.decay == 0.0:
            raise ModelError(
                "decay must be > 0 for a network, got 0: a unit that is off on every row could be anything"
            )
        super().__post_init__()

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of the blocks: the layers from below, each with its bias, then S and A."""
        layers = [
            name
            for number in range(1, len(self.layers) + 1)
            for name in (f"W{number}", *([f"bias{number}"] if self.fit_bias else []))
        ]
        return (*layers, "S", "A", *(["bias_feedback"] if self.feedback_bias else []))

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "layers": list(self.layers)}

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        shared = (name for name in FeatureModel.settings() if name != "features")
        return ("layers", *shared, "fit_bias", "feedback_bias")

    @classmethod
    def made_from(cls, stored: Mapping[str, Any]) -> NetworkModel:
        weights = stored["task_weights"]
        return cls(
            loss=make_loss(stored["loss"], reduction=stored["reduction"]),
            task_weights=weights if isinstance(weights, str) else tuple(float(c) for c in weights),
            **{name: stored[name] for name in cls.settings()},
        )


def layers_of(layers: object, features: object) -> tuple[int, ...]:
    """The sizes of the hidden layers; `ModelError` for what are none, or contradict `features`."""
    given = tuple(cast(Any, layers)) if isinstance(layers, (tuple, list)) else (layers,)
    if not given and features is None:
        raise ModelError("layers must be the sizes of the hidden layers, such as (25, 15), got none")
    found = given or (features,)
    for size in found:
        if not is_number(size) or not 1 <= float(size) < 2**31 or float(size) != int(size):
            raise ModelError(f"layers must be whole numbers >= 1, one a hidden layer, got {found!r}")
    sizes = tuple(int(size) for size in found)
    if given and features is not None and features != sizes[-1]:
        raise ModelError(
            f"features are the units of the last hidden layer, {sizes[-1]} by layers {sizes}, got"
            f" features={features!r}: leave one of both out"
        )
    return sizes
