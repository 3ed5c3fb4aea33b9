"""The variations of a question: every mistake in its ways, those first that are the more specific."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.losses import make_loss
from amtl_cvx.reference.judge.causes.formula import Formula, RowLoss
from amtl_cvx.reference.judge.causes.labels import LOSSES_OF_RAW_LABELS
from amtl_cvx.reference.judge.causes.question import Question
from amtl_cvx.reference.judge.causes.rows import altered, one_row, scaled, standardised, unweighted
from amtl_cvx.reference.judge.causes.variation import EVERYWHERE, Change, Point, Variation

_VALUE = ("vWB", "WB", "v", "W")  # in B alone it is one with "threshold"


def variations(question: Question) -> tuple[Variation, ...]:
    """All that this question can tell from the right formula."""
    return (*plain(question), *standardised(question.right))


def plain(question: Question) -> tuple[Variation, ...]:
    """Those without a change of the features."""
    right = question.right
    return (
        *_of_the_graph(right),
        *_of_the_losses(question),
        *_of_the_price(right),
        *_of_the_coupling(),
        *_of_weights(question),
        *_of_old_losses(question),
        *one_row(right),
    )


def _set(**fields: Any) -> Change:
    return lambda formula: replace(formula, **fields)


def _of_the_graph(right: Formula) -> list[Variation]:
    if right.T == 1:
        return []
    name = "transposed B"
    return [
        Variation(name="incoming for outgoing", words="incoming weights", change=_set(incoming=True)),
        Variation(name=name, words="B transposed", read=lambda _, point: Point(point.W, point.B.T)),
        Variation(name=name, words="B transposed in the coupling", change=_set(transposed=True)),
        Variation(
            name=name,
            words="B transposed in the residual, its gradient not",
            change=_set(transposed=True, transposed_slope=True),
            sides=("B", "WB"),
            origin="gradient",
        ),
        Variation(
            name=name,
            words="I - B for (I - B)' in the gradient",
            change=_set(transposed_back=True),
            sides=("W",),
            origin="gradient",
        ),
    ]


def _of_the_losses(question: Question) -> list[Variation]:
    right, found = question.right, []
    total = sum(float(rows.weight.sum()) for rows in right.data)
    if question.reduction == "mean":
        by_sum = scaled(lambda rows: 1.0)
        found.append(Variation(name="sum for mean", words="sums over rows", change=by_sum))
    else:
        by_mean = scaled(lambda rows: 1.0 / float(rows.weight.sum()))
        found.append(Variation(name="mean for sum", words="means over rows", change=by_mean))
    if right.T > 1:
        of_all = scaled(lambda rows: 1.0 / total)
        found.append(Variation(name="mean over all rows", words="means over all rows", change=of_all))
    for factor, words in ((0.5, "1/2 before the losses"), (2.0, "the losses doubled")):
        change = scaled(lambda rows, factor=factor: factor * rows.scale)  # type: ignore[misc]
        found.append(
            Variation(name="factor 2 in the loss", words=words, change=change, sides=_VALUE, origin="value")
        )
    found.append(
        Variation(
            name="gradient without its factor 2",
            words="a gradient of the losses without its factor 2",
            change=_set(slope_of_loss=0.5),
            sides=("WB", "W"),
            origin="gradient",
        )
    )
    flipped = altered(lambda rows: replace(rows, y=-rows.y))
    found.append(Variation(name="labels flipped", words="y of the other sign", change=flipped))
    name = question.loss.partition(":")[0]
    if name in LOSSES_OF_RAW_LABELS:
        raw = LOSSES_OF_RAW_LABELS[name]

        def as_numbers(formula: Formula) -> Formula:
            data = tuple(replace(rows, y=np.where(rows.y > 0, 1.0, 0.0)) for rows in formula.data)
            return replace(formula, data=data, loss=raw)

        words = "labels 0/1 taken as numbers"
        found.append(Variation(name="labels flipped", words=words, change=as_numbers))
    return found


def _of_the_price(right: Formula) -> list[Variation]:
    if right.T == 1:
        return []
    power, other = "squared loss in the penalty", "other loss in the penalty"
    squares = right.price_weights**2
    found = [
        Variation(name="mu ignored", words="mu = 0", change=_set(mu=0.0)),
        Variation(name=power, words="l_t^2 in the penalty", change=_set(power=2)),
        Variation(
            name=power, words="(c_t l_t)^2 in the penalty", change=_set(power=2, price_weights=squares)
        ),
        Variation(
            name=power,
            words="l_t^2 as the price of an edge",
            change=_set(power=2, through=False),
            sides=("WB", "W"),
            origin="gradient",
        ),
    ]
    known: dict[str, RowLoss] = {
        label: make_loss(label) for label in ("squared", "logistic", "squared-hinge", "hinge")
    }
    same = type(right.loss)
    labels = all(np.isin(rows.y, (-1.0, 1.0)).all() for rows in right.data)
    found += [
        Variation(name=other, words=f"the {label} loss in the penalty", change=_set(priced=loss))
        for label, loss in known.items()
        if type(loss) is not same and (labels or label == "squared")
    ]
    found += [
        Variation(
            name="threshold",
            words=words,
            change=lambda formula, factor=factor: replace(formula, mu=factor * formula.mu),  # type: ignore[misc]
            sides=("B",),
            origin="step",
        )
        for factor, words in (
            (2.0, "p for p / 2 in the threshold"),
            (0.5, "p / 4 for p / 2 in the threshold"),
        )
    ]
    return found


def _of_the_coupling() -> list[Variation]:
    factor = "factor 2 in the coupling"

    def times(k: float) -> Change:
        return lambda formula: replace(formula, coupling=k * formula.coupling)

    return [
        Variation(
            name="no cross terms",
            words="no cross terms: w_t in its own residual alone",
            change=_set(cross=False),
            sides=("W",),
            origin="gradient",
        ),
        Variation(
            name=factor, words="1/2 before the coupling", change=times(0.5), sides=_VALUE, origin="value"
        ),
        Variation(name=factor, words="the coupling doubled", change=times(2.0), sides=_VALUE, origin="value"),
        Variation(
            name="gradient without its factor 2",
            words="a gradient of the coupling without its factor 2",
            change=_set(slope_of_coupling=0.5),
            sides=("WB", "W"),
            origin="gradient",
        ),
        Variation(name="coupling 0", words="coupling 0", change=_set(coupling=0.0)),
        Variation(
            name="norm not squared", words="the norm of the coupling not squared", change=_set(norm="norm")
        ),
        Variation(
            name="norm not squared", words="norms of columns, not squared", change=_set(norm="columns")
        ),
    ]


def _of_weights(question: Question) -> list[Variation]:
    right, found = question.right, []
    ones = np.ones(right.T)
    if not np.allclose(right.task_weights, 1.0, rtol=1e-12):
        name = "task weights ignored"
        found += [
            Variation(name=name, words="task weights 1", change=_set(task_weights=ones, price_weights=ones)),
            Variation(name=name, words="task weights 1 in the penalty", change=_set(price_weights=ones)),
            Variation(name=name, words="task weights 1 but in the penalty", change=_set(task_weights=ones)),
        ]
    if question.sample_weight is not None:
        found += unweighted(right, mean=question.reduction == "mean")
    return found


def _of_old_losses(question: Question) -> list[Variation]:
    """The prices made of the losses of an earlier W: of the start, or of W = 0."""
    right = question.right
    if right.T == 1:
        return []
    earlier: list[tuple[str, Array]] = [
        ("the losses of W = 0", right.losses(np.zeros_like(question.start.W)))
    ]
    if question.task is None and question.count is None:
        earlier.append(("the losses of the start", right.losses(question.start.W)))
    return [
        Variation(
            name="stale losses",
            words=f"edges priced by {words}",
            change=_set(held=losses),
            sides=("B",),
            origin="step",
        )
        for words, losses in earlier
    ]


__all__ = ["EVERYWHERE", "plain", "variations"]
