"""What the package asks of a family, answered for shared features: AMTFL, and GO-MTL without feedback."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from amtl_cvx.arrays import Array, Indices, in_named_order, numbers
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.errors import DataError
from amtl_cvx.families import Evidence, Family, Found, Method
from amtl_cvx.features import advice, orders
from amtl_cvx.features.certificate import FeatureCertificate, evaluated
from amtl_cvx.features.climbing import climb_features
from amtl_cvx.features.exploring import FeatureExploration
from amtl_cvx.features.figures import ARRAYS, figures, graph_of
from amtl_cvx.features.methods import AmtflLinear, GoMtl
from amtl_cvx.features.model import FeatureModel, GoMtlModel, unusual
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.problem import FeatureProblem
from amtl_cvx.features.residuals import residuals
from amtl_cvx.features.starts import start_of
from amtl_cvx.ladder import Climb
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.scoring import AT_DECAY
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WITHOUT_FEEDBACK = "go-mtl at the same mu and decay"
"""What the scores of GO-MTL beside those of AMTFL are called."""


class FeatureFamily(Family):
    """L (d, k) makes the features, S (k, T) uses them, A (T, k) is what tasks give back to them."""

    name = "features"
    pooled = True
    blocks: ClassVar[tuple[str, ...]] = ("L", "S", "A")
    places = ("columns of S and rows of A", "rows of L")
    axes: ClassVar[Mapping[str, tuple[str, str]]] = {
        "L": ("feature", ""),
        "S": ("", "task"),
        "A": ("task", ""),
    }
    further = ARRAYS
    predictors_named = "W = L S"
    exploration = FeatureExploration(blocks)
    methods: ClassVar[Mapping[str, type[Method]]] = {AmtflLinear.name: AmtflLinear}
    model: ClassVar[type[FeatureModel]] = FeatureModel

    def model_from(self, stored: Mapping[str, Any]) -> FeatureModel:
        return self.model.made_from(stored)

    def told(self, blocks: Mapping[str, Array]) -> dict[str, Any]:
        return {"features": len(blocks["S"])}

    def begin(
        self, problem: FeatureProblem, settings: Mapping[str, Any], *, seed: int
    ) -> Mapping[str, Array] | None:
        if settings["init"] == "svd":
            return None  # where the method begins by itself
        return start_of(problem, settings["init"], seed=seed).blocks

    def problem(self, tasks: Any, model: Any) -> FeatureProblem:
        return FeatureProblem(tasks, model)

    def start(self, problem: FeatureProblem) -> Mapping[str, Array]:
        return problem.zero.blocks

    def checked(self, blocks: Mapping[str, Any], *, tasks: TaskSet | None = None) -> dict[str, Array]:
        found = {name: numbers(blocks[name], name) for name in self.blocks}
        for name, array in found.items():
            if array.ndim != 2:
                raise DataError(f"{name} must have two dimensions, it has shape {array.shape}")
        (d, k), T = found["L"].shape, found["S"].shape[1]
        d, T = (d, T) if tasks is None else (tasks.d, tasks.T)
        for name, shape in (("L", (d, k)), ("S", (k, T)), ("A", (T, k))):
            if name in found and found[name].shape != shape:
                counted = f"{k} learned features and {T} tasks, the columns of L and S"
                of_data = f"{T} tasks, {d} features of the data and {k} learned ones"
                whose = counted if tasks is None else of_data
                cure = ": transpose it" if found[name].shape == shape[::-1] else ""
                raise DataError(
                    f"{name} must have shape {shape} for {whose}, it has {found[name].shape}{cure}"
                )
        return found if tasks is None else in_their_order(found, blocks, tasks)

    def check(self, tasks: TaskSet, model: FeatureModel) -> None:
        FeatureProblem(tasks, model).check()

    def predictors(self, blocks: Mapping[str, Array]) -> Array:
        found: Array = blocks["L"] @ blocks["S"]
        return found

    def losses(self, tasks: TaskSet, model: FeatureModel, blocks: Mapping[str, Array]) -> Array:
        return FeatureProblem(tasks, model).at(**blocks).losses

    def arranged(self, found: Found, *, tasks: Indices | None, features: Indices | None) -> Found:
        return found._replace(blocks=orders.arranged(found.blocks, tasks=tasks, features=features))

    def repair(
        self, problem: FeatureProblem, point: Mapping[str, Array], *, judge: Callable[[Any], Any]
    ) -> str | None:
        return orders.repair(problem, point, judge=judge)

    def evidence(self, point: FeaturePoint) -> Evidence:
        found = residuals(point)
        return Evidence(found.stationarity, found.relative)

    def unjudged(self, point: FeaturePoint, *, kind: str, tol: float, reason: str) -> FeatureCertificate:
        return replace(evaluated(point, tol=tol, reason=reason), kind=kind)

    def climb(
        self,
        certificate: FeatureCertificate,
        problem: FeatureProblem,
        blocks: Mapping[str, Array],
        *,
        level: str,
        limit: float,
        digits: int = 40,
        proof: dict[str, Any] | None = None,
        observe: Callable[[str], None] | None = None,
    ) -> Climb:
        if proof is not None:
            raise DataError(f"{self.name} has no level C5, of which a proof could be: leave the proof out")
        return climb_features(
            certificate, problem.at(**blocks), level=level, limit=limit, digits=digits, observe=observe
        )

    def headline(self, certificate: FeatureCertificate) -> str:
        return certificate.headline()

    def shortfall(self, certificate: FeatureCertificate) -> str:
        return advice.shortfall(certificate)

    def advice(
        self, certificate: FeatureCertificate, model: FeatureModel, blocks: Mapping[str, Array]
    ) -> str:
        return advice.advice(certificate, model)

    def fit(self, method: Method, tasks: TaskSet, model: FeatureModel, options: Options) -> Solution:
        solution = method.run(tasks, model, options)
        known = figures(FeatureProblem(tasks, model).at(**solution.blocks))
        return replace(solution, facts={**solution.facts, **known})

    def rest(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {name: facts[name] for name in ARRAYS if name in facts}

    def baselines(self, model: FeatureModel) -> Mapping[str, tuple[str, Any]]:
        if model.decay == 0.0:
            return {}
        shared: dict[str, Any] = {"loss": model.loss, "task_weights": model.task_weights}
        single = Model(**shared, transfer=LossWeightedL1(mu=0.0), coupling=model.decay)
        alone = GoMtlModel(**shared, features=model.features, mu=model.mu, decay=model.decay)
        with_features = {WITHOUT_FEEDBACK: ("go-mtl", alone)} if model.has_feedback else {}
        return {**with_features, AT_DECAY: ("stl", single)}

    def model_words(self, model: FeatureModel) -> str:
        weights = ("alpha", "mu", "gamma", "decay") if model.has_feedback else ("mu", "decay")
        told = [f"{name} {getattr(model, name)!r}" for name in weights]
        told += [f"{name.replace('_', ' ')} {getattr(model, name)}" for name in unusual(model)]
        return f", {model.features} learned features, {', '.join(told)}"

    def unlabelled_words(self, model: FeatureModel) -> str:
        whole = model.gamma > 0.0 and model.reconstruct == "all"
        return "left out of the losses, but reconstructed" if whole else super().unlabelled_words(model)

    def settings_words(self, model: FeatureModel) -> str:
        said = f", {model.features} learned features, mu {model.mu:.4g}, decay {model.decay:.4g}"
        if not model.has_feedback:
            return said
        per = " by row" if model.gamma_per == "row" else ""
        said += f", alpha {model.alpha:.4g}, gamma {model.gamma:.4g}{per}, {model.feedback} feedback"
        floor = f", price floor {model.price_floor:.4g}" if model.price_floor else ""
        return f"{said}{floor}{', labelled rows reconstructed' if model.reconstruct == 'labelled' else ''}"

    def learned(self, solution: Solution) -> FeatureGraph:
        """Tasks and learned features with the arrows between them."""
        return graph_of(
            solution.blocks,
            tasks=solution.task_names,
            losses=solution.losses,
            known=solution.facts,
            inputs=solution.feature_names,
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
        from amtl_cvx.plotting import write_png
        from amtl_cvx.plotting.features import feature_figure, feature_images, raster_of

        graph, raster = self.learned(solution), raster_of(solution.feature_names)
        found: dict[str, Callable[[Path], None]] = {
            "features.png": lambda path: write_png(feature_figure(graph, title=title), path),
            "features.graphml": lambda path: graph.write_graphml(path),
        }
        if raster is not None:
            found["images.png"] = lambda path: write_png(feature_images(graph, raster, title=title), path)
        return found

    def figure(
        self, stored: Any, kind: str, *, title: str, shape: str | None, image_map: Array | None = None
    ) -> Figure:
        from amtl_cvx.features.drawing import figure  # matplotlib

        return figure(stored, kind, title=title, shape=shape, image_map=image_map)

    def sections(self, solution: Solution, *, truth: Any = None) -> Mapping[str, str]:
        from amtl_cvx.features.pages import sections  # matplotlib

        return sections(solution, self.learned(solution))

    def tiles(self, solution: Solution) -> Sequence[tuple[str, str]]:
        graph, certificate = self.learned(solution), cast(FeatureCertificate, solution.certificate)
        zero = certificate.zero_objective
        below = zero - solution.objective
        tiles = [
            ("live learned features", f"{int(graph.live.sum())} of {graph.k}"),
            (f"J {'below' if below >= 0 else 'above'} the zero point's", f"{abs(below):.3g} of {zero:.3g}"),
        ]
        if graph.A is not None:
            tiles.append(("tasks that give feedback", f"{int(np.count_nonzero(graph.giving))} of {graph.T}"))
        return [*tiles, ("features a task uses, mean", f"{graph.using.mean():.3g} of {graph.k}")]


def in_their_order(found: Mapping[str, Array], given: Mapping[str, Any], tasks: TaskSet) -> dict[str, Array]:
    """Blocks in the order of the tasks and their features, where frames name theirs."""
    names, inputs = tasks.names, tasks.feature_names
    sides = {"L": (inputs, None), "S": (None, names), "A": (names, None)}
    return {name: in_named_order(array, given[name], sides[name], name) for name, array in found.items()}


class GoMtlFamily(FeatureFamily):
    """L (d, k) makes the features, S (k, T) uses them."""

    name = "go-mtl"
    pooled = False
    blocks = ("L", "S")
    exploration = FeatureExploration(blocks)
    methods: ClassVar[Mapping[str, type[Method]]] = {GoMtl.name: GoMtl}
    places = ("columns of S", "rows of L")
    model = GoMtlModel

    def read(self, source: Any, *, arrays: Callable[..., Mapping[str, Any]]) -> Found:
        """L and S; `DataError` where an A beside them, which is not of this J, is not 0."""

        def without_feedback(source: Any, *, required: Any, optional: Any = ()) -> Mapping[str, Any]:
            found = {**arrays(source, required=required, optional=(*optional, "A"))}
            if numbers(found.pop("A", 0.0), "A").any():
                raise DataError("the file has feedback A, GO-MTL has none: say --method amtfl-linear")
            return found

        return super().read(source, arrays=without_feedback)


FEATURES = FeatureFamily()
GO_MTL = GoMtlFamily()
