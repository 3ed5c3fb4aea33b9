"""Other rows than those that were given: other sums, weights, one row a task, standardised features."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.causes.formula import Formula, Rows, with_data
from amtl_cvx.reference.judge.causes.variation import Change, Point, Variation, as_given


def altered(change: Callable[[Rows], Rows]) -> Change:
    """Every task's rows changed alike."""
    return lambda formula: with_data(formula, [change(rows) for rows in formula.data])


def scaled(factor: Callable[[Rows], float]) -> Change:
    """Another factor before the sum over rows."""
    return altered(lambda rows: replace(rows, scale=factor(rows)))


def unweighted(right: Formula, *, mean: bool) -> list[Variation]:
    """Rows that count once each."""
    name = "row weights ignored"

    def once(rows: Rows, count: bool) -> Rows:
        scale = 1.0 / len(rows.y) if count else rows.scale
        return replace(rows, weight=np.ones(len(rows.y)), scale=scale)

    if all(np.allclose(rows.weight, 1.0, rtol=1e-12) for rows in right.data):
        return []
    found = [Variation(name=name, words="rows of weight 1", change=altered(lambda rows: once(rows, mean)))]
    if mean:
        words = "rows of weight 1, divided by the sum of weights"
        found.append(Variation(name=name, words=words, change=altered(lambda rows: once(rows, False))))
        counted = altered(lambda rows: replace(rows, scale=1.0 / len(rows.y)))
        words = "weighted rows divided by their number"
        found.append(Variation(name=name, words=words, change=counted))
    return found


def one_row(right: Formula) -> list[Variation]:
    """The first or the last row of every task alone, weighed in three ways."""
    if max(len(rows.y) for rows in right.data) == 1:
        return []
    weighed: list[tuple[str, Callable[[Rows], float]]] = [
        ("", lambda rows: 1.0),
        (", divided by n_t", lambda rows: 1.0 / len(rows.y)),
        (", times n_t", lambda rows: float(len(rows.y))),
    ]

    def only(at: int, factor: Callable[[Rows], float]) -> Change:
        def change(rows: Rows) -> Rows:
            part = slice(at, at + 1) if at >= 0 else slice(at, None)
            return Rows(X=rows.X[part], y=rows.y[part], weight=np.ones(1), scale=factor(rows))

        return altered(change)

    return [
        Variation(
            name="one-row gradients",
            words=f"the {which} row of every task alone{words}",
            change=only(at, factor),
            sides=("W", "WB", "vWB"),
        )
        for which, at in (("first", 0), ("last", -1))
        for words, factor in weighed
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Standard:
    """What was taken from the columns of a task (d,) and what they were divided by; of y a number each."""

    shift: Array
    length: Array
    shift_y: float = 0.0
    length_y: float = 1.0


def standardised(right: Formula) -> list[Variation]:
    """Features in other units: the predictor handed back in these, or taken back, with the price that has."""
    found = []
    for words, standards in _standards(right):
        name = "standardisation not undone"

        def change(formula: Formula, standards: tuple[Standard, ...] = standards) -> Formula:
            pairs = zip(formula.data, standards, strict=True)
            return with_data(formula, [_in_units(rows, standard) for rows, standard in pairs])

        found.append(Variation(name=name, words=f"{words}, not undone", change=change, read=as_given))

        def rescaled(_: Formula, point: Point, standards: tuple[Standard, ...] = standards) -> Point:
            lengths = np.column_stack([each.length / each.length_y for each in standards])
            return Point(lengths * point.W, point.B)

        if any((np.abs(each.length - each.length_y) > 1e-12).any() for each in standards):
            said = f"{words}, the lengths taken back and nothing else"
            found.append(Variation(name=name, words=said, change=change, read=rescaled))
        constant = _constant(right)
        if constant is None or not any((np.abs(each.shift) > 1e-12).any() for each in standards):
            continue

        def shifted(
            _: Formula, point: Point, standards: tuple[Standard, ...] = standards, j: int = constant
        ) -> Point:
            W = np.column_stack(
                [w * each.length / each.length_y for w, each in zip(point.W.T, standards, strict=True)]
            )
            for t, each in enumerate(standards):
                value = float(right.data[t].X[0, j])
                moved = float(each.shift @ point.W[:, t]) - each.shift_y
                W[j, t] += moved / value / each.length_y
            return Point(W, point.B)

        said = f"{words}, taken back: the coupling weighed in other units"
        found.append(Variation(name=name, words=said, change=change, read=shifted))
    return found


def _in_units(rows: Rows, standard: Standard) -> Rows:
    X = (rows.X - standard.shift) / standard.length
    return replace(rows, X=X, y=(rows.y - standard.shift_y) / standard.length_y)


def _constant(right: Formula) -> int | None:
    """The first column that is one number in every task, not 0: an intercept."""
    X = [rows.X for rows in right.data]
    same = np.all([np.ptp(x, axis=0) <= 0.0 for x in X], axis=0) & np.all([x[0] != 0.0 for x in X], axis=0)
    return int(np.flatnonzero(same)[0]) if same.any() else None


def _standards(right: Formula) -> Iterator[tuple[str, tuple[Standard, ...]]]:
    """The usual ways, pooled or per task; constant columns have length 1 and stay, or go to 0."""
    pooled = np.vstack([rows.X for rows in right.data])
    y = np.concatenate([rows.y for rows in right.data])
    constant = bool((np.ptp(pooled, axis=0) <= 0.0).any())
    numbers = not np.isin(y, (-1.0, 1.0)).all()
    for whose, parts in (
        ("pooled", [(pooled, y)] * right.T),
        ("per task", [(rows.X, rows.y) for rows in right.data]),
    ):
        for ddof in (0, 1):
            for centred, divided in ((True, True), (False, True), (True, False)):
                if ddof and not divided:
                    continue
                for keeps in (True, False) if constant and centred else (True,):
                    for target in ("", "centred", "standardised") if numbers else ("",):
                        what = " and ".join(("centred",) * centred + ("scaled",) * divided)
                        words = f"features {what} {whose}" + (f", y {target}" if target else "")
                        yield (
                            words,
                            tuple(
                                _standard(
                                    *part,
                                    ddof=ddof,
                                    centred=centred,
                                    divided=divided,
                                    keeps=keeps,
                                    target=target,
                                )
                                for part in parts
                            ),
                        )


def _standard(
    X: Array, y: Array, *, ddof: int, centred: bool, divided: bool, keeps: bool, target: str
) -> Standard:
    d = X.shape[1]
    many = len(X) > ddof
    spread = X.std(axis=0, ddof=ddof) if many else np.ones(d)
    constant = np.ptp(X, axis=0) <= 0.0
    length = np.where(constant | (spread <= 0.0), 1.0, spread) if divided else np.ones(d)
    shift = X.mean(axis=0) if centred else np.zeros(d)
    if keeps:
        shift = np.where(constant, 0.0, shift)
    spread_y = float(y.std(ddof=ddof)) if many else 0.0
    return Standard(
        shift=shift,
        length=length,
        shift_y=float(y.mean()) if target else 0.0,
        length_y=spread_y if target == "standardised" and spread_y > 0.0 else 1.0,
    )
