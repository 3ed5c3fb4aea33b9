"""The parts of an enclosure: exact arithmetic, the box of all low points, where a cell is cut."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from cases import random_tasks, random_transfer
from enclosed import amtl, zeros

from amtl_cvx import Logistic, TaskSet, fit
from amtl_cvx.enclosure import cells, cuts, derive_box, enclose, polynomial
from amtl_cvx.enclosure.exact import ExactProblem, exact_matrix, inverse, sqrt_above
from amtl_cvx.enclosure.point import polish
from amtl_cvx.enclosure.rounding import factor, value_below
from amtl_cvx.enclosure.zoom import Zoom
from amtl_cvx.errors import ModelError, NotCertifiable

# --- exact arithmetic -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_exact_objective_and_gradients_are_those_of_the_model(
    rng: np.random.Generator, reduction: Any
) -> None:
    tasks = random_tasks(rng, d=3, counts=(5, 6, 9))
    model = replace(amtl(reduction=reduction), task_weights="inverse-sqrt")
    W, B = rng.normal(size=(3, 3)), random_transfer(rng, 3)
    problem = ExactProblem.read(tasks, model)
    point = exact_matrix(W), exact_matrix(B)
    G_W, G_B = (np.array(G, dtype=float) for G in problem.gradients(*point))
    np.fill_diagonal(G_B, 0.0)
    assert float(problem.objective(*point)) == pytest.approx(model.objective(tasks, W, B), rel=1e-13)
    np.testing.assert_allclose(G_W, model.gradient_W(tasks, W, B), rtol=1e-11)
    np.testing.assert_allclose(G_B, model.gradient_B(tasks, W, B), rtol=1e-11, atol=1e-12)


def test_inverse_is_exact_and_refuses_a_singular_matrix(rng: np.random.Generator) -> None:
    A = exact_matrix(rng.normal(size=(4, 4)))
    found = inverse(A)
    assert found is not None
    columns = list(zip(*found, strict=True))
    product = [[sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in A]
    assert product == [[int(i == j) for j in range(4)] for i in range(4)]
    assert inverse(((Fraction(1), Fraction(2)), (Fraction(2), Fraction(4)))) is None


@pytest.mark.parametrize("value", ["0", "2", "1/3", "4", "1/1000000000000000003", "123456789123456789"])
def test_square_root_lies_above_and_close(value: str) -> None:
    exact = Fraction(value)
    root = sqrt_above(exact)
    assert root**2 >= exact
    assert root**2 <= exact * (1 + Fraction(1, 2**35))


def test_integer_cholesky(rng: np.random.Generator) -> None:
    R = rng.normal(size=(5, 5))
    gram = [[int(value * 4**60) for value in row] for row in (R @ R.T).tolist()]
    gram = [[gram[max(i, j)][min(i, j)] for j in range(5)] for i in range(5)]
    L = factor(gram)
    assert L is not None
    for i in range(5):
        for j in range(i + 1):
            error = gram[i][j] - sum(a * b for a, b in zip(L[i], L[j], strict=False))
            assert abs(error) < 2**60 * 20  # a few units 2^-60 in numbers of size 4^60
    assert factor([[4, 0], [0, -1]]) is None


def test_bound_of_a_polynomial_on_the_unit_box() -> None:
    rest = {(): Fraction(1), (0,): Fraction(-1, 2), (0, 1): Fraction(1, 4)}
    assert value_below(rest) == Fraction(1, 4)


def test_polish_reaches_digits_beyond_double(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, d=2, counts=(6, 9)), amtl()
    problem = ExactProblem.read(tasks, model)
    found = fit(tasks, model)
    point = polish(problem, found.W, found.B, bits=100)
    G_W, G_B = problem.gradients(point.W, point.B)
    free = [slope for row in G_W for slope in row] + [G_B[s][t] for s, t in point.support]
    assert max(map(abs, free)) < Fraction(1, 10**25)
    assert point.objective <= problem.objective(exact_matrix(found.W), exact_matrix(found.B))


# --- the box ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weights", ["equal", "inverse-sqrt", (0.5, 2.0, 1.5)])
def test_box_is_the_formula_of_the_document(rng: np.random.Generator, reduction: Any, weights: Any) -> None:
    """|w - what| <= sqrt(Delta (n_t/c_t) (X'X)^-1_ii), B[t, s] <= Delta / (mu c_t m_t), in doubles."""
    tasks = random_tasks(rng, d=3, counts=(6, 9, 12))
    model = replace(amtl(reduction=reduction), task_weights=weights)
    U = model.objective(tasks, *zeros(tasks))
    box = derive_box(tasks, model, Fraction(U))
    fits = [np.linalg.lstsq(task.X, task.y, rcond=None)[0] for task in tasks]
    n = [len(task.y) if reduction == "mean" else 1 for task in tasks]
    named = {"equal": [1, 1, 1], "inverse-sqrt": [len(task.y) ** -0.5 for task in tasks]}
    c = named.get(str(weights), weights)
    m = [c[t] / n[t] * ((task.y - task.X @ fits[t]) ** 2).sum() for t, task in enumerate(tasks)]
    delta = U - sum(m)
    for t, task in enumerate(tasks):
        radius = np.sqrt(delta * n[t] / c[t] * np.diag(np.linalg.inv(task.X.T @ task.X)))
        np.testing.assert_allclose([float(row[t]) for row in box.W_high], fits[t] + radius, rtol=1e-6)
        np.testing.assert_allclose([float(row[t]) for row in box.W_low], fits[t] - radius, rtol=1e-6)
        others = [float(value) for s, value in enumerate(box.B_high[t]) if s != t]
        np.testing.assert_allclose(others, delta / (model.mu * m[t]), rtol=1e-6)
        assert box.B_high[t][t] == 0
    assert float(box.residual) == pytest.approx(delta / model.coupling, rel=1e-9)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_box_contains_every_sampled_point_below_the_level(rng: np.random.Generator, reduction: Any) -> None:
    tasks = random_tasks(rng, d=2, counts=(5, 8))
    model = replace(amtl(reduction=reduction), task_weights=(0.7, 1.6))
    U = model.objective(tasks, *zeros(tasks))
    box = derive_box(tasks, model, Fraction(U))
    low, high, B_high = (np.array(part, dtype=float) for part in (box.W_low, box.W_high, box.B_high))
    inside = 0
    for _ in range(6_000):
        centre, size = (low + high) / 2, (high - low) / 2
        W = centre + 1.3 * size * rng.uniform(-1, 1, size=low.shape)
        B = 1.5 * B_high * rng.random((2, 2)) * 10.0 ** rng.uniform(-3, 0)
        if model.objective(tasks, W, B) <= U:
            inside += 1
            assert (W - low >= 0).all() and (high - W >= 0).all() and (B_high - B >= 0).all()
            assert ((W - W @ B) ** 2).sum() <= float(box.residual)
            assert (B.sum(axis=1) <= [float(bound) for bound in box.row_sum]).all()
    assert inside > 10


def test_box_made_by_hand_is_refused_where_it_cuts_the_derived_one(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl()
    W, B = zeros(tasks)
    derived = derive_box(tasks, model, Fraction(model.objective(tasks, W, B)))
    assert max(map(max, derived.B_high)) > 2
    by_hand = tuple(tuple(min(value, Fraction(2)) for value in row) for row in derived.B_high)
    with pytest.raises(NotCertifiable, match="does not contain the box derived"):
        enclose(tasks, model, W, B, starts=0, box=replace(derived, B_high=by_hand))
    free = enclose(tasks, model, W, B, starts=3)
    assert enclose(tasks, model, W, B, starts=3, box=derived).proof == free.proof  # that of a higher level


# --- refusals ---------------------------------------------------------------------------------------------


def test_refusals_say_why_and_what_would_help(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=2, counts=(6, 9))
    W, B = zeros(tasks)
    X, y = [task.X for task in tasks], [task.y for task in tasks]
    collinear = TaskSet.from_arrays([np.repeat(Xt[:, :1], 2, axis=1) for Xt in X], y)
    perfect = TaskSet.from_arrays(X, [X[0] @ [1.0, 2.0], y[1]])
    labels = TaskSet.from_arrays(X, [np.where(yt > 0, 1.0, -1.0) for yt in y])
    with pytest.raises(NotCertifiable, match="rank below d = 2.*drop collinear"):
        enclose(collinear, amtl(), W, B)
    with pytest.raises(NotCertifiable, match="task 0 is fitted perfectly.*add rows"):
        enclose(perfect, amtl(), W, B)
    with pytest.raises(NotCertifiable, match="take mu > 0"):
        enclose(tasks, amtl(mu=0.0), W, B)
    with pytest.raises(NotCertifiable, match="squared loss.*SCIP"):
        enclose(labels, replace(amtl(), loss=Logistic()), W, B)
    with pytest.raises(ModelError, match="B is not feasible"):
        enclose(tasks, amtl(), W, np.eye(2))
    with pytest.raises(ModelError, match="solver must be one of"):
        enclose(tasks, amtl(), W, B, solver="SCS")
    with pytest.raises(NotCertifiable, match="keep_rows=True"):
        enclose(amtl().compress(tasks), amtl(), W, B)
    with pytest.raises(ModelError, match="no point has J"):
        derive_box(tasks, amtl(), Fraction(0))


def test_a_problem_too_large_is_refused_before_any_work(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=6, counts=(9, 9, 9, 9))
    with pytest.raises(NotCertifiable, match="fewer tasks or features"):
        enclose(tasks, amtl(), *zeros(tasks))


def two_points(scale: polynomial.Scaled, first: np.ndarray, second: np.ndarray) -> dict[Any, float]:
    """The moments of equal weights on two points x'."""
    n = len(scale.radius)
    moments = {(k,): float(first[k] + second[k]) / 2 for k in range(n)}
    return moments | {(k, k): float(first[k] ** 2 + second[k] ** 2) / 2 for k in range(n)}


@pytest.mark.parametrize("radius", [3, 10**14])
def test_a_cut_lies_where_the_moments_disagree(rng: np.random.Generator, radius: int) -> None:
    """On the edge that two points disagree on, between them, off the minimiser at x = 0, whatever the box."""
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl()
    problem = ExactProblem.read(tasks, model)
    W, B = exact_matrix(np.ones((1, 2))), exact_matrix(np.array([[0.0, 0.25], [0.0, 0.0]]))
    box = derive_box(tasks, model, problem.objective(W, B))
    scale = polynomial.scale_problem(problem, box, W, B)
    scale = replace(scale, radius=(*scale.radius[:2], Fraction(radius), Fraction(radius)))
    scale = replace(scale, linear={**scale.linear, 0: cuts.edge_of(scale, 0), 1: cuts.edge_of(scale, 1)})
    zoom = Zoom.on(scale)
    near = zoom.inward(scale)
    unit = float(near.radius[3])
    for first, second in (
        ([1, 1, 0, 0], [1, 1, 0, 2 / unit]),
        ([1, 1, 0, 0.1 / unit], [1, 1, 0, 0.5 / unit]),
    ):
        moments = two_points(scale, np.array(first), np.array(second))
        cut = cuts.place(scale, zoom, moments)
        assert cut is not None and cut[0] == 1
        at = float(cut[1] * radius)
        assert first[3] * unit < at < second[3] * unit
        assert at == pytest.approx((first[3] + second[3]) * unit / 2)
        (above, below) = cuts.halves(scale, *cut)
        assert cells.Cell(scale=below).home and not cells.Cell(scale=above).home
    at_once = cuts.place(scale, zoom, two_points(scale, np.zeros(4), np.zeros(4)))
    assert at_once is None  # the moments are those of the minimiser


@pytest.mark.parametrize("size", [(1.0, 2.0), (2.0, 1.0)])
def test_the_edge_to_cut_is_that_of_the_most_unsure_transfer(
    rng: np.random.Generator, size: tuple[float, float]
) -> None:
    """Edges of the same spread: the source of the longer predictor, its mean and centre counted, is cut."""
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl()
    problem = ExactProblem.read(tasks, model)
    W, B = exact_matrix(np.array([[size[0] + 1.0, size[1] - 1.0]])), exact_matrix(np.zeros((2, 2)))
    box = derive_box(tasks, model, problem.objective(W, B))
    scale = polynomial.scale_problem(problem, box, W, B)
    scale = replace(scale, radius=tuple(Fraction(1) for _ in scale.radius))
    scale = replace(scale, linear={0: cuts.edge_of(scale, 0), 1: cuts.edge_of(scale, 1)})
    centre = [float(each) for each in scale.centre]
    mean = [(size[k] - centre[k]) for k in range(2)]
    assert abs(centre[0]) > abs(centre[1])  # by its centre alone the first is always the longer one
    moments = two_points(scale, np.array([*mean, 0.2, 0.2]), np.array([*mean, 0.6, 0.6]))
    found = cuts.place(scale, Zoom.on(scale), moments)
    assert found is not None and found[0] == int(size[1] > size[0])


def test_a_part_keeps_nine_tenths_of_its_cell_at_most(rng: np.random.Generator) -> None:
    """A cell from B = 5 to 7 whose moments lie at its upper end: the cut is a tenth of its width below."""
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl()
    problem = ExactProblem.read(tasks, model)
    W, B = exact_matrix(np.ones((1, 2))), exact_matrix(np.zeros((2, 2)))
    scale = polynomial.scale_problem(problem, derive_box(tasks, model, problem.objective(W, B)), W, B)
    scale = replace(scale, radius=(*scale.radius[:2], Fraction(1), Fraction(1)))
    k = scale.edges[0]
    ends = {0: {(k,): Fraction(1), (): Fraction(-5)}, 1: {(k,): Fraction(-1), (): Fraction(7)}}
    moments = two_points(scale, np.array([1, 1, 6.9, 0.0]), np.array([1, 1, 7.0, 0.0]))
    found = cuts.place(replace(scale, linear=ends), Zoom.on(scale), moments)
    assert found is not None and found[0] == 0 and float(found[1]) == pytest.approx(6.8, abs=1e-6)
