"""How the search for an enclosure ends and where it cuts: silent solvers, endless lower points, ranges."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import ModuleType
from typing import Any

import literal
import numpy as np
import pytest
from cases import SourceGroupL2, random_tasks
from checks.enclosure import evaluate, instance
from checks.points import amtl

from amtl_cvx.enclosure import (
    cells,
    checker,
    cuts,
    derive_box,
    enclose,
    polynomial,
    relaxation,
    rounding,
    stored,
)
from amtl_cvx.enclosure import point as point_module
from amtl_cvx.enclosure.cells import LowerPoint, excess_of
from amtl_cvx.enclosure.cuts import halves
from amtl_cvx.enclosure.exact import ExactProblem, exact_matrix
from amtl_cvx.enclosure.point import ExactPoint, exact_point
from amtl_cvx.enclosure.polynomial import Scaled, edges_of
from amtl_cvx.enclosure.scip import _Program, claim
from amtl_cvx.enclosure.sublevel import derive_bounds
from amtl_cvx.errors import DataError, NotCertifiable
from amtl_cvx.losses import Logistic, Squared, SquaredHinge
from amtl_cvx.problem import Problem
from amtl_cvx.tasks import TaskSet

search: ModuleType = __import__("sys").modules[enclose.__module__]


def scaled_instance() -> tuple[ExactProblem, ExactPoint, Scaled]:
    tasks, model, W, B = instance()
    problem = ExactProblem.read(tasks, model)
    point = exact_point(problem, W, B)
    box = derive_box(tasks, model, point.objective)
    return problem, point, polynomial.scale_problem(problem, box, exact_matrix(W), exact_matrix(B))


def test_a_solver_without_an_answer_bounds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, point, scale = scaled_instance()
    excess = excess_of(scale, point.objective, Fraction(4))
    problem = relaxation.relax(relaxation.blocks_of(scale, split=True, reduced=False))
    monkeypatch.setattr(relaxation, "_solve", lambda *args, **settings: False)
    assert relaxation.margin(problem, excess)[0] == -np.inf
    assert relaxation.bound(problem, excess).gamma == -np.inf
    tasks, model, W, B = instance()
    with pytest.raises(NotCertifiable, match="no bound"):
        enclose(tasks, model, W, B, starts=0)


def test_margins_are_at_most_one_and_bounds_too() -> None:
    """Constants: 100 lies above the limit 1 of both, -3 is its own bound and has no margin."""
    _, point, scale = scaled_instance()
    problem = relaxation.relax(relaxation.blocks_of(scale, split=True, reduced=False))
    high = {(): Fraction(100)}
    found, _ = relaxation.margin(problem, high)
    assert 1.0 - 1e-6 <= found <= 1.0 + 1e-6
    assert relaxation.bound(problem, high).gamma == pytest.approx(1.0, abs=1e-6)
    low = {(): Fraction(-3)}
    assert relaxation.margin(problem, low)[0] < 0.0
    assert relaxation.bound(problem, low).gamma == pytest.approx(-3.0, rel=1e-5)


@pytest.mark.parametrize("restarts", [1, 3])
def test_lower_points_without_end_end_the_search(restarts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every search that looks for a lower point finds one, the last one does not look."""
    tasks, model, W, B = instance()
    problem = ExactProblem.read(tasks, model)
    said: list[str] = []

    def always(prover: cells.Prover, *_: Any) -> None:
        if prover.descend is not None:
            raise LowerPoint(exact_point(problem, W, B))

    monkeypatch.setattr(search, "RESTARTS", restarts)
    monkeypatch.setattr(cells.Prover, "_proof", lambda *_: None)
    monkeypatch.setattr(cells.Prover, "_below", lambda *_: True)
    monkeypatch.setattr(cells.Prover, "_look_lower", always)
    found = enclose(tasks, model, W, B, starts=0, cells=1, observe=said.append)
    assert len(said) == restarts and all(line.startswith("a lower point") for line in said)
    assert found.lower <= found.upper and not found.tight


def test_the_range_of_a_variable_is_that_of_its_cuts() -> None:
    """Cuts of B[0, 1] one after another: the ends of a part are the sharpest of its inequalities."""
    _, _, scale = scaled_instance()
    k = scale.edges[0]

    def at_end(part: Scaled, x: float) -> list[Fraction]:
        z = [Fraction(0)] * len(scale.radius)
        z[k] = Fraction(x)
        return [evaluate(h, z) for h in part.linear.values() if set(h) - {()} == {(k,)}]

    low, high = cuts._range(scale, k)
    assert high == np.inf and at_end(scale, low) == [pytest.approx(0.0, abs=1e-15)]
    above, below = halves(scale, 0, Fraction(3, 8))
    inner_above, inner_below = halves(above, 0, Fraction(1, 2))
    for part, bounded in ((above, (True, False)), (inner_above, (True, False)), (inner_below, (True, True))):
        low, high = cuts._range(part, k)
        assert (np.isfinite(low), np.isfinite(high)) == bounded
        assert min(at_end(part, low)) == pytest.approx(0.0, abs=1e-15)
        assert not bounded[1] or min(at_end(part, high)) == pytest.approx(0.0, abs=1e-15)
    cut = cuts._range(below, k)[1]
    assert cut == pytest.approx(float(Fraction(3, 8) - scale.centre[k] / scale.radius[k]))
    assert cuts._range(replace(scale, linear={}), k) == (-np.inf, np.inf)


def test_the_hessian_of_a_polish_is_that_of_j() -> None:
    """Differences of the literal gradient over a whole unit: exact, for J is quadratic in every variable."""
    tasks, model, W, B = instance()
    assert (B[0, 1], B[1, 0]) > (0.0, 0.0)
    z = [Fraction(v) for v in [*W.ravel().tolist(), *(float(B[edge]) for edge in edges_of(2))]]

    def slopes(values: np.ndarray) -> np.ndarray:
        C = np.array([[0.0, values[2]], [values[3], 0.0]])
        G_W, G_B = literal.gradients(tasks, model, values[:2].reshape(1, 2), C)
        return np.array([*G_W.ravel(), G_B[0, 1], G_B[1, 0]])

    x = np.array([float(v) for v in z])
    expected = np.column_stack([(slopes(x + e) - slopes(x - e)) / 2.0 for e in np.eye(4)])
    for free in ([0, 1, 2, 3], [0, 1], [0, 1, 3]):
        found = point_module._hessian(ExactProblem.read(tasks, model), z, free)
        np.testing.assert_allclose(found, expected[np.ix_(free, free)], rtol=0, atol=1e-11)


def test_gram_matrices_are_put_on_the_identity_to_their_last_digits() -> None:
    """The polynomial less m'G m weight, by loops at rational points: a few units of G are left of it."""
    _, point, scale = scaled_instance()
    excess = excess_of(scale, point.objective / 2, Fraction(4))  # positive all over, the constant included
    blocks = relaxation.blocks_of(scale, split=True, reduced=False)
    problem = relaxation.relax(blocks)
    t, stacked = relaxation.margin(problem, excess)
    assert t > 0
    for bits in (30, 60):
        grams = rounding.project(problem, excess, stacked, bits=bits)
        for _ in range(3):
            x = [Fraction(int(k), 8) for k in np.random.default_rng(bits).integers(-8, 9, size=4)]
            total = Fraction(0)
            for block, gram in zip(blocks, grams, strict=True):
                m = [evaluate({monomial: Fraction(1)}, x) for monomial in block.basis]
                assert all(gram[i][j] == gram[j][i] for i in range(len(m)) for j in range(i))
                square = sum(gram[i][j] * m[i] * m[j] for i in range(len(m)) for j in range(len(m)))
                total += evaluate(block.weight, x) * square / 4**bits
            left = abs(evaluate(excess, x) - total)
            assert left <= Fraction(64 * len(problem.rows) ** 2, 4**bits)


@pytest.mark.parametrize("off", [-64, -63, 0, 63, 64, 1000])
def test_less_than_64_units_a_row_are_left(off: int) -> None:
    """The constant 1 as g * 1^2 in units of 2^-16, one row, g known to be `off` of them away."""
    one = {(): Fraction(1)}
    problem = relaxation.relax([relaxation.Block(of="1", weight=one, basis=((),))])
    (((found,),),) = rounding.project(problem, one, np.array([1.0 + off / 2**16]), bits=8)
    assert abs(found - 2**16) < 64


def test_a_stored_proof_counts_its_leaves_and_is_of_one_loss_and_one_penalty() -> None:
    leaf: dict[str, Any] = {}
    cut = {"cut": [0, "1/2"], "above": leaf, "below": leaf}
    cells_ = [stored._cells(each) for each in (leaf, cut, {**cut, "below": cut}, {**cut, "above": cut})]
    assert cells_ == [1, 2, 3, 3]
    rng = np.random.default_rng(39)
    tasks = random_tasks(rng, loss="logistic", d=1, counts=(5, 6))
    model = amtl(Squared(), mu=0.5, coupling=1.0, c=(0.5, 2.0))
    proof = enclose(tasks, model, np.zeros((1, 2)), np.zeros((2, 2)), starts=1).proof
    assert stored.difference(proof, tasks, model) == ""
    for other in (
        replace(model, loss=Logistic()),
        replace(model, transfer=SourceGroupL2(mu=0.5)),
        replace(model, coupling=1.0 + 2.0**-52),
        replace(model, task_weights=(0.5, 2.0 + 2.0**-51)),
    ):
        assert stored.difference(proof, tasks, other) != ""


def test_a_stored_proof_may_take_a_hundred_times_the_steps_of_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks, model, W, B = instance()
    found = enclose(tasks, model, W, B, starts=0)
    checker.check(found.proof, 10**9)
    taken = 10**9 - checker.left[0]
    monkeypatch.setattr(checker, "STEPS", Fraction(taken, 100))
    assert stored.checked_bounds(found.proof, tasks, model) == (found.lower, found.upper)
    monkeypatch.setattr(checker, "STEPS", Fraction(taken - 1, 100))
    with pytest.raises(DataError, match="no end within the steps"):
        stored.checked_bounds(found.proof, tasks, model)


def test_roots_of_weights_below_every_digit_are_enclosed() -> None:
    """1/sqrt(4^k) = 2^-k, on both sides of the last of the 128 digits."""
    for k in (127, 128, 129, 140):
        low, high = checker.ends(f"1/sqrt({4**k})")
        assert low <= Fraction(1, 2**k) < high and high - low == Fraction(1, 2**128)


@pytest.mark.parametrize(("T", "d", "reason"), [(2, 250, "rank"), (3, 167, "too many")])
def test_scip_is_given_500_unknowns_and_no_more(T: int, d: int, reason: str) -> None:
    """500 and 501 unknowns, rows too few for a box: which of the two is told."""
    pytest.importorskip("pyscipopt", reason="the extra [global] is not installed")
    tasks = random_tasks(np.random.default_rng(40), loss="logistic", d=d, counts=(4,) * T)
    with pytest.raises(NotCertifiable, match=reason):
        claim(Problem(tasks, amtl(Logistic(), c="equal")).at(np.zeros((d, T)), np.zeros((T, T))))


def test_a_claim_of_ridge_is_as_wide_as_its_ends_are_apart() -> None:
    """One task, one feature: y'y/n - (x'y/n)^2 / (x'x/n + coupling) by hand lies between the ends."""
    pytest.importorskip("pyscipopt", reason="the extra [global] is not installed")
    x, y = np.array([1.0, 2.0, -1.0]), np.array([1.0, 1.0, 0.5])
    tasks, model = TaskSet.from_arrays([x[:, None]], [y]), amtl(Squared(), coupling=0.5, c="equal")
    least = y @ y / 3 - (x @ y / 3) ** 2 / (x @ x / 3 + 0.5)
    found = claim(Problem(tasks, model).at(np.zeros((1, 1)), np.zeros((1, 1))))
    assert found.lower <= least * (1 + 1e-9) and found.upper >= least * (1 - 1e-9)
    assert found.width == pytest.approx((found.upper - found.lower) / found.upper, abs=1e-15)
    assert found.width < 1e-3


def hinge_parabola(size: float, *, T: int) -> TaskSet:
    """Targets 1, 1, -1 at x = size: the mean squared hinge is (u - 1/3)^2 + 8/9 while |u = size w| <= 1."""
    return TaskSet.from_arrays([np.full((3, 1), size)] * T, [np.array([1.0, 1.0, -1.0])] * T)


@pytest.mark.parametrize("size", [1.0, 1e5])
def test_the_bounds_of_a_squared_hinge_are_those_of_its_parabola(size: float) -> None:
    """J(0) = 2 leaves (u - 1/3)^2 <= 2 - 16/9 of each of two tasks."""
    model = amtl(SquaredHinge(), mu=0.5, coupling=1.0, c="equal")
    bounds = derive_bounds(hinge_parabola(size, T=2), model, 2.0)
    for found, side in ((bounds.W_low, -1), (bounds.W_high, 1)):
        outwards = side * (found - (1 / 3 + side * np.sqrt(2 / 9)) / size)
        assert (outwards > 0).all() and (outwards < 1e-5).all()
    assert (bounds.minima < 8 / 9).all() and (bounds.minima > 8 / 9 * (1 - 2e-6)).all()


def test_a_claim_of_a_squared_hinge_is_the_least_of_its_parabola() -> None:
    """(w - 1/3)^2 + 8/9 + w^2 / 2 is least at 2/9, 25/27 there."""
    pytest.importorskip("pyscipopt", reason="the extra [global] is not installed")
    tasks, model = hinge_parabola(1.0, T=1), amtl(SquaredHinge(), coupling=0.5, c="equal")
    found = claim(Problem(tasks, model).at(np.zeros((1, 1)), np.zeros((1, 1))))
    assert found.closed and found.lower <= 25 / 27 * (1 + 1e-9)
    assert found.upper == pytest.approx(25 / 27, rel=1e-5) and found.width < 1e-5


def test_scip_knows_bounds_of_all_that_it_branches_on() -> None:
    """Products are relaxed between the bounds of their factors: without one there is no relaxation."""
    pyscipopt = pytest.importorskip("pyscipopt", reason="the extra [global] is not installed")
    tasks, model, W, B = instance()
    bounds = derive_bounds(tasks, model, model.objective(tasks, W, B))
    scip = _Program(pyscipopt.Model(), tasks, model, bounds).scip
    ends = [(v.getLbOriginal(), v.getUbOriginal()) for v in scip.getVars()]
    assert len(ends) == 2 + 4 + 3 * 2 + 2 + 1  # W, B, three of each task, the residuals, their squares
    assert not any(scip.isInfinity(abs(end)) for pair in ends for end in pair)
