"""What the package asks of a family, answered for AMTL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from amtl_cvx.amtl import orders, words
from amtl_cvx.amtl import settings as told
from amtl_cvx.amtl.alternating import Alternating
from amtl_cvx.amtl.coordinates import fitted
from amtl_cvx.amtl.exploring import AmtlExploration
from amtl_cvx.amtl.point import read_point
from amtl_cvx.arrays import Array, Indices, check_weights
from amtl_cvx.certificate import (
    Certificate,
    RowSums,
    conclude,
    confirm,
    infeasibility,
    progress,
    residuals,
    rule_that_changed,
)
from amtl_cvx.certificate.words import headline
from amtl_cvx.curriculum import Curriculum, SimpleCurriculum, SingleTask
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families import Evidence, Family, Found, Method
from amtl_cvx.footprint import check_certificate
from amtl_cvx.graph import TransferGraph
from amtl_cvx.ladder import Climb, climb
from amtl_cvx.options import Options
from amtl_cvx.problem import Blocks, Model, Point, Problem
from amtl_cvx.problem.making import made_from
from amtl_cvx.scoring import NO_EDGES, SINGLE_TASK
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet


class AmtlFamily(Family):
    """W (d, T), the predictors, and B (T, T), who helps whom."""

    name = "amtl"
    blocks = ("W", "B")
    streams = True
    predictors_named = "W"
    exploration = AmtlExploration()
    places = ("columns of W, rows and columns of B", "rows of W")
    axes: ClassVar[Mapping[str, tuple[str, str]]] = {"W": ("feature", "task"), "B": ("task", "task")}
    methods: ClassVar[Mapping[str, type[Method]]] = {
        each.name: each for each in (Alternating, Curriculum, SimpleCurriculum, SingleTask)
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

    def settled(
        self, settings: Mapping[str, Any], *, given: Mapping[str, Any], known: Mapping[str, Any]
    ) -> dict[str, Any]:
        return told.settled(settings, given=given, known=known)

    def made(self, settings: Mapping[str, Any], tasks: TaskSet) -> Model:
        return told.made(settings, tasks)

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
            raise ModelError(
                f"B must have a zero diagonal and lie in its feasible set ({demands}), it misses that by"
                f" {miss:.3g}: project it, or give another start"
            )
        return blocks

    def evidence(self, point: Point) -> Evidence:
        found = residuals(point)
        return Evidence({"W": found.stationarity_W, "B": found.stationarity_B}, progress(point))

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
        if not method.uncoupled:
            model.check_coupled(f"the method {method.name!r}")
        return fitted(method, tasks, model, options)

    def arranged(self, found: Found, *, tasks: Indices | None, features: Indices | None) -> Found:
        return orders.arranged(found, tasks=tasks, features=features)

    def point(self, found: Found, *, ridge: float | None = None) -> Blocks:
        return Blocks(found.blocks["W"], found.blocks["B"], found.order, ridge)

    def repair(
        self, problem: Problem, point: Blocks, *, judge: Callable[[Blocks], Certificate]
    ) -> str | None:
        return orders.repair(problem, point, judge=judge)

    def judging(self, method: Method, given: Mapping[str, Any]) -> Method:
        if isinstance(method, SimpleCurriculum) and given.get("reading") is not None:
            return replace(method, reading=given["reading"])
        return method

    def confirm(self, certificate: Certificate, tasks: TaskSet, model: Model, sums: RowSums) -> Certificate:
        return confirm(certificate, tasks, model.loss, sums)

    def climb(
        self,
        certificate: Certificate,
        problem: Problem,
        blocks: Mapping[str, Array],
        *,
        level: str,
        limit: float,
        digits: int = 40,
        proof: dict[str, Any] | None = None,
        observe: Callable[[str], None] | None = None,
    ) -> Climb:
        return climb(
            certificate,
            problem.tasks,
            problem.model,
            blocks["W"],
            blocks["B"],
            level=level,
            limit=limit,
            digits=digits,
            proof=proof,
            observe=observe,
        )

    def baselines(self, model: Model) -> Mapping[str, tuple[str, Model]]:
        alone = {SINGLE_TASK: ("stl", replace(model, omega=None))}
        return alone if model.omega is None else {**alone, NO_EDGES: ("stl", model)}

    def check_memory(self, tasks: TaskSet, model: Model) -> None:
        check_certificate(tasks, model)

    def rule_that_changed(self, was: Mapping[str, Any], certificate: Certificate) -> str:
        return rule_that_changed(was, certificate)

    def model_words(self, model: Model) -> str:
        return f", coupling {model.coupling!r}, mu {model.mu!r}{model.omega_words}"

    def settings_words(self, model: Model) -> str:
        return f", coupling {model.coupling:.4g}, mu {model.mu:.4g}{model.omega_words}"

    def shortfall(self, certificate: Certificate) -> str:
        return words.shortfall(certificate)

    def advice(self, certificate: Certificate, model: Model, blocks: Mapping[str, Array]) -> str:
        return words.advice(certificate, model, blocks)

    def rest(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        order = facts.get("order")
        return {} if order is None else {"order": np.array(order, dtype=np.int64)}

    def graph(self, solution: Solution) -> TransferGraph:
        """The learned graph, `Solution.graph`."""
        found = solution.model.transfer.feasible(len(solution.B))
        return TransferGraph(
            B=solution.B,
            names=solution.task_names,
            losses=solution.losses,
            signed=found.signed,
            degree=found.most,
            barred=found.excluded(len(solution.B)),
        )

    def stored_graph(self, stored: Any, *, threshold: float) -> TransferGraph:
        """The graph of a stored run; edges may be negative where its penalty says so, or, if unknown, B."""
        signed, degree, barred = False, None, None
        if stored.run.get("model"):
            try:
                found = stored.model.transfer.named(stored.task_names).feasible(len(stored.B))
                signed, degree, barred = found.signed, found.most, found.excluded(len(stored.B))
            except (DataError, ModelError):
                signed = bool((stored.B < 0.0).any())
        return TransferGraph(
            B=stored.B,
            names=stored.task_names,
            losses=stored.losses,
            threshold=threshold,
            signed=signed,
            degree=degree,
            barred=barred,
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
            made = f"; {found}" if (found := omega.told(solution.W)) else ""
            tiles.append(("penalty on W", f"{omega.label}, {omega.value(solution.W):.4g} of J{made}"))
        return tiles

    def headline(self, certificate: Certificate) -> str:
        return headline(certificate)


AMTL = AmtlFamily()
