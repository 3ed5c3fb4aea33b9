"""The settings of networks on the command line: the sizes of the layers from either option, models in words.

    --features 8             one hidden layer of 8 units                 layers (8,)
    --layers 25,15,10        three, from below                           layers (25, 15, 10), features 10

What a run or a file of weights says holds where neither option is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.features.model import unusual
from amtl_cvx.network.model import NetworkModel, layers_of


def settled(
    settings: Mapping[str, Any], *, given: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    """The settings with the sizes of the layers as numbers; see `Family.settled`.

    Raises
    ------
    ModelError
        Where no one says the layers, what is said are none, or both options contradict each other.
    """
    said = next((each for each in (given, known) if _says(each)), None)
    if said is None:
        raise ModelError(
            "the layers of the network are not known: give --features K (--method amtfl), or --layers"
            " 25,15,10 (--method deep-amtfl)"
        )
    sizes = layers_of(_numbers(said.get("layers")), said.get("features"))
    return {**settings, "layers": list(sizes), "features": sizes[-1]}


def _says(settings: Mapping[str, Any]) -> bool:
    return settings.get("features") is not None or settings.get("layers") is not None


def _numbers(layers: Any) -> tuple[Any, ...]:
    """Sizes of layers as the command line or a file says them, () for None."""
    if layers is None:
        return ()
    if not isinstance(layers, str):
        return tuple(layers) if isinstance(layers, (list, tuple)) else (layers,)
    try:
        return tuple(int(size) for size in layers.split(","))
    except ValueError as error:
        raise ModelError(
            f"--layers must be how many units each hidden layer has, such as 25,15,10, got {layers!r}"
        ) from error


def model_words(model: NetworkModel) -> str:
    """A model in words, after its loss; every number in full."""
    told = [f"{name} {getattr(model, name)!r}" for name in ("alpha", "mu", "gamma", "decay")]
    told += [f"{name.replace('_', ' ')} {getattr(model, name)}" for name in unusual(model)]
    return f", {_layers(model)}, {', '.join(told)}"


def settings_words(model: NetworkModel) -> str:
    """The same with four digits."""
    per = " by row" if model.gamma_per == "row" else ""
    said = (
        f", {_layers(model)}, mu {model.mu:.4g}, decay {model.decay:.4g}, alpha {model.alpha:.4g},"
        f" gamma {model.gamma:.4g}{per}, {model.feedback} feedback"
    )
    floor = f", price floor {model.price_floor:.4g}" if model.price_floor else ""
    return f"{said}{floor}{', labelled rows reconstructed' if model.reconstruct == 'labelled' else ''}"


def _layers(model: NetworkModel) -> str:
    """The layers in words."""
    sizes, few = ", ".join(map(str, model.layers)), len(model.layers) == 1
    units = f"a hidden layer of {sizes} units" if few else f"hidden layers of {sizes} units"
    told = {"units": model.fit_bias, "feedback": model.feedback_bias}
    biased = " and ".join(what for what, there in told.items() if there)
    return f"{units}, biases of {biased}" if biased else units
