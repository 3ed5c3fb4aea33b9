"""What the package says of a point, held against the oracle: the only file here that imports the package.

A block's limit is max(tol J, rounding of J(0, 0)): J >= 0, and what is nothing beside J(0, 0) cannot be told
from 0. That is 16 eps of it for hinge and quantile, and (2^16 eps)^2 for losses that are squares near their
least value. A verdict is wrong if the point passes and

    W, B         a move of W (of B) alone lowers J by more than its limit
    entry W, B   moving one entry alone gains more than ENTRY of what its own task costs (`entries`)
    C3           it claims a strict local minimum, and J falls along a direction that the oracle shows

or if the package raises anything but its own errors. No answer within SECONDS is a refusal.
"""

from __future__ import annotations

import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from types import FrameType
from typing import Any

import entries
import numpy as np
import steps
from arithmetic import arb, reals
from blocks import gain_B, gain_W
from joint import around
from problem import Floats, Problem

from amtl_cvx import Model, TaskSet, certify, fit
from amtl_cvx.certificate import Certificate
from amtl_cvx.curriculum import certify_curriculum
from amtl_cvx.errors import AMTLError
from amtl_cvx.losses import make_loss
from amtl_cvx.options import Options
from amtl_cvx.solution import Solution
from amtl_cvx.transfer import LossWeightedL1

TOL, ENTRY = 1e-8, 1e-6
ROUNDING = {False: 2.0**-72, True: 2.0**-48}
"""Of J(0, 0), by whether the loss has kinks."""
SECONDS = 20
OPTIONS = Options(solve_limit=SECONDS / 4)
"""The default, but that no solver goes on in its thread when time is up."""
METHODS = {"joint": "alternating", "single-task": "stl", "curriculum": "curriculum"}


@dataclass(kw_only=True)
class Verdict:
    """One point: what the package said, what the oracle found, in parts of J."""

    what: str
    judged: str
    passes: bool | None = None
    level: str | None = None
    gain_W: float = 0.0
    gain_B: float = 0.0
    limit: float = TOL
    entry_W: float = 0.0
    entry_B: float = 0.0
    local: str = ""
    faults: list[str] = field(default_factory=list)
    words: str = ""
    seconds: float = 0.0
    point: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class OutOfTime(BaseException):
    """The package did not answer within `SECONDS`; not to be taken for an error of a solver."""


def package(problem: Problem) -> tuple[TaskSet, Model]:
    """The problem in the package's own terms."""
    label = problem.loss if problem.parameter is None else f"{problem.loss}:{problem.parameter!r}"
    model = Model(
        loss=make_loss(label, reduction=problem.reduction),
        transfer=LossWeightedL1(mu=problem.mu),
        coupling=problem.coupling,
        task_weights=problem.weights,
    )
    return TaskSet.from_arrays(problem.X, problem.y), model


def fitted(problem: Problem, judged: str) -> tuple[Verdict, Solution | None]:
    """A default fit, and the verdict on its point."""
    verdict = Verdict(what="fit", judged=judged)
    solution = _timed(verdict, lambda: fit(*package(problem), method=METHODS[judged], options=OPTIONS))
    if solution is not None:
        _judge(verdict, problem, solution.W, solution.B, solution.certificate, solution.order)
    return verdict, solution


def certified(
    problem: Problem, judged: str, what: str, W: Floats, B: Floats, order: tuple[int, ...] = ()
) -> Verdict:
    """The verdict on a given point."""
    verdict = Verdict(what=what, judged=judged)

    def ask() -> Certificate:
        tasks, model = package(problem)
        if judged == "curriculum":
            return certify_curriculum(tasks, model, W, B, order)
        return certify(tasks, model, W, B, kind=judged, level="C3" if judged == "joint" else "C2")

    certificate = _timed(verdict, ask)
    if certificate is not None:
        _judge(verdict, problem, W, B, certificate, order)
    return verdict


def _timed(verdict: Verdict, ask: Callable[[], Any]) -> Any:
    """The answer; None with the words, or the fault, where there is none."""

    def stop(_: int, __: FrameType | None) -> None:
        raise OutOfTime

    began, before = time.perf_counter(), signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return ask()
    except AMTLError as error:
        verdict.words = f"{type(error).__name__}: {error}"
    except OutOfTime:
        verdict.words = f"no answer in {SECONDS} s"
    except Exception as error:
        verdict.words = f"{type(error).__name__}: {error}"[:400]
        verdict.faults.append("crash")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        verdict.seconds = time.perf_counter() - began
    return None


def _judge(
    verdict: Verdict, problem: Problem, W: Floats, B: Floats, said: Certificate, order: tuple[int, ...]
) -> None:
    verdict.passes, verdict.level = bool(said.passes), said.level
    w, b = reals(W), reals(B)
    J = problem.J(w, b).mid()
    parts = _gains(verdict.judged, problem, w, b, order)
    limit = max(arb(TOL) * J, arb(ROUNDING[problem.kinked]) * problem.J0.mid(), key=lambda value: value.mid())
    verdict.gain_W, verdict.gain_B, verdict.limit = (_part(each, J) for each in (*parts, limit))
    if not said.passes:
        verdict.words = " | ".join([said.verdict(), *(f"{k}: {v}" for k, v in said.reasons.items())])
    if said.passes:
        verdict.faults += [
            f"{block} gains" for block, gain in zip("WB", parts, strict=True) if not gain <= limit
        ]
        if verdict.judged == "joint":
            _entries(verdict, problem, W, B)
    if said.level is not None and said.level >= "C3":
        local = around(problem, w, b)
        verdict.local = f"{local.word}: {local.why}"
        verdict.faults += ["C3"] * (local.word == "falls")
    if verdict.faults:
        verdict.point = {"W": W.tolist(), "B": B.tolist()}


def _entries(verdict: Verdict, problem: Problem, W: Floats, B: Floats) -> None:
    w, b = reals(W), reals(B)
    verdict.entry_W, verdict.entry_B = entries.worst_W(problem, w, b), entries.worst_B(problem, w, b)
    for block, worst in (("W", verdict.entry_W), ("B", verdict.entry_B)):
        if worst > ENTRY:
            verdict.faults.append(f"entry {block}")


def _gains(judged: str, problem: Problem, W: Any, B: Any, order: tuple[int, ...]) -> tuple[arb, arb]:
    if judged == "curriculum":
        return steps.gains(problem, W, B, order)
    feasible = all(B[e] >= 0 for e in np.ndindex(*B.shape))
    try:
        return gain_W(problem, W, B), gain_B(problem, W, B) if judged == "joint" and feasible else arb(0)
    except ArithmeticError:  # a loss beyond all numbers
        return arb("nan"), arb("nan")


def _part(value: arb, J: arb) -> float:
    return float((value / J).mid()) if J > 0 else float(value.mid())
