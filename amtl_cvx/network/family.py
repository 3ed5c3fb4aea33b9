"""What the package asks of a family, answered for networks: AMTFL with ReLU and Deep-AMTFL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from amtl_cvx.arrays import Array, Indices, in_named_order
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families import Evidence, Family, Found, Method
from amtl_cvx.features.model import FeatureModel, unusual
from amtl_cvx.ladder import Climb
from amtl_cvx.network import advice, orders, shapes
from amtl_cvx.network.certificate import NetworkCertificate, evaluated
from amtl_cvx.network.climbing import climb_network
from amtl_cvx.network.footprint import check_certificate, check_fit
from amtl_cvx.network.methods import Amtfl, DeepAmtfl
from amtl_cvx.network.model import NetworkModel, layers_of
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.problem import NetworkProblem
from amtl_cvx.network.residuals import residuals
from amtl_cvx.network.starts import start_of
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.scoring import AT_DECAY
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

LINEAR = "amtfl-linear at the same weights"
"""What the scores of AMTFL with linear features beside those of a network are called."""


class NetworkFamily(Family):
    """Layers W1 (d, k_1), ... make the features, S (k, T) uses them, A (T, k) is what tasks give back."""

    name = "network"
    pooled = True
    linear = False
    blocks = shapes.NEEDED
    optional = shapes.OPTIONAL
    residuals_of = ("weights", "S", "A", "kinks")
    places = ("columns of S and rows of A", "rows of W1")
    methods: ClassVar[Mapping[str, type[Method]]] = {each.name: each for each in (Amtfl, DeepAmtfl)}

    def model_from(self, stored: Mapping[str, Any]) -> NetworkModel:
        return NetworkModel.made_from(stored)

    def told(self, blocks: Mapping[str, Array]) -> dict[str, Any]:
        sizes = [blocks[f"W{number}"].shape[1] for number in range(1, shapes.depth(blocks) + 1)]
        biases = {"fit_bias": "bias1" in blocks, "feedback_bias": "bias_feedback" in blocks}
        return {"layers": sizes, **biases}

    def settled(
        self, settings: Mapping[str, Any], *, given: Mapping[str, Any], known: Mapping[str, Any]
    ) -> dict[str, Any]:
        """With the sizes of the layers as numbers, which --features or --layers say."""
        features, layers = given.get("features"), given.get("layers")
        if features is None and layers is None:
            features, layers = known.get("features"), known.get("layers")
        if features is None and layers is None:
            raise ModelError(
                "the layers of the network are not known: give --features K (--method amtfl), or --layers"
                " 25,15,10 (--method deep-amtfl)"
            )
        sizes = layers_of(_numbers(layers), features)
        return {**settings, "layers": list(sizes), "features": sizes[-1]}

    def problem(self, tasks: Any, model: Any) -> NetworkProblem:
        return NetworkProblem(tasks, model)

    def start(self, problem: NetworkProblem) -> Mapping[str, Array]:
        return problem.zero.blocks

    def begin(
        self, problem: NetworkProblem, settings: Mapping[str, Any], *, seed: int
    ) -> Mapping[str, Array] | None:
        return start_of(problem, seed=seed).blocks

    def read(self, source: Any, *, arrays: Callable[..., Mapping[str, Any]]) -> Found:
        """The blocks of a file, where W1 may be called L; what is missing `checked` says."""

        def by_either_name(source: Any, *, required: Any, optional: Any = ()) -> Mapping[str, Any]:
            return _renamed(arrays(source, required=required[1:], optional=("W1", "L", *optional)))

        return super().read(source, arrays=by_either_name)

    def prepare_start(self, problem: NetworkProblem, start: Any) -> dict[str, Array]:
        given = getattr(start, "blocks", start)
        blocks = super().prepare_start(problem, _renamed(given) if isinstance(given, Mapping) else given)
        wanted = problem.model.blocks
        if set(blocks) != set(wanted):
            raise DataError(
                f"a start of this model has {', '.join(wanted)}, this one has {', '.join(blocks)}: give its"
                " layers and biases as the model's are"
            )
        return {name: problem.at(**blocks).blocks[name] for name in wanted}

    def checked(self, blocks: Mapping[str, Any], *, tasks: TaskSet | None = None) -> dict[str, Array]:
        found = shapes.checked(blocks, tasks=tasks)
        if tasks is None:
            return found
        sides = {
            "W1": (tasks.feature_names, None),
            "S": (None, tasks.names),
            "A": (tasks.names, None),
        }
        return {
            name: in_named_order(array, blocks[name], sides[name], name) if name in sides else array
            for name, array in found.items()
        }

    def check(self, tasks: TaskSet, model: NetworkModel) -> None:
        problem = NetworkProblem(tasks, model)
        check_certificate(tasks, model)
        problem.check()

    def check_memory(self, tasks: TaskSet, model: NetworkModel) -> None:
        check_certificate(tasks, model)

    def scores(self, blocks: Mapping[str, Array], X: Array) -> Array:
        z = X
        for number in range(1, shapes.depth(blocks) + 1):
            bias = blocks.get(f"bias{number}")
            u = z @ blocks[f"W{number}"]
            z = np.maximum(u if bias is None else u + bias, 0.0)
        found: Array = z @ blocks["S"]
        return found

    def shape(self, blocks: Mapping[str, Array]) -> tuple[int, int]:
        return blocks["W1"].shape[0], blocks["S"].shape[1]

    def losses(self, tasks: TaskSet, model: NetworkModel, blocks: Mapping[str, Array]) -> Array:
        return NetworkProblem(tasks, model).at(**blocks).losses

    def arranged(self, found: Found, *, tasks: Indices | None, features: Indices | None) -> Found:
        return found._replace(blocks=orders.arranged(found.blocks, tasks=tasks, features=features))

    def repair(
        self, problem: NetworkProblem, point: Mapping[str, Array], *, judge: Callable[[Any], Any]
    ) -> str | None:
        return orders.repair(problem, point, judge=judge)

    def evidence(self, point: NetworkPoint) -> Evidence:
        found = residuals(point)
        return Evidence(found.stationarity, found.relative)

    def unjudged(self, point: NetworkPoint, *, kind: str, tol: float, reason: str) -> NetworkCertificate:
        return replace(evaluated(point, tol=tol, reason=reason), kind=kind)

    def judging(self, method: Method, given: Mapping[str, Any]) -> Method:
        known = {name: given[name] for name in ("snap", "kink_width") if given.get(name) is not None}
        return replace(method, **known)  # type: ignore[type-var]

    def climb(
        self,
        certificate: NetworkCertificate,
        problem: NetworkProblem,
        blocks: Mapping[str, Array],
        *,
        level: str,
        limit: float,
        digits: int = 40,
        proof: dict[str, Any] | None = None,
        observe: Callable[[str], None] | None = None,
    ) -> Climb:
        if proof is not None:
            raise DataError("networks have no level C5, of which a proof could be: leave the proof out")
        return climb_network(
            certificate, problem.at(**blocks), level=level, limit=limit, digits=digits, observe=observe
        )

    def headline(self, certificate: NetworkCertificate) -> str:
        return certificate.headline()

    def shortfall(self, certificate: NetworkCertificate) -> str:
        return advice.shortfall(certificate)

    def advice(
        self, certificate: NetworkCertificate, model: NetworkModel, blocks: Mapping[str, Array]
    ) -> str:
        return advice.advice(certificate, model)

    def fit(self, method: Method, tasks: TaskSet, model: NetworkModel, options: Options) -> Solution:
        check_fit(tasks, model)
        return method.run(tasks, model, options)

    def baselines(self, model: NetworkModel) -> Mapping[str, tuple[str, Any]]:
        """Single tasks with the decay as ridge; of one layer also the same J with linear features."""
        shared: dict[str, Any] = {"loss": model.loss, "task_weights": model.task_weights}
        alone = Model(**shared, transfer=LossWeightedL1(mu=0.0), coupling=model.decay)
        found: dict[str, tuple[str, Any]] = {AT_DECAY: ("stl", alone)}
        if len(model.layers) > 1:
            return found
        names = (name for name in FeatureModel.settings() if name != "activation")
        same = {name: getattr(model, name) for name in names}
        return {LINEAR: ("amtfl-linear", FeatureModel(**shared, **same)), **found}

    def model_words(self, model: NetworkModel) -> str:
        told = [f"{name} {getattr(model, name)!r}" for name in ("alpha", "mu", "gamma", "decay")]
        told += [f"{name.replace('_', ' ')} {getattr(model, name)}" for name in unusual(model)]
        return f", {_layers(model)}, {', '.join(told)}"

    def unlabelled_words(self, model: NetworkModel) -> str:
        whole = model.gamma > 0.0 and model.reconstruct == "all"
        return "left out of the losses, but reconstructed" if whole else super().unlabelled_words(model)

    def settings_words(self, model: NetworkModel) -> str:
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


def _renamed(blocks: Mapping[str, Any]) -> dict[str, Any]:
    """The blocks, L by its other name W1; `DataError` where there are both."""
    if blocks.get("L") is None:
        return dict(blocks)
    if blocks.get("W1") is not None:
        raise DataError("there are both W1 and L, which are names of one block: leave one out")
    return {"W1" if name == "L" else name: value for name, value in blocks.items()}


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


NETWORK = NetworkFamily()
