"""What the package asks of a family, answered for AMTL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from amtl_cvx.amtl.alternating import Alternating
from amtl_cvx.amtl.coordinates import fitted
from amtl_cvx.arrays import Array, check_weights
from amtl_cvx.certificate import Certificate, conclude, infeasibility, residuals
from amtl_cvx.certificate.words import headline
from amtl_cvx.curriculum import Curriculum, SingleTask
from amtl_cvx.data import read_point
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families import Evidence, Family, Found, Method
from amtl_cvx.graph import TransferGraph
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Point, Problem
from amtl_cvx.problem.making import made_from
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet


class AmtlFamily(Family):
    """W (d, T), the predictors, and B (T, T), who helps whom."""

    name = "amtl"
    blocks = ("W", "B")
    methods: ClassVar[Mapping[str, type[Method]]] = {
        each.name: each for each in (Alternating, Curriculum, SingleTask)
    }

    def model_from(self, stored: Mapping[str, Any]) -> Model:
        return made_from(stored)

    def problem(self, tasks: Any, model: Any) -> Problem:
        return Problem(tasks, model)

    def start(self, problem: Problem) -> Mapping[str, Array]:
        d, T = problem.tasks.d, problem.tasks.T
        return {"W": np.zeros((d, T)), "B": problem.model.transfer.start(T)}

    def checked(self, blocks: Mapping[str, Any], *, tasks: TaskSet | None = None) -> dict[str, Array]:
        if tasks is not None:
            W, B = tasks.check_point(blocks["W"], blocks["B"])
        else:
            d, T = np.shape(blocks["W"])
            W, B = check_weights(blocks["W"], blocks["B"], d=d, T=T)
        return {"W": W, "B": B}

    def check(self, tasks: TaskSet, model: Model) -> None:
        model.bind(tasks).check(tasks)

    def arrays(self, tasks: TaskSet, model: Model) -> Mapping[str, Array]:
        return {"task_weights": model.task_weight(tasks)}

    def read(self, source: Any, *, arrays: Callable[..., Mapping[str, Any]]) -> Found:
        found = read_point(source)
        return Found(
            {"W": found.W, "B": found.B}, found.losses, found.order, found.task_names, found.feature_names
        )

    def prepare_start(self, problem: Problem, start: Any) -> dict[str, Array]:
        blocks = super().prepare_start(problem, start)
        miss = infeasibility(problem.model, blocks["B"])
        if miss > 0.0:
            demands = problem.model.transfer.demands(len(blocks["B"]))
            raise ModelError(f"B of the start is not feasible (by {miss:.3g}): {demands}")
        return blocks

    def evidence(self, point: Point) -> Evidence:
        found = residuals(point)
        return Evidence({"W": found.stationarity_W, "B": found.stationarity_B}, found.relative)

    def unjudged(self, point: Point, *, kind: str, tol: float, reason: str) -> Certificate:
        found = residuals(point)
        certificate = conclude(
            kind=kind,
            objective=point.objective,
            found=found,
            relative=found.relative,
            joint_relative=found.relative,
            feasibility=0.0,
            gaps=(None, None),
            gap_W_exact=False,
            gain_W=None,
            B=point.B,
            tol=tol,
            reasons={},
            unknown=reason,
        )
        return replace(certificate, passes=False, level="C0")

    def predictors(self, blocks: Mapping[str, Array]) -> Array:
        return blocks["W"]

    def losses(self, tasks: TaskSet, model: Model, blocks: Mapping[str, Array]) -> Array:
        return model.losses(tasks, blocks["W"])

    def fit(self, method: Method, tasks: TaskSet, model: Model, options: Options) -> Solution:
        return fitted(method, tasks, model, options)

    def rest(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        order = facts.get("order")
        return {} if order is None else {"order": np.array(order, dtype=np.int64)}

    def graph(self, solution: Solution) -> TransferGraph:
        """The learned graph, `Solution.graph`."""
        signed = solution.model.transfer.feasible(len(solution.B)).signed
        return TransferGraph(B=solution.B, names=solution.task_names, losses=solution.losses, signed=signed)

    def stored_graph(self, stored: Any, *, threshold: float) -> TransferGraph:
        """The graph of a stored run; edges may be negative where its penalty says so, or, if unknown, B."""
        signed = False
        if stored.run.get("model"):
            try:
                signed = stored.model.transfer.feasible(len(stored.B)).signed
            except (DataError, ModelError):
                signed = bool((stored.B < 0.0).any())
        return TransferGraph(
            B=stored.B, names=stored.task_names, losses=stored.losses, threshold=threshold, signed=signed
        )

    def summary(self, solution: Solution) -> str:
        return self.graph(solution).describe()

    def png(self, solution: Solution) -> bytes:
        return self.graph(solution).png()

    def pictures(self, solution: Solution, *, title: str) -> Mapping[str, Callable[[Path], None]]:
        from amtl_cvx.plotting import graph_figure, write_png

        graph = self.graph(solution)
        return {
            "graph.png": lambda path: write_png(graph_figure(graph, title=title), path),
            "graph.graphml": lambda path: graph.write_graphml(path),
        }

    def sections(self, solution: Solution, *, truth: Any = None) -> Mapping[str, str]:
        from amtl_cvx.amtl.pages import sections  # matplotlib

        return sections(solution, self.graph(solution), truth)

    def tiles(self, solution: Solution) -> Sequence[tuple[str, str]]:
        T = len(solution.B)
        tiles = [("edges", f"{solution.certificate.edges} of {T * (T - 1)}")]
        if (omega := solution.model.omega) is not None:
            tiles.append(("penalty on W", f"{omega.label}, {omega.value(solution.W):.4g} of J"))
        return tiles

    def headline(self, certificate: Certificate) -> str:
        return headline(certificate)


AMTL = AmtlFamily()
