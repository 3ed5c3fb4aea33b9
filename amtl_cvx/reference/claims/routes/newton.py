"""Newton's method as a second derivation for AMTL: from elsewhere, to 40 digits with residuals in balls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import numpy as np
from flint import arb, arb_mat, ctx

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.certificate.atom_model import AtomModel
from amtl_cvx.certificate.local_model import LocalModel
from amtl_cvx.digits.decimals import decimal
from amtl_cvx.digits.krawczyk import largest
from amtl_cvx.digits.proof import free_atoms
from amtl_cvx.digits.system import FirstOrderSystem, unknowns
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims.balls import DPS, newton_weights, stacked, system_at
from amtl_cvx.reference.claims.routes.again import Again, start_words

DIGITS, GOAL = 45, 50
LARGE = 1000
"""Entries of W from which on the farthest starts are not tried."""
_STEPS, _CHORDS = 40, 25
_SETTLED = 1e-11


def joint_again(point: Point, moves: Sequence[float], moved: Callable[[Array, float, str], Array]) -> Again:
    """W and B of a J with a system in balls, from the farthest start that leads to the same active set."""
    if not point.model.loss.smooth:
        return _kinked_again(point, moves, moved)
    free = point.coefficients > point.problem.atoms.lo if point.problem.atoms is not None else None
    assert free is not None
    large = point.W.size > LARGE  # a step takes seconds there, and far starts lead elsewhere
    for part in (each for each in moves if not large or each <= 1e-3):
        start = _elsewhere(point, part, moved)
        found = _newton(start, free)
        if found is None:
            continue
        with ctx.workdps(DPS):
            return _chords(found, part)
    raise NotCertifiable(
        "Newton's method does not lead back to this active set from any start that was tried"
    )


def _elsewhere(point: Point, part: float, moved: Callable[[Array, float, str], Array]) -> Point:
    """The point with its free entries moved by a part of themselves; atoms stay above their bounds."""
    atoms = point.problem.atoms
    assert atoms is not None
    above = point.coefficients - atoms.lo
    x = atoms.lo + np.maximum(moved(above, part, "B"), 0.0)
    return point.at(W=moved(point.W, part, "W"), B=atoms.graph(x))


def _newton(point: Point, free: Mask) -> LocalModel | None:
    """The model at the end of Newton's method in doubles on the free entries; None where these change."""
    for _ in range(_STEPS):
        local = AtomModel(point)
        if not np.array_equal(local.free, free):
            return None
        try:
            step = local.newton() if local.factor is not None else _indefinite(local)
        except np.linalg.LinAlgError:
            return None
        move_W, move = local.moves(step)
        size = max(
            float(np.abs(move_W).max()) / (float(np.abs(point.W).max()) or 1.0),
            float(np.abs(move).max(initial=0.0)) / (float(np.abs(point.B).max(initial=0.0)) or 1.0),
        )
        if not np.isfinite(size) or size > 1e3:
            return None
        if size < _SETTLED:
            return local
        room = local.room(move)
        if room < 1.0:
            step = 0.5 * room * step
        point = local.moved(step)
    return None


def _indefinite(local: LocalModel) -> Array:
    """A step of Newton's method where the Hessian has negative curvature."""
    gradient = np.r_[local.point.gradient_W.T.ravel(), local.slopes]
    if local.scaled.n > 1500:
        raise np.linalg.LinAlgError
    step: Array = -np.linalg.solve(local.S, gradient / local.root)
    return step


def _chords(local: LocalModel, part: float) -> Again:
    """On to 40 digits with the factor of doubles."""
    point = local.point
    free = free_atoms(point)
    order = np.argsort(np.argsort(free))
    system = FirstOrderSystem(point.tasks, point.model, free)
    x, n = unknowns(point.W, point.coefficients, free), point.W.size
    goal, before = arb(10) ** -GOAL, None
    for _ in range(_CHORDS):
        g = system.gradient(x).mid()
        size = largest(g)
        if size == 0:
            break
        unit = arb(2) ** int(np.floor(np.log2(float(size.mid()))))
        G = np.array([float((v / unit).mid()) for v in g.entries()])
        sorted_G = np.r_[G[:n], G[n:][np.argsort(free)]]
        if local.factor is not None:
            step = local.factor.solve(sorted_G / local.root) / local.root
        else:
            step = np.linalg.solve(local.S, sorted_G / local.root) / local.root
        move = np.r_[step[:n], step[n:][order]]
        x = arb_mat(
            x.nrows(), 1, [(a - arb(float(b)) * unit).mid() for a, b in zip(x.entries(), move, strict=True)]
        )
        length = arb(float(np.abs(move).max())) * unit
        if length < goal * largest(x).max(arb(1)):
            break
        if before is not None and not 2 * length < before:
            raise NotCertifiable("Newton's method does not settle: the Hessian is nearly singular")
        before = length
    else:
        raise NotCertifiable("Newton's method does not settle: the Hessian is nearly singular")
    return _decimals(
        system,
        x,
        f"Newton's method in balls from {start_words(part)}",
    )


def _decimals(system: FirstOrderSystem, x: arb_mat, how: str) -> Again:
    at = system.state(x)
    W, B = (
        [["0" if v.is_zero() else decimal(v.mid(), DIGITS) for v in row] for row in block.tolist()]
        for block in (at.W, at.B)
    )
    return Again({"W": W, "B": B}, decimal(system.objective(x).mid(), DIGITS), how)


def _kinked_again(point: Point, moves: Sequence[float], moved: Callable[[Array, float, str], Array]) -> Again:
    """The same with rows on kinks: their multipliers are unknowns as well, and are found from the start."""
    from amtl_cvx.digits.kinks import near_point
    from amtl_cvx.digits.proof import check_size

    check_size(point.tasks, point.W.size + int((point.B != 0.0).sum()))
    failure: NotCertifiable | None = None
    for part in (each for each in moves if each <= 1e-3):
        start = _elsewhere(point, part, moved)
        with ctx.workdps(DPS):
            try:
                system, x, _ = near_point(start, free_atoms(start), arb(10) ** -GOAL)
            except NotCertifiable as refusal:
                failure = refusal
                continue
            found = _decimals(
                system,
                x,
                f"Newton's method in balls from {start_words(part)}",
            )
        W = np.array([[float(v) for v in row] for row in found.blocks["W"]])
        if np.abs(W - point.W).max() <= 1e-6 * np.abs(point.W).max():
            return found
    raise failure or NotCertifiable("Newton's method leads elsewhere from every start that was tried")


def weights_again(point: Point, task: int | None) -> Again:
    """W, or w of one task, by Newton's method from 0."""
    from amtl_cvx.subproblems.numpy_steps import minimised

    with ctx.workdps(DPS):
        system, rest = system_at(point)
        if task is None:
            start = minimised(point.at(W=np.zeros_like(point.W)))
        else:
            start = _task_from_zero(point, task)
        found = newton_weights(point, system, rest, task, start=start)
        if task is None:
            block = {"W": [[decimal(v, DIGITS) for v in row] for row in found.middle.tolist()]}
            J = system.objective(stacked(found.middle, rest))
        else:
            block = {"w": [[decimal(v, DIGITS)] for v in found.middle.entries()]}
            rows = [[arb(float(v)) for v in row] for row in point.W.tolist()]
            for row, v in zip(rows, found.middle.entries(), strict=True):
                row[task] = v
            J = system.objective(stacked(arb_mat(rows), rest))
        return Again(block, decimal(J.mid(), DIGITS), "Newton's method from 0, to 70 digits in balls")


def _task_from_zero(point: Point, task: int) -> Point:
    """w of one task by damped Newton steps from 0."""
    from amtl_cvx.subproblems.coupled import task_step

    step, w = task_step(point, task), np.zeros((point.tasks.d, 1))
    k = float(step.Q[0, 0])
    for _ in range(100):
        gradient = step.pull(w) + step.coupling(w)
        H = float(step.a[0]) * point.model.loss.hessian(step.tasks[0], w[:, 0])
        move: Array = -np.asarray(np.linalg.solve(H + 2.0 * k * k * np.eye(len(w)), gradient))
        slope, value = float((gradient * move).sum()), step.value(w)
        length = point.model.loss.step_length(step.tasks, move)
        while length > 1e-12 and step.value(w + length * move) > value + 1e-4 * length * slope + 1e-14 * abs(
            value
        ):
            length /= 2.0
        w = w + length * move
        if -slope <= 1e-24 * max(abs(value), 1e-300) or step.relative(w) <= 1e-13:
            break
    W = point.W.copy()
    W[:, task] = w[:, 0]
    return point.at(W=W)


def task_again(point: Point, task: int) -> Again:
    """w of one task from 0 in doubles, where its loss has no weight in balls."""
    end = _task_from_zero(point, task)
    return Again({"w": end.W[:, task]}, end.objective, "Newton's method from 0, in doubles")


def kinked_weights_again(point: Point) -> Again:
    """W of a loss or a penalty on W with kinks, from 0: by exact rationals, or by the prox in doubles."""
    from amtl_cvx.digits import exact_weights
    from amtl_cvx.reference.claims.step_digits import RATIONAL
    from amtl_cvx.subproblems.numpy_steps import minimised

    found = None
    if point.model.prox_omega is None and point.W.size <= RATIONAL:
        with contextlib.suppress(NotCertifiable):
            found = exact_weights(point.tasks, point.model, point.B)
    if found is not None:
        with ctx.workdps(DPS):
            W = [[decimal(arb(v.numerator) / v.denominator, DIGITS) for v in row] for row in found.W]
        near = np.array([[float(v) for v in row] for row in found.W])
        return Again({"W": W}, point.at(W=near).objective, "exact rationals from face to face")
    end = minimised(point.at(W=np.zeros_like(point.W)))
    return Again({"W": end.W}, end.objective, "from W = 0, in doubles")
