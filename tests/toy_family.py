"""A second family for the tests: three convex blocks, a tiny factorisation with a bias and a known minimum.

J(L, S, b) = sum_t mean_i (x_ti'L s_t + b_t - y_ti)^2 + decay (||L||_F^2 + ||S||_F^2)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.coordinator import Part, alternate
from amtl_cvx.errors import DataError
from amtl_cvx.families import Evidence, Family, Method
from amtl_cvx.families.settings import Setting, Settings
from amtl_cvx.known import RESIDUALS, VERDICT, row, table
from amtl_cvx.losses import Squared
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.solution import Solution
from amtl_cvx.solvers import Solved
from amtl_cvx.subproblems import HalfStep
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


@dataclass(frozen=True, kw_only=True)
class ToyModel:
    family = "toy"
    k: int
    decay: float
    loss: Squared = Squared()

    def to_dict(self) -> dict[str, Any]:
        return {"loss": "squared", "reduction": "mean", "k": self.k, "decay": self.decay}


@dataclass(frozen=True, eq=False)
class ToyProblem:
    tasks: TaskSet
    model: ToyModel

    def at(self, **blocks: Array) -> ToyPoint:
        return ToyPoint(self, blocks)


@dataclass(frozen=True, eq=False)
class ToyPoint:
    problem: ToyProblem
    blocks: Mapping[str, Array]

    def at(self, **some: Array) -> ToyPoint:
        return ToyPoint(self.problem, {**self.blocks, **some})

    @property
    def objective(self) -> float:
        decay = self.problem.model.decay
        fit = sum(float((r**2).mean()) for r in self.residuals())
        return fit + decay * float((self.blocks["L"] ** 2).sum() + (self.blocks["S"] ** 2).sum())

    def residuals(self) -> list[Array]:
        L, S, b = (self.blocks[name] for name in "LSb")
        return [task.X @ L @ S[:, t] + b[0, t] - task.y for t, task in enumerate(self.problem.tasks)]

    def gradients(self) -> dict[str, Array]:
        L, S, decay = self.blocks["L"], self.blocks["S"], self.problem.model.decay
        pulls = [
            2.0 * task.X.T @ r / task.n for task, r in zip(self.problem.tasks, self.residuals(), strict=True)
        ]
        G = np.column_stack(pulls)
        bias = np.array([[2.0 * r.mean() for r in self.residuals()]])
        return {"L": G @ S.T + 2.0 * decay * L, "S": L.T @ G + 2.0 * decay * S, "b": bias}


def best(block: str, point: ToyPoint) -> Array:
    """The block that is best while the others stand still: J is a quadratic of it, one Newton step away."""
    old = point.blocks[block]
    g = point.gradients()[block].ravel()
    units = np.eye(old.size).reshape(old.size, *old.shape)
    moved = [point.at(**{block: old + unit}).gradients()[block].ravel() - g for unit in units]
    found: Array = old - np.linalg.solve(np.array(moved).T, g).reshape(old.shape)
    return found


def gap(block: str, point: ToyPoint) -> float:
    """What a move of the block can still gain."""
    return point.objective - point.at(**{block: best(block, point)}).objective


class LeastSquares:
    """The exact step over one block."""

    def __init__(self, block: str) -> None:
        self.block = block

    def solve(self, point: ToyPoint) -> HalfStep:
        told = Solved(solver="least-squares", status="optimal", seconds=0.0)
        return HalfStep(best(self.block, point), told)


@table
class ToyCertificate:
    kind: str = row(VERDICT, "the problem that is judged")
    objective: float = row(VERDICT, "J(L, S, b)", "J", digits=12)
    tol: float = row(VERDICT, "the tolerance")
    passes: bool = row(VERDICT, "the residual is within the tolerance")
    level: str | None = row(VERDICT, "C0 or C2")
    relative: float = row(RESIDUALS, "the worst gradient over the size of J")
    reasons: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def verdict(self) -> str:
        return f"{self.level}: residual {self.relative:.1e}"

    def sentences(self) -> list[str]:
        return [self.verdict()]

    def rungs(self) -> tuple[()]:
        return ()

    def has(self, level: str) -> bool:
        return self.level is not None and self.level >= level

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def judged(point: ToyPoint, *, tol: float, kind: str = "joint", fails: str = "") -> ToyCertificate:
    relative = TOY.evidence(point).relative
    passes = relative <= tol and not fails
    return ToyCertificate(
        kind=kind, objective=point.objective, tol=tol, passes=passes, level="C2" if passes else "C0",
        relative=relative, reasons={"passes": fails} if fails else {},
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sweeping(Method):
    name = "alternating"
    kind = "joint"
    takes_start = True

    def run(self, tasks: TaskSet, model: ToyModel, options: Options) -> Solution:
        parts = [
            Part(block=name, step=LeastSquares(name), gap=lambda point, name=name: gap(name, point))
            for name in TOY.blocks
        ]
        return alternate(ToyProblem(tasks, model), options, method=self, parts=parts)

    def judge(self, tasks: TaskSet, model: ToyModel, point: Any, tol: float) -> ToyCertificate:
        return judged(ToyProblem(tasks, model).at(**point), tol=tol)


@dataclass(frozen=True, kw_only=True)
class Toy(Sweeping):
    """The same by a name that no other family has: the command line goes by it."""

    name = "toy"


class ToyFamily(Family):
    name = "toy"
    blocks = ("L", "S", "b")
    methods = {"alternating": Sweeping, "toy": Toy}  # noqa: RUF012

    def model_from(self, stored: Mapping[str, Any]) -> ToyModel:
        return ToyModel(k=stored["k"], decay=stored["decay"])

    def problem(self, tasks: Any, model: Any) -> ToyProblem:
        return ToyProblem(tasks, model)

    def start(self, problem: ToyProblem) -> Mapping[str, Array]:
        tasks, k = problem.tasks, problem.model.k
        return {"L": np.eye(tasks.d, k), "S": np.eye(k, tasks.T), "b": np.zeros((1, tasks.T))}

    def checked(self, blocks: Mapping[str, Any], *, tasks: TaskSet | None = None) -> dict[str, Array]:
        found = {name: np.asarray(blocks[name], dtype=float) for name in self.blocks}
        (d, k), T = found["L"].shape, found["S"].shape[1]
        fits = found["S"].shape == (k, T) and found["b"].shape == (1, T)
        if not fits or (tasks is not None and (d, T) != (tasks.d, tasks.T)):
            raise DataError("the blocks do not fit each other, or the tasks")
        return found

    def evidence(self, point: ToyPoint) -> Evidence:
        sizes = {name: float(np.abs(g).max()) for name, g in point.gradients().items()}
        return Evidence(sizes, max(sizes.values()) / max(point.objective, 1e-300))

    def unjudged(self, point: ToyPoint, *, kind: str, tol: float, reason: str) -> ToyCertificate:
        return judged(point, tol=tol, kind=kind, fails=reason)

    def predictors(self, blocks: Mapping[str, Array]) -> Array:
        found: Array = blocks["L"] @ blocks["S"]
        return found

    def told(self, blocks: Mapping[str, Array]) -> dict[str, Any]:
        return {"k": len(blocks["S"])}

    def begin(
        self, problem: ToyProblem, settings: Mapping[str, Any], *, seed: int
    ) -> Mapping[str, Array] | None:
        if settings["init"] != "random":
            return None
        rng = np.random.default_rng(seed)
        return {name: rng.normal(size=block.shape) for name, block in self.start(problem).items()}

    def model_words(self, model: ToyModel) -> str:
        return f", k {model.k}, decay {model.decay:g}"

    def baselines(self, model: ToyModel) -> Mapping[str, tuple[str, Any]]:
        return {"stl at ridge decay": ("stl", Model(coupling=model.decay, transfer=LossWeightedL1(mu=0.0)))}

    def losses(self, tasks: TaskSet, model: ToyModel, blocks: Mapping[str, Array]) -> Array:
        return np.array([float((r**2).mean()) for r in ToyProblem(tasks, model).at(**blocks).residuals()])


TOY = ToyFamily()
SETTINGS = Settings(
    family="toy",
    title="the toy",
    methods=("toy",),
    model=(
        Setting(name="k", words="how many columns L has", needed=True, kind=int),
        Setting(name="decay", words="weight of both squares (0.3)", default=0.3, kind=float),
    ),
    fit=(Setting(name="init", words="the start", default="eye", choices=("eye", "random"), begins=True),),
)
"""What the command line asks of it, for tests that register this."""
