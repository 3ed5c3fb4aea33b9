"""The package itself as a back end: every loss, transfer penalty and Omega is asked about, and passes."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from reference_recipes import module

from amtl_cvx import Model, Options, Point, Problem, TaskSet, fit
from amtl_cvx.losses import LOSSES, make_loss
from amtl_cvx.reference import pack_names, read_pack
from amtl_cvx.reference.judge import judge
from amtl_cvx.reference.judge.backends import backend_of
from amtl_cvx.reference.judge.choice import why_not
from amtl_cvx.refine.b_step import direct_step
from amtl_cvx.subproblems import task_step
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.transfer import TRANSFERS, make_transfer
from amtl_cvx.weights import OMEGAS, make_omega


class Own:
    """Its NumPy steps, and `fit`."""

    name, dtype = "amtl_cvx", "float64"
    losses: ClassVar = tuple(LOSSES)
    reductions: ClassVar = ("mean", "sum")
    transfers: ClassVar = tuple(TRANSFERS)
    omegas: ClassVar = tuple(OMEGAS)
    row_weights = True

    def point(self, asked: Any) -> Point:
        tasks = TaskSet.from_arrays(
            asked.X, asked.y, names=asked.task_names, sample_weight=asked.sample_weight
        )
        label = ":".join([asked.loss, *map(repr, asked.loss_parameters.values())])
        model = Model(
            loss=make_loss(label, reduction=asked.reduction),
            transfer=make_transfer(asked.transfer, mu=asked.mu, parameters=asked.transfer_parameters),
            coupling=asked.coupling,
            task_weights=tuple(map(float, asked.task_weights)),
            omega=make_omega(asked.omega, parameters=asked.omega_parameters) if asked.omega else None,
        )
        return Problem(tasks, model).at(asked.W, asked.B)

    def evaluate(self, asked: Any) -> dict[str, Any]:
        point = self.point(asked)
        found = {"objective": point.objective, "losses": point.losses}
        if point.model.smooth_in_W and point.row_prices is not None:
            found |= {"gradient_W": point.gradient_W, "gradient_B": point.gradient_B}
        return found

    def w_step(self, asked: Any) -> Any:
        return minimal_weights(self.point(asked))

    def b_step(self, asked: Any) -> Any:
        point = self.point(asked)
        return self.best_graph(point.at(B=point.model.transfer.start(point.tasks.T))).B

    def best_graph(self, point: Point) -> Point:
        step = direct_step(point.model, point.tasks.T)
        assert step is not None
        for _ in range(20):
            found = point.at(B=step.solve(point).value)
            if not found.objective < point.objective:
                break
            point = found
        return point

    def one_task(self, asked: Any) -> Any:
        point = self.point(asked)
        return module("recipes.steps").newton(task_step(point, asked.task), point.W[:, asked.task])

    def rounds(self, asked: Any) -> list[float]:
        point, found = self.point(asked), []
        for _ in range(asked.count):
            point = point.at(W=minimal_weights(point))
            found.append(point.objective)
            point = self.best_graph(point)
            found.append(point.objective)
        return found

    def fit(self, asked: Any) -> tuple[Any, Any]:
        point = self.point(asked)
        start = {"W": point.W, "B": point.B}
        found = fit(point.tasks, point.model, options=Options(tol=1e-11, start=start))
        return found.W, found.B


def failed(names: list[str]) -> list[str]:
    verdict = judge(Own(), packs=names, levels=["L0", "L1", "L2", "L3", "L4"])
    return [f"{r.check.id}: {r.words}" for r in verdict.results if r.status not in ("passed", "skipped")]


SETS = [f"transfer-{name}" for name in ("symmetric", "total-budget")]


@pytest.mark.slow
def test_penalties_with_sets_of_their_own_pass():
    assert not failed([*SETS, "omega-l21"])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_every_pack_of_every_variant_passes(part):
    asked = backend_of(Own())
    made = [
        recipe.name
        for name in ("losses", "unusual", "transfers", "omegas", "weight_steps", "edge_steps", "task_steps")
        for recipe in module(f"recipes.{name}").RECIPES
    ]
    names = [name for name in made if name in pack_names() and not why_not(asked, read_pack(name))]
    assert len(names) > 80
    assert not failed(names[part::3])
