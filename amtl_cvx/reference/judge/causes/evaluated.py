"""Causes of a wrong value, loss or gradient: it is held against that of every mistake, entry by entry."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.reference.judge.causes.case import Case, Match, orders, told
from amtl_cvx.reference.judge.causes.formula import Formula
from amtl_cvx.reference.judge.causes.residual import difference
from amtl_cvx.reference.judge.causes.variation import Point, Variation

WORDS = {
    "objective": "your objective is",
    "losses": "your losses are",
    "gradient_W": "your gradient in W equals",
    "gradient_B": "your gradient in B equals",
}
_SIDE = {"objective": "v", "losses": "v", "gradient_W": "W", "gradient_B": "B"}
_EXACT = 1e-10  # relative; what two ways to sum the same terms may differ by
_LOOSEST = 1e-3
_PAIRS = 1e-7  # there are hundreds of pairs: one that fits by chance has to be unlikely
_SINGLE = 64 * 2.0**-24


def evaluated(case: Case) -> list[Match]:
    """The mistakes that give the answer; all single ones, else pairs."""
    found = [*_varied(case), *_arranged(case)]
    found = _consistent(case, found)
    if not found:
        found = _pairs(case)
    return found or _rounded(case)


def value_of(formula: Formula, point: Point, quantity: str) -> Array:
    """What a formula gives for the quantity."""
    if quantity == "objective":
        return np.array(formula.objective(*point))
    if quantity == "losses":
        return formula.losses(point.W)
    if quantity == "gradient_W":
        return formula.gradient_W(*point)
    return _off(formula.gradient_B(*point))


def size_of(formula: Formula, point: Point, quantity: str) -> Array:
    """The sizes of what the quantity is summed from."""
    if quantity == "objective":
        return np.array(formula.terms(*point))
    if quantity == "losses":
        return np.abs(formula.losses(point.W))
    if quantity == "gradient_W":
        return formula.size_W(*point)
    return _off(formula.size_B(*point))


def _off(matrix: Array) -> Array:
    off: Array = np.array(matrix)
    np.fill_diagonal(off, 0.0)
    return off


class _Held:
    """The answer of a case and how near another value is to it."""

    def __init__(self, case: Case) -> None:
        self.case, quantity = case, case.quantity
        answer = case.answer[quantity]
        self.answer = _off(answer) if quantity == "gradient_B" else np.asarray(answer, dtype=float)
        self.right = value_of(case.right, case.start, quantity)
        self.size = size_of(case.right, case.start, quantity)
        self.far = difference(self.answer, self.right, self.size)
        limit = np.broadcast_to(np.asarray(case.limit, dtype=float), np.shape(self.right))
        relative = difference(limit, np.zeros_like(limit), self.size)
        self.tolerance = min(max(4.0 * relative, _EXACT), _LOOSEST)

    def equals(self, value: Array, size: Array, *, tolerance: float | None = None) -> bool:
        near = difference(self.answer, value, size)
        return self.case.same(near, self.far, self.tolerance if tolerance is None else tolerance)


def _varied(case: Case) -> list[Match]:
    held, found = _Held(case), []
    for each in case.varied:
        if each.origin == "step" or not any(_SIDE[case.quantity] in side for side in each.sides):
            continue
        if case.quantity in ("objective", "losses") and each.origin == "gradient":
            continue
        formula = each.change(case.right)
        point = each.read(formula, case.start)
        value, size = (of(formula, point, case.quantity) for of in (value_of, size_of))
        turned = case.quantity == "gradient_B" and each.name == "transposed B"
        if held.equals(value, size) or (turned and held.equals(value.T, size.T)):
            found.append(replace(_match(case, each), value=value))
    return found


def _match(case: Case, *varied: Variation) -> Match:
    words = " and ".join(each.words for each in varied)
    which = (
        "that with"
        if case.quantity == "objective"
        else "those with"
        if case.quantity == "losses"
        else "the one with"
    )
    return Match(
        name=" + ".join(dict.fromkeys(each.name for each in varied)),
        words=f"{WORDS[case.quantity]} {which} {words}",
        varied=varied,
    )


def _consistent(case: Case, found: list[Match]) -> list[Match]:
    """Without those that the rest of the answer rules out: a right J beside the gradient, or another one."""
    if not case.quantity.startswith("gradient") or "objective" not in case.answer:
        return found
    said = case.answer["objective"]
    size = np.array(case.right.terms(*case.start))
    relative = 1e-4 if case.single else 1e-9
    if difference(said, value_of(case.right, case.start, "objective"), size) <= relative:
        return [match for match in found if not any(each.origin == "value" for each in match.varied)]
    fitting = []
    for match in found:
        formula, point = case.right, case.start
        for each in match.varied:
            formula = each.change(formula)
            point = each.read(formula, point)
        value = value_of(formula, point, "objective")
        if match.varied and difference(said, value, size_of(formula, point, "objective")) <= relative:
            fitting.append(match)
    return fitting or found


def _pairs(case: Case) -> list[Match]:
    """Two mistakes at once, for a value that one alone does not give."""
    held, quantity = _Held(case), case.quantity
    if case.single and quantity == "objective":
        return []
    side = _SIDE[quantity]
    usable = [
        each
        for each in case.plain
        if each.origin != "step"
        and any(side in s for s in each.sides)
        and not (side == "v" and each.origin == "gradient")
    ]
    tolerance = min(held.tolerance, _PAIRS)
    for first, second in itertools.combinations(usable, 2):
        if first.name == second.name:
            continue
        formula = second.change(first.change(case.right))
        point = second.read(formula, first.read(formula, case.start))
        value, size = (of(formula, point, quantity) for of in (value_of, size_of))
        if held.equals(value, size, tolerance=tolerance):
            return [replace(_match(case, first, second), value=value)]
    return []


def _arranged(case: Case) -> list[Match]:
    """Tasks or features in another order, B or W transposed."""
    held = _Held(case)
    found: list[Match] = []
    for name, words, value, size in itertools.chain(_returned(case, held), _given(case)):
        if name in {match.name for match in found} or not held.equals(value, size):
            continue
        found.append(Match(name=name, words=f"{WORDS[case.quantity]} that with {words}", value=value))
    return found


def _returned(case: Case, held: _Held) -> Iterator[tuple[str, str, Array, Array]]:
    """The right value, put in another order."""
    answer, right, size = held.answer, held.right, held.size
    if case.quantity == "losses":
        order = np.empty(len(right), dtype=int)
        order[np.argsort(answer, kind="stable")] = np.argsort(right, kind="stable")
        yield "tasks permuted", f"the tasks in the order {told(order)}", right[order], size[order]
    elif case.quantity == "gradient_W":
        d, T = right.shape
        order = assigned(answer, right)
        yield "tasks permuted", f"the tasks in the order {told(order)}", right[:, order], size[:, order]
        order = assigned(answer.T, right.T)
        yield "features permuted", f"the features in the order {told(order)}", right[order], size[order]
        whole = np.full((d, T), float(size.max()))
        yield "W transposed", "its entries laid out as those of (T, d)", right.T.reshape(d, T), whole
        yield "W transposed", "its entries read as those of (T, d)", right.reshape(T, d).T, whole
        if d == T:
            yield "W transposed", "W transposed", right.T, size.T
    elif case.quantity == "gradient_B":
        yield "transposed B", "rows and columns exchanged", right.T, size.T
        for order in orders(len(right)):
            both = np.ix_(order, order)
            yield "tasks permuted", f"the tasks in the order {told(order)}", right[both], size[both]


def _given(case: Case) -> Iterator[tuple[str, str, Array, Array]]:
    """The value at the point that is given, read in another order."""
    W, B = case.start
    d, T = W.shape
    readings: list[tuple[str, str, Point]] = []
    for order in orders(T):
        both, said = np.ix_(order, order), f"the tasks in the order {told(order)}"
        readings += [
            ("tasks permuted", f"{said} in W", Point(W[:, order], B)),
            ("tasks permuted", f"{said} in B", Point(W, B[both])),
            ("tasks permuted", f"{said} in W and B", Point(W[:, order], B[both])),
        ]
    for order in orders(d):
        readings.append(("features permuted", f"the features in the order {told(order)}", Point(W[order], B)))
    if d == T:
        readings.append(("W transposed", "W transposed", Point(W.T, B)))
    readings.append(("W transposed", "W read as (T, d)", Point(W.reshape(T, d).T, B)))
    readings.append(("W transposed", "W laid out as (T, d)", Point(W.T.reshape(d, T), B)))
    for words, rescaled in rescalings(B):
        readings.append(("B rescaled", words, Point(W, rescaled)))
    if T > 1:
        leaks = B + np.eye(T)
        readings.append(("diagonal leak", "1 on the diagonal of B", Point(W, leaks)))
    for name, words, point in readings:
        value, size = (of(case.right, point, case.quantity) for of in (value_of, size_of))
        yield name, words, value, size


def rescalings(B: Array) -> Iterator[tuple[str, Array]]:
    """B with its rows, its columns or all of it brought to a sum."""
    T = len(B)
    if B.sum() <= 0.0:
        return
    rows, columns = B.sum(axis=1, keepdims=True), B.sum(axis=0, keepdims=True)
    yield "rows of B that sum to 1", B / np.where(rows > 0.0, rows, 1.0)
    yield "columns of B that sum to 1", B / np.where(columns > 0.0, columns, 1.0)
    yield "a B that sums to T", B * (T / float(B.sum()))
    yield "a B that sums to 1", B / float(B.sum())
    yield "a largest entry of B that is 1", B / float(B.max())


def assigned(columns: Array, others: Array) -> Indices:
    """The order of the columns of `others` (d, T) in which they are nearest to `columns`."""
    cost = ((columns[:, :, None] - others[:, None, :]) ** 2).sum(axis=0)
    order: Indices = linear_sum_assignment(np.where(np.isfinite(cost), cost, 1e300))[1]
    return order


def _rounded(case: Case) -> list[Match]:
    """An error of the size that sums in float32 have."""
    held = _Held(case)
    if case.single or not held.far <= _SINGLE:
        return []
    eps = held.far / 2.0**-24
    words = f"{WORDS[case.quantity]} right to {eps:.1g} roundings in float32, and not to those of float64"
    return [Match(name="float32 accumulation", words=words.replace(" equals", " is"))]
