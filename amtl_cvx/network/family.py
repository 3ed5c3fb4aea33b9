"""What the package asks of a family, answered for networks: AMTFL with ReLU and Deep-AMTFL."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from amtl_cvx.arrays import Array, Indices, in_named_order
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.errors import DataError
from amtl_cvx.families import Evidence, Family, Found, Method
from amtl_cvx.features.model import FeatureModel
from amtl_cvx.ladder import Climb
from amtl_cvx.network import advice, orders, shapes
from amtl_cvx.network import settings as told
from amtl_cvx.network.certificate import NetworkCertificate, evaluated
from amtl_cvx.network.climbing import climb_network
from amtl_cvx.network.exploring import NetworkExploration
from amtl_cvx.network.figures import ARRAYS, figures, graph_of
from amtl_cvx.network.footprint import check_certificate, check_fit
from amtl_cvx.network.methods import Amtfl, DeepAmtfl
from amtl_cvx.network.model import NetworkModel
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

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    axes: ClassVar[Mapping[str, tuple[str, str]]] = {
        "W1": ("feature", ""),
        "L": ("feature", ""),
        "S": ("", "task"),
        "A": ("task", ""),
    }
    exploration = NetworkExploration()
    further = ARRAYS
    others = "another start (--init random, --seed N), or a larger --tol"
    methods: ClassVar[Mapping[str, type[Method]]] = {each.name: each for each in (Amtfl, DeepAmtfl)}

    def model_from(self, stored: Mapping[str, Any]) -> NetworkModel:
        return NetworkModel.made_from(stored)

    def told(self, blocks: Mapping[str, Array]) -> dict[str, Any]:
        sizes = [blocks[f"W{number}"].shape[1] for number in range(1, shapes.depth(blocks) + 1)]
        biases = {"fit_bias": "bias1" in blocks, "feedback_bias": "bias_feedback" in blocks}
        return {"layers": sizes, **biases}

    def method_for(self, blocks: Mapping[str, Array]) -> str | None:
        return Amtfl.name if shapes.depth(blocks) == 1 else DeepAmtfl.name

    def settled(
        self, settings: Mapping[str, Any], *, given: Mapping[str, Any], known: Mapping[str, Any]
    ) -> dict[str, Any]:
        return told.settled(settings, given=given, known=known)

    def problem(self, tasks: Any, model: Any) -> NetworkProblem:
        return NetworkProblem(tasks, model)

    def start(self, problem: NetworkProblem) -> Mapping[str, Array]:
        return problem.zero.blocks

    def begin(
        self, problem: NetworkProblem, settings: Mapping[str, Any], *, seed: int
    ) -> Mapping[str, Array] | None:
        return start_of(problem, settings["init"], seed=seed).blocks

    def read(self, source: Any, *, arrays: Callable[..., Mapping[str, Any]]) -> Found:
        """The blocks of a file, where W1 may be called L; what is missing `checked` says."""

        def by_either_name(source: Any, *, required: Any, optional: Any = ()) -> Mapping[str, Any]:
            found = _renamed(arrays(source, required=required[1:], optional=("W1", "L", *optional)))
            return {name: _bias(value) if name.startswith("bias") else value for name, value in found.items()}

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
        solution = method.run(tasks, model, options)
        known = figures(NetworkProblem(tasks, model).at(**solution.blocks))
        return replace(solution, facts={**solution.facts, **known})

    def rest(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {name: facts[name] for name in ARRAYS if name in facts}

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
        return told.model_words(model)

    def unlabelled_words(self, model: NetworkModel) -> str:
        whole = model.gamma > 0.0 and model.reconstruct == "all"
        return "left out of the losses, but reconstructed" if whole else super().unlabelled_words(model)

    def settings_words(self, model: NetworkModel) -> str:
        return told.settings_words(model)

    def learned(self, solution: Solution) -> FeatureGraph:
        """Tasks and the units of the last layer, with the arrows between them."""
        return graph_of(
            solution.blocks, tasks=solution.task_names, losses=solution.losses, known=solution.facts
        )

    def summary(self, solution: Solution) -> str:
        return self.learned(solution).describe()

    def png(self, solution: Solution) -> bytes:
        from amtl_cvx.plotting import write_png
        from amtl_cvx.plotting.features import feature_figure

        file = io.BytesIO()
        write_png(feature_figure(self.learned(solution)), file, dpi=100)
        return file.getvalue()

    def pictures(self, solution: Solution, *, title: str) -> Mapping[str, Callable[[Path], None]]:
        from amtl_cvx.network.drawing import pictures  # matplotlib

        return pictures(solution, self.learned(solution), title=title)

    def figure(
        self, stored: Any, kind: str, *, title: str, shape: str | None, image_map: Array | None = None
    ) -> Figure:
        from amtl_cvx.network.drawing import figure  # matplotlib

        return figure(stored, kind, title=title, shape=shape, image_map=image_map)

    def sections(self, solution: Solution, *, truth: Any = None) -> Mapping[str, str]:
        from amtl_cvx.network.pages import sections  # matplotlib

        return sections(solution, self.learned(solution))

    def tiles(self, solution: Solution) -> Sequence[tuple[str, str]]:
        graph, found = self.learned(solution), cast(NetworkCertificate, solution.certificate)
        below = found.zero_objective - solution.objective
        return [
            ("live features of the last layer", f"{int(graph.live.sum())} of {graph.k}"),
            ("units on their kinks, rows counted", str(found.active_kinks)),
            (
                f"J {'below' if below >= 0 else 'above'} the zero point's",
                f"{abs(below):.3g} of {found.zero_objective:.3g}",
            ),
            ("tasks that give feedback", f"{int(np.count_nonzero(graph.giving))} of {graph.T}"),
        ]


def _renamed(blocks: Mapping[str, Any]) -> dict[str, Any]:
    """The blocks, L by its other name W1; `DataError` where there are both."""
    if blocks.get("L") is None:
        return dict(blocks)
    if blocks.get("W1") is not None:
        raise DataError("there are both W1 and L, which are names of one block: leave one out")
    return {"W1" if name == "L" else name: value for name, value in blocks.items()}


def _bias(array: Any) -> Any:
    """A bias as a vector: tables and .mat files have columns alone."""
    return np.ravel(array) if np.ndim(array) == 2 and 1 in np.shape(array) else array


NETWORK = NetworkFamily()
