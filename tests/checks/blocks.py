"""Rounds over blocks: J never rises, a run that nothing moves ends, and one in mid-round goes on there."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import toy_family
from toy_family import TOY, LeastSquares, Sweeping, ToyModel, ToyProblem

from amtl_cvx import families
from amtl_cvx.coordinator import Part, half_step, rounds, start_run
from amtl_cvx.options import Options
from amtl_cvx.solution import Record, Status
from amtl_cvx.subproblems import HalfStep
from amtl_cvx.tasks import TaskSet


def problem() -> ToyProblem:
    """Two tasks of five rows."""
    rng = np.random.default_rng(3)
    tasks = TaskSet.from_matrix(rng.normal(size=(5, 2)), rng.normal(size=(5, 2)))
    return ToyProblem(tasks, ToyModel(k=1, decay=0.1))


def rounds_descend_and_go_on() -> None:
    """A rise is not taken, the first part moves first, a step back is no progress, mid-round is kept."""
    families.register(TOY)

    class Off:
        def __init__(self, block: str) -> None:
            self.block = block

        def solve(self, point: Any) -> HalfStep:
            value, told = LeastSquares(self.block).solve(point)
            return HalfStep(value + 1.0, told)

    def best_then(step: type) -> list[Part]:
        return [
            Part(block=name, step=step(name), gap=lambda point, name=name: toy_family.gap(name, point))
            for name in TOY.blocks
        ]

    run = start_run(problem(), Options(), method=Sweeping())
    for part in best_then(LeastSquares):
        half_step(run, part, fresh=part.block == "L")
    J, before = run.point.objective, run.point
    half_step(run, best_then(Off)[0], fresh=True)
    assert run.point is before and not run.moved and run.history[-1].solver_status.endswith("not taken")
    assert run.point.objective == J
    whole = start_run(problem(), Options(), method=Sweeping())
    status = rounds(whole, best_then(LeastSquares), most=3, phase="rounds", ended=lambda: None)
    steps = [record.step for record in whole.history]
    assert status is Status.ROUND_LIMIT and steps == ["L", "S", "b"] * 3
    for count in (1, 2, 4):
        seen = itertools.count(1)

        def stop(record: Record, seen: Any = seen, count: int = count) -> None:
            if next(seen) == count:
                raise KeyboardInterrupt

        stopped = Sweeping().run(problem().tasks, problem().model, Options(callback=stop, max_rounds=3))
        again = start_run(problem(), Options(start=stopped.state), method=Sweeping())
        rounds(again, best_then(LeastSquares), most=3, phase="rounds", ended=lambda: None)
        assert [record.step for record in again.history] == steps
        assert again.point.objective == whole.point.objective
