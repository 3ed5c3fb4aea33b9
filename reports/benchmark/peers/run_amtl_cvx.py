"""amtl_cvx itself: `fit` with its default refinement, the alternation alone, or another engine.

`--refine 0` leaves the refinement out; `--engine NAME` is handed to `Options` where it has that field. A
`Record` of the history carries the residual of the very judge of this benchmark, but not W and B, so each
step's residual is taken from there (history.jsonl) and the last point is written for the judge to confirm.
"""

from __future__ import annotations

import argparse
import json
import resource
from dataclasses import asdict

import clarabel  # noqa: F401  (loaded before the clock starts)
import osqp  # noqa: F401
import protocol
import scs  # noqa: F401

import amtl_cvx.amtl.family  # noqa: F401
from amtl_cvx import LossWeightedL1, Model, Options, Squared, TaskSet, fit
from amtl_cvx.solution import Record

TOLERANCE = 1e-12


def work(problem: protocol.Problem, recorder: protocol.Recorder, arguments: argparse.Namespace) -> str:
    """One fit; it is interrupted when the seconds are used up."""
    history = (arguments.out / "history.jsonl").open("w", buffering=1)
    recorder.describe(exact_rounds=0)

    def note(record: Record) -> None:
        history.write(json.dumps(asdict(record) | {"seconds": recorder.seconds}) + "\n")
        if recorder.seconds > arguments.limit:
            raise KeyboardInterrupt

    tasks = TaskSet.from_arrays(problem.X, problem.y)
    model = Model(
        loss=Squared(reduction=problem.reduction),  # type: ignore[arg-type]
        transfer=LossWeightedL1(mu=problem.mu),
        coupling=problem.coupling,
    )
    chosen = {"engine": arguments.engine} if arguments.engine else {}
    options = Options(tol=TOLERANCE, max_rounds=10**6, refine=bool(arguments.refine), callback=note, **chosen)
    solution = fit(tasks, model, options=options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0  # kibibytes on Linux
    recorder.describe(set_up_seconds=solution.seconds["compile"], peak_MiB=peak)
    recorder.point(solution.history[-1].round, solution.W, solution.B)
    return solution.status.value


if __name__ == "__main__":
    packages = ("amtl-cvx", "cvxpy", "clarabel", "osqp", "scs", "numpy", "scipy")
    protocol.main(work, packages=packages, options={"refine": 1, "engine": ""})
