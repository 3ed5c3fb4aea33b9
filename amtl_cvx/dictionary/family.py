"""What the package asks of a family, answered for a shared dictionary."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from amtl_cvx.arrays import Array, Indices, in_named_order, numbers
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.dictionary import words
from amtl_cvx.dictionary.certificate import DictionaryCertificate, evaluated
from amtl_cvx.dictionary.exploring import DictionaryExploration
from amtl_cvx.dictionary.methods import ScMtl
from amtl_cvx.dictionary.model import DictionaryModel
from amtl_cvx.dictionary.point import DictionaryPoint
from amtl_cvx.dictionary.problem import DictionaryProblem
from amtl_cvx.dictionary.residuals import residuals
from amtl_cvx.dictionary.starts import start_of
from amtl_cvx.errors import DataError
from amtl_cvx.families import Evidence, Family, Found, Method
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class DictionaryFamily(Family):
    """D (d, K) has directions in the unit ball, G (K, T) the codes of the tasks in l1 balls."""

    name = "sc-mtl"
    blocks: ClassVar[tuple[str, ...]] = ("D", "G")
    places = ("columns of G", "rows of D")
    axes: ClassVar[Mapping[str, tuple[str, str]]] = {"D": ("feature", ""), "G": ("", "task")}
    predictors_named = "W = D G"
    exploration = DictionaryExploration()
    methods: ClassVar[Mapping[str, type[Method]]] = {ScMtl.name: ScMtl}

    def model_from(self, stored: Mapping[str, Any]) -> DictionaryModel:
        return DictionaryModel.made_from(stored)

    def told(self, blocks: Mapping[str, Array]) -> dict[str, Any]:
        return {"features": len(blocks["G"])}

    def begin(
        self, problem: DictionaryProblem, settings: Mapping[str, Any], *, seed: int
    ) -> Mapping[str, Array] | None:
        if settings["init"] == "svd":
            return None  # where the method begins by itself
        return start_of(problem, settings["init"], seed=seed).blocks

    def problem(self, tasks: Any, model: Any) -> DictionaryProblem:
        return DictionaryProblem(tasks, model)

    def start(self, problem: DictionaryProblem) -> Mapping[str, Array]:
        return problem.zero.blocks

    def prepare_start(self, problem: DictionaryProblem, start: Any) -> dict[str, Array]:
        """As of any family, and in the balls: J never rises from there."""
        blocks = super().prepare_start(problem, start)
        certificate = evaluated(problem.at(**blocks), tol=1e-8)
        if certificate.level is None:
            raise DataError(f"the start is {certificate.verdict()}: divide what is too long by its length")
        return blocks

    def checked(self, blocks: Mapping[str, Any], *, tasks: TaskSet | None = None) -> dict[str, Array]:
        found = {name: numbers(blocks[name], name) for name in self.blocks}
        for name, array in found.items():
            if array.ndim != 2:
                raise DataError(f"{name} must have two dimensions, it has shape {array.shape}")
        (d, K), T = found["D"].shape, found["G"].shape[1]
        d, T = (d, T) if tasks is None else (tasks.d, tasks.T)
        for name, shape in (("D", (d, K)), ("G", (K, T))):
            if found[name].shape != shape:
                counted = f"{K} features and {T} tasks, the columns of D and G"
                of_data = f"{T} tasks, {d} features of the data and {K} columns of the dictionary"
                cure = ": transpose it" if found[name].shape == shape[::-1] else ""
                raise DataError(
                    f"{name} must have shape {shape} for {counted if tasks is None else of_data}, it has"
                    f" {found[name].shape}{cure}"
                )
        if tasks is None:
            return found
        sides = {"D": (tasks.feature_names, None), "G": (None, tasks.names)}
        return {name: in_named_order(array, blocks[name], sides[name], name) for name, array in found.items()}

    def check(self, tasks: TaskSet, model: DictionaryModel) -> None:
        DictionaryProblem(tasks, model).check()

    def predictors(self, blocks: Mapping[str, Array]) -> Array:
        found: Array = blocks["D"] @ blocks["G"]
        return found

    def losses(self, tasks: TaskSet, model: DictionaryModel, blocks: Mapping[str, Array]) -> Array:
        return DictionaryProblem(tasks, model).at(**blocks).losses

    def arranged(self, found: Found, *, tasks: Indices | None, features: Indices | None) -> Found:
        blocks = dict(found.blocks)
        if tasks is not None:
            blocks["G"] = blocks["G"][:, tasks]
        if features is not None:
            blocks["D"] = blocks["D"][features]
        return found._replace(blocks=blocks)

    def evidence(self, point: DictionaryPoint) -> Evidence:
        found = residuals(point)
        return Evidence(found.stationarity, found.relative)

    def unjudged(
        self, point: DictionaryPoint, *, kind: str, tol: float, reason: str
    ) -> DictionaryCertificate:
        return replace(evaluated(point, tol=tol, reason=reason), kind=kind)

    def headline(self, certificate: DictionaryCertificate) -> str:
        return certificate.headline()

    def shortfall(self, certificate: DictionaryCertificate) -> str:
        return words.shortfall(certificate)

    def advice(
        self, certificate: DictionaryCertificate, model: DictionaryModel, blocks: Mapping[str, Array]
    ) -> str:
        return words.advice(certificate, model)

    def model_words(self, model: DictionaryModel) -> str:
        return f", {model.features} learned features, radius {model.radius!r}"

    def settings_words(self, model: DictionaryModel) -> str:
        return f", {model.features} learned features, radius {model.radius:.4g}"

    def learned(self, solution: Any) -> FeatureGraph:
        """Tasks and directions with the arrows between them; of a solution or a stored run."""
        return FeatureGraph(
            L=solution.blocks["D"],
            S=solution.blocks["G"],
            tasks=solution.task_names,
            losses=solution.losses,
            inputs=solution.feature_names,
            letters=("D", "G"),
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
        from amtl_cvx.dictionary.pages import pictures  # matplotlib

        return pictures(self.learned(solution), title=title)

    def figure(
        self, stored: Any, kind: str, *, title: str, shape: str | None, image_map: Array | None = None
    ) -> Figure:
        from amtl_cvx.dictionary.drawing import figure  # matplotlib

        return figure(stored, self.learned(stored), kind, title=title, shape=shape, image_map=image_map)

    def sections(self, solution: Solution, *, truth: Any = None) -> Mapping[str, str]:
        from amtl_cvx.dictionary.pages import sections  # matplotlib

        return sections(solution, self.learned(solution))

    def tiles(self, solution: Solution) -> Sequence[tuple[str, str]]:
        graph, found = self.learned(solution), cast(DictionaryCertificate, solution.certificate)
        below = found.zero_objective - solution.objective
        return [
            ("live learned features", f"{found.live_features} of {graph.k}"),
            ("codes with the whole radius", f"{found.full} of {graph.T}"),
            (
                f"J {'below' if below >= 0 else 'above'} the zero point's",
                f"{abs(below):.3g} of {found.zero_objective:.3g}",
            ),
            ("features a task uses, mean", f"{graph.using.mean():.3g} of {graph.k}"),
        ]


SC_MTL = DictionaryFamily()
