"""Streamed data in commands: which rows stay in memory, the held-out part, the certificate of the rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from amtl_cvx.certificate import Certificate
from amtl_cvx.data import Dataset, evaluate
from amtl_cvx.data import hold_out as hold_out_rows
from amtl_cvx.data.stream import Observe
from amtl_cvx.families import family_of
from amtl_cvx.holdout import Split, hold_out
from amtl_cvx.losses import LOSSES, Loss
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model
from amtl_cvx.solution import Solution, Status
from amtl_cvx.tasks import Array, TaskSet


def keep_rows(loss: str | None) -> bool | None:
    """Whether a loss, by its label, needs the rows in memory; None where the data decide (auto)."""
    name = str(loss).partition(":")[0]
    return None if name not in LOSSES else not LOSSES[name].quadratic


def split_rows(
    dataset: Dataset,
    preparation: Preparation,
    counting: Callable[[str], Observe],
    *,
    validation: bool,
) -> Callable[[TaskSet, Loss, np.random.Generator], Split]:
    """What gives the held-out part of `dataset`: `hold_out`, or one more pass over streamed rows.

    With `validation` it is the validation part, and all training rows are trained on.
    """
    rows, known = dataset.rows, dataset.validation
    if validation and known is not None:
        prepared = preparation.apply_tasks(known)
        index = tuple(map(dataset.train.index, known.names))
        return lambda tasks, loss, rng: (tasks, prepared, index)
    if rows is None:
        return hold_out

    def split(tasks: TaskSet, loss: Loss, rng: np.random.Generator) -> Split:
        train, held, index = hold_out_rows(rows, rng, observe=counting("holding out rows"))
        prepared = None if held is None else preparation.apply_tasks(held)
        return preparation.apply_tasks(train), prepared, index

    return split


def confirmed(
    certificate: Certificate,
    dataset: Dataset,
    model: Model,
    blocks: Mapping[str, Array],
    *,
    preparation: Preparation,
    observe: Observe | None = None,
) -> Certificate:
    """The certificate of blocks, held against the rows where they are streamed."""
    if dataset.rows is None:
        return certificate
    family = family_of(model)
    sums = evaluate(dataset.rows, family.predictors(blocks), model.loss, preparation, observe=observe)
    found: Certificate = family.confirm(certificate, preparation.apply_tasks(dataset.train), model, sums)
    return found


def confirmed_solution(
    solution: Solution, dataset: Dataset, preparation: Preparation, counting: Callable[[str], Observe]
) -> Solution:
    """The solution with the certificate of the rows; after an interrupt one that does not pass."""
    if dataset.rows is None:
        return solution
    certificate, status = solution.certificate, solution.status
    try:
        if status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        certificate = confirmed(
            certificate,
            dataset,
            solution.model,
            solution.blocks,
            preparation=preparation,
            observe=counting("judging on the rows"),
        )
        if status is Status.CERTIFIED and not certificate.passes:
            status = Status.STALLED
    except KeyboardInterrupt:
        reasons = {**certificate.reasons, "rows": "the rows were not read again, the run was interrupted"}
        level = None if certificate.level is None else "C0"
        certificate = dataclasses.replace(certificate, passes=False, level=level, reasons=reasons)
        status = Status.INTERRUPTED
    return dataclasses.replace(solution, certificate=certificate, status=status)
