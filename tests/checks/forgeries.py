"""False proofs that the stand-alone checker has to reject."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from cases import random_tasks

from amtl_cvx.enclosure import checker, enclose
from amtl_cvx.losses import Squared
from amtl_cvx.tasks import TaskSet
from checks.enclosure import checked, instance
from checks.points import amtl, fitted
from checks.rational import exact_J


@functools.cache
def proof() -> dict[str, Any]:
    tasks, model, W, B = instance()
    loaded: dict[str, Any] = json.loads(json.dumps(enclose(tasks, model, W, B, starts=1).proof))
    return loaded


@functools.cache
def of_two_features() -> dict[str, Any]:
    """A sound proof with tasks of different scale, so that no two radii are equal."""
    tasks = random_tasks(np.random.default_rng(5), d=2, counts=(6, 9))
    tasks = TaskSet.from_arrays([tasks[0].X * [1.0, 4.0], tasks[1].X], [task.y for task in tasks])
    model = amtl(Squared(), mu=0.1, coupling=1.0, c=(0.5, 2.0))
    W, B = fitted(tasks, model)
    loaded: dict[str, Any] = json.loads(json.dumps(enclose(tasks, model, W, B, starts=1).proof))
    return loaded


@functools.cache
def of_sums() -> dict[str, Any]:
    """A sound proof of summed losses, in which the number of rows has no part."""
    tasks, model, W, B = instance()
    summed = amtl(Squared(reduction="sum"), mu=model.mu, coupling=model.coupling, c=(0.5, 2.0))
    loaded: dict[str, Any] = json.loads(json.dumps(enclose(tasks, summed, W, B, starts=1).proof))
    return loaded


def _changed(**changes: Any) -> dict[str, Any]:
    return {**proof(), **changes}


def _forgeries() -> Iterator[tuple[str, dict[str, Any]]]:
    """False proofs, each with the bounds that a checker without one of its tests would find."""
    sound = proof()
    upper = Fraction(sound["upper"])
    yield "lower raised", _changed(lower=str(Fraction(sound["lower"]) + Fraction(1, 2**300)))
    yield "unrounded", _changed(lower=str(upper))
    yield "upper lowered", _changed(upper=str(upper - Fraction(1, 2**300)))
    for k in range(4):
        small = [str(Fraction(r) / (2 if i == k else 1)) for i, r in enumerate(sound["radius"])]
        yield f"radius {k}", _claimed(_changed(radius=small))
        yield (
            f"radius {k} negative",
            _claimed(_changed(radius=["-" + r if i == k else r for i, r in enumerate(sound["radius"])])),
        )
    T, d = len(sound["tasks"]), len(sound["W"])
    for k, (s, t) in enumerate(((s, t) for s in range(T) for t in range(T) if s != t), T * d):
        below = Fraction(sound["B"][s][t]) + Fraction(1, 1000)  # down to 0, not up to the end of the box
        if below > Fraction(sound["radius"][k]) * Fraction(9, 10):
            continue  # that is the longer side
        one_side = [str(below) if i == k else r for i, r in enumerate(sound["radius"])]
        yield f"radius {k} of one side", _claimed(_changed(radius=one_side))
    wide = [str(100 * Fraction(r)) for r in sound["radius"]]
    yield (
        "negative B",
        _claimed(_changed(B=[["0", "-1/100"], ["1/2", "0"]], radius=wide, level=str(2 * upper))),
    )
    yield "diagonal", _claimed(_changed(B=[["1/100", sound["B"][0][1]], [sound["B"][1][0], "0"]]))
    yield "level below J", _claimed(_changed(level=str(upper * Fraction(999, 1000))))
    yield "negative squares", _claimed(_changed(unit="-" + sound["unit"]))
    yield "mu", _claimed(_changed(mu=float(2 * float.fromhex(sound["mu"])).hex(), level=sound["level"]))
    other = [dict(block) for block in sound["blocks"]]
    other[0]["of"] = [-1]
    yield "negative index", _claimed(_changed(blocks=other))
    beyond = [*sound["blocks"], {"of": "1", "basis": [[99]], "factor": [[1]]}]
    yield "unknown variable", _claimed(_changed(blocks=beyond))
    yield "one part proved, the other not", _claimed(in_two_parts([]), least=max)
    of_the_cut = {"of": [len(sound["radius"]) - T * d + 1], "basis": [[]], "factor": [[2 ** sound["bits"]]]}
    yield (
        "the part below taken for that above",
        _claimed(in_two_parts([*sound["blocks"], of_the_cut]), below=Fraction(1)),
    )
    more = [{**task, "n": task["n"] + 1} for task in of_sums()["tasks"]]
    yield "a row that is not there", {**of_sums(), "tasks": more}
    yield "a cut of inequality -1", _claimed({**in_two_parts(sound["blocks"]), "cut": [-1, "1/8"]})


def in_two_parts(below: list[dict[str, Any]]) -> dict[str, Any]:
    """The sound proof with its squares above a cut of the first edge, and `below` below it."""
    sound = proof()
    changed = {
        **sound,
        "cut": [0, "1/8"],
        "above": {"blocks": sound["blocks"]},
        "below": {"blocks": below},
    }
    del changed["blocks"]
    return changed


def _claimed(
    forged: dict[str, Any], *, least: Callable[..., Fraction] = min, below: Fraction = Fraction(-1)
) -> dict[str, Any]:
    """The forged proof with the bounds that its own squares leave, computed here without any test of them.

    `least` joins the bounds of two parts, and the inequality of the part below a cut is h - at times `below`.
    """
    problem = checker.Problem(forged)
    T, d, edges = problem.T, problem.d, problem.edges
    W, B = ([[Fraction(x) for x in row] for row in forged[name]] for name in "WB")
    radius = [Fraction(r) for r in forged["radius"]]
    centre = [x for row in W for x in row] + [B[s][t] for s, t in edges]
    z = [{(): c, (k,): r} for k, (c, r) in enumerate(zip(centre, radius, strict=True))]
    J, losses = problem.objective(
        [z[i * T : (i + 1) * T] for i in range(d)], dict(zip(edges, z[d * T :], strict=True))
    )
    level, minima = Fraction(forged["level"]), _minima(forged)
    delta = level - sum(minima)
    linear = [checker.scale(h, 1 / r) for h, r in zip(z[d * T :], radius[d * T :], strict=True)]
    spent = (
        checker.scale(h, -problem.mu * minima[s] / delta) for h, (s, _) in zip(z[d * T :], edges, strict=True)
    )
    linear.append(checker.add({(): Fraction(1)}, *spent))
    sublevel = checker.scale(
        checker.add({(): level}, *(checker.scale(loss, Fraction(-1)) for loss in losses)), 1 / delta
    )
    weights = {"1": {(): Fraction(1)}, "sublevel": sublevel}
    unit = Fraction(forged["unit"]) / 4 ** forged["bits"]
    excess = checker.add(J, {(): -J[()]})

    def value(cell: dict[str, Any], linear: list[checker.Poly]) -> Fraction:
        if "cut" in cell:
            side = checker.add(linear[cell["cut"][0]], {(): -Fraction(cell["cut"][1])})
            above = value(cell["above"], [*linear, side])
            return least(above, value(cell["below"], [*linear, checker.scale(side, below)]))
        total = []
        for block in cell["blocks"]:
            of = block["of"]
            weight = (
                weights[of]
                if isinstance(of, str)
                else functools.reduce(checker.product, [linear[k] for k in of])
            )
            total.append(checker.product(checker.square(block["basis"], block["factor"]), weight))
        rest = checker.add(excess, checker.scale(checker.add(*total), -unit))
        return rest[()] - sum(abs(value) for monomial, value in rest.items() if monomial)

    return {**forged, "lower": str(J[()] + value(forged, linear)), "upper": str(J[()])}


def _minima(forged: dict[str, Any]) -> list[Fraction]:
    """m_t of one feature: c_t / n_t (k - h^2 / G)."""
    found = []
    for task, c in zip(forged["tasks"], forged["task_weights"], strict=True):
        x = [Fraction(float.fromhex(row[0])) for row in task["X"]]
        y = [Fraction(float.fromhex(value)) for value in task["y"]]
        G, h = sum(a * a for a in x), sum(a * b for a, b in zip(x, y, strict=True))
        found.append(Fraction(float.fromhex(c)) / task["n"] * (sum(b * b for b in y) - h * h / G))
    return found


@functools.cache
def forgeries() -> tuple[tuple[str, dict[str, Any]], ...]:
    return tuple(_forgeries())


def checker_rejects_forgeries() -> None:
    tasks, model, _, _ = instance()
    lower, upper = checked(proof())
    exact = exact_J(tasks, model, *([[Fraction(x) for x in row] for row in proof()[name]] for name in "WB"))
    assert upper == exact and 0 < upper - lower < upper / 10**9
    assert checked(of_two_features()) == tuple(Fraction(of_two_features()[k]) for k in ("lower", "upper"))
    assert checked(of_sums()) == tuple(Fraction(of_sums()[k]) for k in ("lower", "upper"))
    assert checked(in_two_parts(proof()["blocks"])) == (lower, upper)
    for name, forged in forgeries():
        try:
            checker.check(forged)
        except ValueError:
            continue
        raise AssertionError(f"the checker accepts a forged proof: {name}")
    assert Fraction(_changed()["lower"]) == lower
