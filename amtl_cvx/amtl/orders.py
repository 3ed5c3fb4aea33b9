"""W and B in another order: by names that are known, and one that is found because the point then passes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from amtl_cvx.alignment import Arrangement, align
from amtl_cvx.arrays import Indices
from amtl_cvx.certificate import Certificate
from amtl_cvx.families import Found
from amtl_cvx.problem import Blocks, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.untrusted import shown


def arranged(found: Found, *, tasks: Indices | None, features: Indices | None) -> Found:
    """W and B, and the order of a curriculum, in another order of the tasks and the features."""
    point = Arrangement(W=found.blocks["W"], B=found.blocks["B"])
    point = point if tasks is None else point.by_tasks(tasks)
    point = point if features is None else point.by_features(features)
    return found._replace(blocks={"W": point.W, "B": point.B}, order=point.learned(found.order))


def repair(problem: Problem, point: Blocks, *, judge: Callable[[Blocks], Certificate]) -> str | None:
    """What makes a point pass that does not, if it is an order or a transpose; None otherwise."""

    def judged(found: Arrangement) -> Certificate:
        return judge(Blocks(found.W, found.B, found.learned(point.order), point.ridge))

    found = align(problem.at(point.W, point.B), judge=judged)
    return None if found is None else _repair_line(found, problem.tasks)


def _repair_line(found: Arrangement, tasks: TaskSet) -> str:
    certificate = found.certificate
    assert certificate is not None
    faults, cures = [], []
    flips = [name for name, flipped in (("W", found.flipped_W), ("B", found.flipped_B)) if flipped]
    if flips:
        faults.append(f"{' and '.join(flips)} of the file {'are' if flips[1:] else 'is'} transposed")
        cures.append(f"transpose {' and '.join(flips)}")
    if found.tasks is not None:
        names = shown([tasks.names[int(t)] for t in np.argsort(found.tasks)])
        whose = "the tasks of the file are" if found.with_B else "the columns of W are"
        faults.append(f"{whose} in another order ({names})")
        blocks = "columns of W and rows and columns of B" if found.with_B else "columns of W alone"
        cures.append(f"reorder {blocks} to {found.tasks.tolist()}")
    if found.features is not None:
        names = ""
        if tasks.feature_names is not None:
            order = np.argsort(found.features)
            names = f" ({shown([tasks.feature_names[int(j)] for j in order])})"
        faults.append(f"the features of the file are in another order{names}")
        cures.append(f"reorder rows of W to {found.features.tolist()}")
    end = "then it passes" if certificate.passes else "then it comes nearer, but does not pass"
    counted = " (counted from 0)" if found.tasks is not None or found.features is not None else ""
    return (
        f"next: {'; '.join(faults)}: {', then '.join(cures)}{counted}, {end}, with relative residual"
        f" {certificate.relative:.1e}"
    )
