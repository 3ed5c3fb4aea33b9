# More than 300 lines: one check after another.
"""Bounds of the B-step against its exact minimum: doubles are rationals, so is the best column of every B.

The best column is found by trying every support, in fractions, with nothing of the package.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from cases import Array

from amtl_cvx.certificate import b_step, duals, transfer_evidence
from amtl_cvx.certificate.room import price_room
from amtl_cvx.losses import Hinge, Loss, Quantile, Squared, SquaredHinge
from amtl_cvx.problem import Problem
from amtl_cvx.tasks import TaskSet
from checks.points import amtl

Numbers = list[Fraction]


class Columns(NamedTuple):
    """One B-step: W, prices, coupling, the best B in fractions and what each of its columns costs."""

    W: Array
    prices: Array
    coupling: float
    best: list[Numbers]
    """By columns."""
    least: Numbers

    def distance(self, B: Array, t: int) -> float:
        """||b - b*|| of column t."""
        squares = ((Fraction(b) - x) ** 2 for b, x in zip(B[:, t].tolist(), self.best[t], strict=True))
        return float(sum(squares)) ** 0.5

    def gain(self, B: Array, t: int) -> Fraction:
        """P(b) - min P of column t."""
        return primal(self.W, B[:, t], self.prices, self.coupling, t) - self.least[t]


def dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def fractions(numbers: Array) -> Numbers:
    return [Fraction(number) for number in numbers.tolist()]


def solution(G: list[Numbers], h: Numbers) -> Numbers | None:
    """G x = h, None where G is singular."""
    n, rows = len(h), [[*row, value] for row, value in zip(G, h, strict=True)]
    for i in range(n):
        pivot = next((k for k in range(i, n) if rows[k][i]), None)
        if pivot is None:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for k in range(n):
            if k != i and rows[k][i]:
                share = rows[k][i] / rows[i][i]
                rows[k] = [a - share * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [rows[i][n] / rows[i][i] for i in range(n)]


def best_column(W: Array, prices: Sequence[float | Fraction], coupling: float, t: int) -> Numbers:
    """A b (T,), b_t = 0, with multipliers 0 on its support and >= 0 off it."""
    A, p = [fractions(column) for column in W.T], [Fraction(price) for price in prices]
    lam, w, others = Fraction(coupling), A[t], [j for j in range(len(p)) if j != t]
    for count in range(min(len(others), len(w)) + 1):
        for S in itertools.combinations(others, count):
            G = [[2 * lam * dot(A[i], A[j]) for j in S] for i in S]
            x = solution(G, [2 * lam * dot(A[j], w) - p[j] for j in S])
            if x is None or any(value < 0 for value in x):
                continue
            r = [w[i] - sum(A[j][i] * value for j, value in zip(S, x, strict=True)) for i in range(len(w))]
            if all(p[j] >= 2 * lam * dot(A[j], r) for j in others if j not in S):
                values = dict(zip(S, x, strict=True))
                return [values.get(j, Fraction(0)) for j in range(len(p))]
    raise AssertionError("no support is optimal")


def primal(
    W: Array, b: Array | Numbers, prices: Sequence[float | Fraction] | Array, coupling: float, t: int
) -> Fraction:
    """P(b) of column t."""
    b = [Fraction(value) for value in b]
    r = [Fraction(row[t]) - dot(fractions(row), b) for row in W]
    return Fraction(coupling) * dot(r, r) + dot([Fraction(price) for price in prices], b)


def at(W: Array, prices: Array, coupling: float) -> Columns:
    best = [best_column(W, prices.tolist(), coupling, t) for t in range(W.shape[1])]
    least = [primal(W, b, prices.tolist(), coupling, t) for t, b in enumerate(best)]
    return Columns(W, prices, coupling, best, least)


def random_columns(rng: np.random.Generator, count: int) -> Iterator[tuple[Columns, bool]]:
    """Collinear, opposite, zero and short predictors, free tasks, T - 1 > d; whether it has none of these."""
    for k in range(count):
        d, T = ((4, 3), (3, 4), (5, 4), (2, 5), (1, 4), (3, 5))[k % 6]
        W, plain = rng.normal(size=(d, T)) + rng.uniform(0, 1), k % 2 == 0 and d >= T
        if not plain:
            copy = (1 + 10.0 ** rng.uniform(-16, -3) * rng.normal(size=d), 2.0, -1.0, 0.0)[k % 4]
            W[:, rng.integers(1, T)] = W[:, 0] * copy
            if k % 3 == 0:
                W *= 10.0 ** rng.uniform(-6, 6, size=(d, 1) if k % 2 else T)
        prices = rng.uniform(0.1, 4, size=T) * (rng.random(T) < 0.7) * 10.0 ** rng.uniform(-12, 0, size=T)
        coupling = float(10.0 ** rng.uniform(-4, 4))
        yield at(W, prices * coupling * float((W * W).sum(axis=0).mean()), coupling), plain


def beside(rng: np.random.Generator, problem: Columns) -> Iterator[tuple[float, Array]]:
    """B at several distances from the best, 0 included; the distance."""
    best = np.array([[float(value) for value in column] for column in problem.best]).T
    for size in (0.0, 1e-13, 1e-9, 1e-5, 1e-2):
        B = best * (1.0 + size * rng.normal(size=best.shape))
        B += size * rng.random(best.shape) * (rng.random(best.shape) < 0.3)
        B = np.maximum(B, 0.0)
        np.fill_diagonal(B, 0.0)
        yield size, B


def gap_B_is_never_below_the_gain() -> None:
    """Rounding included; beside the minimum of independent columns it is the gain to 1e-12 of P."""
    rng, sharp = np.random.default_rng(14), 0
    for problem, plain in random_columns(rng, 48):
        for size, B in beside(rng, problem):
            found = b_step.column_duals(problem.W, B, problem.prices, problem.coupling)
            for t in range(len(B)):
                gain, gap = problem.gain(B, t), Fraction(float(found.gaps[t]))
                assert gap >= gain
                cost = primal(problem.W, B[:, t], problem.prices, problem.coupling, t)
                if plain and size <= 1e-5:
                    assert gap - gain <= Fraction(1e-12) * cost
                    sharp += 1
            proven = b_step.proven_zeros(problem.W, problem.prices, problem.coupling, found)
            assert not any(problem.best[t][s] for s, t in np.argwhere(proven))
    assert sharp >= 100


def free_tasks_leave_a_sharp_gap() -> None:
    """T - 1 > d, a task that is free or nearly so and used: the gap is the gain, up to rounding."""
    rng, used = np.random.default_rng(22), 0
    for k in range(40):
        d, T = ((2, 5), (2, 4), (3, 6))[k % 3]
        W = rng.normal(size=(d, T)) * 10.0 ** rng.uniform(-1, 1, size=T)
        W[:, 0] = W[:, 1] + 0.3 * np.linalg.norm(W[:, 1]) * rng.normal(size=d)
        prices = 10.0 ** (rng.uniform(-1, 14, size=T) if k % 4 != 1 else rng.uniform(-6, -3, size=T))
        prices[0] = 0.0 if k % 2 else 10.0 ** rng.uniform(-18, -9)
        problem = at(W, prices, 0.5)
        for B in [*(B for _, B in beside(rng, problem)), rng.random((T, T)) * (1.0 - np.eye(T))]:
            found = b_step.column_duals(W, B, prices, 0.5)
            for t in range(1, T):
                cost = primal(W, B[:, t], prices, 0.5, t) + Fraction(1e-12 * float(W[:, t] @ W[:, t]))
                assert Fraction(float(found.gaps[t])) - problem.gain(B, t) <= Fraction(1e-11) * cost
                used += bool(B[0, t] > 0)
    assert used >= 100


def least_distance_finds_the_support() -> None:
    """Whatever the prices are, from free to far beyond use."""
    rng, edges = np.random.default_rng(23), 0
    for k in range(60):
        d, T = ((2, 5), (4, 4), (3, 6))[k % 3]
        W, prices = rng.normal(size=(d, T)) + 0.3, 10.0 ** rng.uniform(-3, 14, size=T) * (rng.random(T) < 0.7)
        A, w, length = W[:, 1:], W[:, 0], np.linalg.norm(W[:, 1:], axis=0)
        column = duals.Column(
            A=A,
            w=w,
            b=np.zeros(T - 1),
            low=prices[1:],
            high=prices[1:],
            pull=w,
            coupling=0.5,
            noise=duals.rounding(W),
            length=length,
            blur=0.0,
        )
        best = np.array([float(x) for x in best_column(W, prices.tolist(), 0.5, 0)[1:]])
        rest = w - A @ best
        if float(rest @ rest) > 1e-12 * float(w @ w):  # else there may be other best columns
            assert np.array_equal(column.nearest(), best > 0.0)
            edges += int((best > 0.0).sum())
    assert edges >= 30


def exact_gaps_are_the_gain() -> None:
    """To the last digit, whatever the columns; in fractions, and with flint."""
    rng = np.random.default_rng(20)
    for problem, _ in random_columns(rng, 24):
        for _, B in beside(rng, problem):
            W, prices, coupling = problem.W, problem.prices, problem.coupling
            first = b_step.column_duals(W, B, prices, coupling)
            found = b_step.exact_gaps(W, B, prices, coupling, first, enough=0.0)
            for t in range(len(B)):
                gain, gap = problem.gain(B, t), Fraction(float(found.gaps[t]))
                assert gain <= gap <= gain * (1 + Fraction(1e-15)) + Fraction(1e-300)
            proven = b_step.proven_zeros(W, prices, coupling, found)
            assert not any(problem.best[t][s] for s, t in np.argwhere(proven))


def free_opposites_are_solved_exactly() -> None:
    """w_1 = -w_2, both free: A'theta <= 0 holds for no theta with room for rounding, in fractions it does."""
    W, B = np.array([[2.0, 1.0, -1.0], [3.0, 0.0, 0.0]]), np.array([[0.0, 0, 0], [2, 0, 0], [0, 0, 0]])
    X, y = [np.eye(2)] * 3, [np.ones(2)] * 3
    tasks, model = TaskSet.from_arrays(X, y), amtl(Squared(), mu=0.0, coupling=0.5, c="equal")
    turned = tasks.in_basis(np.eye(2))  # there W is rounded, and exact in vain
    rounded = transfer_evidence(Problem(turned, model).at(W, B), enough=1e-9).duals
    assert rounded is not None and rounded.gaps[0] >= 1.0
    for share, gain in ((1.0, 0.0), (0.5, 0.5)):  # r = (0, 3) is as short as it gets; coupling 1^2
        loose, found = (
            transfer_evidence(Problem(tasks, model).at(W, share * B), enough=g).duals for g in (1e9, 1e-9)
        )
        assert loose is not None and found is not None
        assert loose.gaps[0] >= 1.0 and gain <= found.gaps[0] <= gain + 1e-12


def bounds_hold_for_all_prices_of_an_interval() -> None:
    """Gaps, exact and polished ones, zeros and errors at prices from the lowest to the highest."""
    rng, bounded, proved = np.random.default_rng(21), 0, 0
    for problem, _ in random_columns(rng, 24):
        for _, B in beside(rng, problem):
            W, prices, coupling = problem.W, problem.prices, problem.coupling
            rough = b_step.column_duals(W, B, prices, coupling, price_room=0.25 * prices)
            found = b_step.exact_gaps(W, B, prices, coupling, rough, enough=0.0)
            t = int(rng.integers(len(B)))
            zeros = [b_step.proven_zeros(W, prices, coupling, each) for each in (rough, found)]
            open_ = ((B > 0.0) | ~zeros[0]) & ~np.eye(len(B), dtype=bool)
            _, least = b_step.column_range(W, open_)
            certain = least > 0.0
            safe = np.where(certain, least, 1.0)
            errors = b_step.column_errors(W, B, prices, coupling, rough, open_, safe)
            for share in (0.75, 0.9, 1.25):
                real = (share * prices).tolist()
                best = best_column(W, real, coupling, t)
                gain = primal(W, B[:, t], real, coupling, t) - primal(W, best, real, coupling, t)
                assert min(rough.gaps[t], found.gaps[t]) >= gain * (1 - Fraction(1e-15))
                assert not any(best[s] for each in zeros for s in np.flatnonzero(each[:, t]))
                away = Columns(W, prices, coupling, [best] * len(B), []).distance(B, t)
                assert not certain[t] or away <= errors[t] * (1 + 1e-12)
                bounded, proved = bounded + bool(certain[t]), proved + int(zeros[1][:, t].sum())
    assert bounded >= 100 and proved >= 50


def dual_points_prove_what_they_say() -> None:
    """A theta next to its bound counts only where A'theta <= p holds exactly; its gap is at least P - D."""
    rng, finite, outside = np.random.default_rng(19), 0, 0
    assert duals.rounding(np.zeros((3, 2)), features=500) >= 500 * 2.0**-52
    for k in range(600):
        d = (2, 3, 6)[k % 3]
        A, r, b = rng.normal(size=(d, 2)), rng.normal(size=d), rng.random(2)
        A *= np.sign(A.T @ r)
        w = r + A @ b
        pull = 2.0 * (w - A @ b)
        prices = np.abs(A.T @ pull) * (1.0 + rng.integers(-20, 160, size=2) * 2.0**-52)
        noise = duals.rounding(np.zeros((d, 3)))
        length = np.linalg.norm(A, axis=0)
        column = duals.Column(
            A=A,
            w=w,
            b=b,
            low=prices,
            high=prices,
            pull=pull,
            coupling=1.0,
            noise=noise,
            length=length,
            blur=2.0 * noise * float(np.linalg.norm(w) + length @ b),
        )
        theta, p = fractions(pull), fractions(prices)
        feasible = all(dot(fractions(a), theta) <= price for a, price in zip(A.T, p, strict=True))
        gap = column.gap(pull)
        assert feasible or not np.isfinite(gap)
        rest = dot(fractions(b), [price - dot(fractions(a), theta) for a, price in zip(A.T, p, strict=True)])
        assert not np.isfinite(gap) or Fraction(gap) >= rest
        finite, outside = finite + bool(np.isfinite(gap)), outside + (not feasible)
    assert outside >= 100 and finite >= 50


def zeros_are_proved_of_zeros_only() -> None:
    """One source whose edge is 0 or not by the last bits of its price, or by what its price may be."""
    rng, absent, present, proved = np.random.default_rng(15), 0, 0, 0
    for k in range(400):
        W, coupling = rng.normal(size=(3, 2)) + 1.0, float(rng.uniform(0.2, 3.0))
        pull = 2.0 * coupling * float(W[:, 0] @ W[:, 1])
        price = abs(pull) * (
            1.0 + rng.integers(-8, 9) * 2.0**-52 if k % 2 else 1.0 + 10.0 ** rng.uniform(-15, -6)
        )
        unknown = 1e-6 * pull if k % 4 == 0 and pull > 0.0 else 0.0
        prices, B = np.array([price + unknown, 1e9]), np.zeros((2, 2))
        points = b_step.column_duals(W, B, prices, coupling, price_room=np.array([2 * unknown, 0.0]))
        found = bool(b_step.proven_zeros(W, prices, coupling, points)[0, 1])
        edge = best_column(W, [price - 0.9 * unknown, 1e9], coupling, 1)[0]
        assert not (found and edge > 0)
        absent, present, proved = absent + (edge == 0), present + (edge > 0), proved + found
    assert present >= 50 and absent >= 100 and proved >= 50


def error_B_is_never_below_the_distance() -> None:
    """In rationals, at the double next to the best B as well; and no bound where columns are dependent."""
    rng, bounded, refused = np.random.default_rng(16), 0, 0
    for problem, _ in random_columns(rng, 36):
        for _, B in beside(rng, problem):
            W, prices, coupling = problem.W, problem.prices, problem.coupling
            points = b_step.column_duals(W, B, prices, coupling)
            proven = b_step.proven_zeros(W, prices, coupling, points)
            open_ = ((B > 0.0) | ~proven) & ~np.eye(len(B), dtype=bool)
            _, least = b_step.column_range(W, open_)
            certain = least > 0.0
            refused += int((~certain & open_.any(axis=0)).sum())
            errors = b_step.column_errors(
                W, B, prices, coupling, points, open_, np.where(certain, least, 1.0)
            )
            for t in np.flatnonzero(certain):
                assert problem.distance(B, int(t)) <= errors[t]
                bounded += 1
    assert bounded >= 200 and refused >= 20


def dependent_columns_have_no_least_singular_value() -> None:
    """Columns that are sums and multiples of one another to the last bit: sigma is 0, not its rounding."""
    rng = np.random.default_rng(17)
    for k in range(200):
        d, T = ((3, 3), (8, 3), (5, 4), (2, 4))[k % 4]
        W = rng.integers(-50, 50, size=(d, T)).astype(float)
        W[:, -1] = W[:, 0] - 3 * W[:, 1] if T > 3 or k % 2 else 2.0 * W[:, 0]
        W *= 2.0 ** rng.integers(-40, 40)  # exact
        _, least = b_step.column_range(W, np.ones((T, T), dtype=bool))
        assert (least <= 0.0).all()


def exact_losses(loss: Loss, tasks: TaskSet, W: Array) -> Numbers:
    """L_t(w_t) in fractions."""
    found = []
    for task, w in zip(tasks, W.T, strict=True):
        total = Fraction(0)
        for x, y in zip(task.X, fractions(task.y), strict=True):
            z = dot(fractions(x), fractions(w))
            match loss:
                case Squared():
                    total += (z - y) ** 2
                case Hinge():
                    total += max(Fraction(0), 1 - y * z)
                case SquaredHinge():
                    total += max(Fraction(0), 1 - y * z) ** 2
                case Quantile(tau=tau):
                    total += max(Fraction(tau) * (y - z), (Fraction(tau) - 1) * (y - z))
                case _:
                    raise NotImplementedError(f"write the {loss.name} loss here")
        found.append(total / len(task.y) if loss.reduction == "mean" else total)
    return found


def rounding_of_prices_is_allowed_for() -> None:
    """A task fitted up to rounding costs what it costs in rationals: its price as a double is noise."""
    rng, off, mu = np.random.default_rng(18), 0, 1024.0
    for k in range(40):
        loss = (Squared(), Hinge(), Quantile(tau=0.25), SquaredHinge(), Hinge(reduction="sum"))[k % 5]
        X, W = [rng.normal(size=(3, 3)) for _ in range(3)], rng.normal(size=(3, 3)) + 1.0
        if loss.classification:
            y = [np.array([1.0, -1.0, 1.0]) for _ in X]
            W[:, 0] = np.linalg.solve(X[0], y[0])  # all rows on the kink
        else:
            y = [x @ w for x, w in zip(X, (W + np.array([0, 0.1, 0.2])).T, strict=True)]
        if k % 2:
            W[:, 2], y[2] = 0.0, y[2] if loss.classification else rng.normal(size=3)  # only sums are rounded
        tasks, model = TaskSet.from_arrays(X, y), amtl(loss, mu=mu, coupling=0.75, c="equal")
        exact = [Fraction(mu) * value for value in exact_losses(loss, tasks, W)]
        prices = mu * model.losses(tasks, W)
        room = price_room(Problem(tasks, model).at(W, np.zeros((tasks.T, tasks.T))), prices)
        assert all(
            abs(Fraction(p) - q) <= Fraction(r)
            for p, q, r in zip(prices.tolist(), exact, room.tolist(), strict=True)
        )
        best = [best_column(W, exact, 0.75, t) for t in range(3)]
        B = np.array([[float(value) for value in column] for column in best]).T
        found = transfer_evidence(Problem(tasks, model).at(W, B))
        gain = sum(primal(W, B[:, t], exact, 0.75, t) - primal(W, best[t], exact, 0.75, t) for t in range(3))
        assert found.gap is not None and Fraction(found.gap) >= gain
        away = [Fraction(B[s, t]) - best[t][s] for s in range(3) for t in range(3)]
        assert found.error is None or found.error >= float(dot(away, away)) ** 0.5
        off += abs(Fraction(float(prices[0])) - exact[0]) > 2**-50 * exact[0]
    assert off >= 10
