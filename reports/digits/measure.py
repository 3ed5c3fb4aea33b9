"""Measure what is proved about digits: radius, time, what is refused, and the exact half-steps.

    python reports/digits/measure.py

writes figures.json and README.md beside itself. The instances are those of the tests (tests/proven.py).
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import flint
import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "reports")]

from cases import mu_max, random_tasks  # noqa: E402
from machine import machine  # noqa: E402
from others import others  # noqa: E402
from page import page  # noqa: E402
from proven import (  # noqa: E402
    DEGENERATE,
    KINK_DEGENERATE,
    Point,
    instance,
    quantile_saddle,
    solved,
    split_duplicates,
)

from amtl_cvx import LossWeightedL1, Model, TaskSet  # noqa: E402
from amtl_cvx.digits import ProvenPoint, exact_prices, exact_transfer, exact_weights, prove  # noqa: E402
from amtl_cvx.errors import NotCertifiable  # noqa: E402
from amtl_cvx.losses import LOSSES, make_loss  # noqa: E402

SEED = 1
LARGER = (
    ("squared", 8, 10, 40),
    ("logistic", 8, 10, 40),
    ("squared-hinge", 8, 10, 40),
    ("squared", 15, 10, 40),
    ("logistic", 20, 15, 60),
    ("squared", 25, 15, 60),
    ("logistic", 10, 20, 2000),
)
"""Loss, T, d, rows a task."""
TRANSFERS = ((5, 4), (10, 8), (30, 10), (30, 40))
WEIGHTS = ((4, 3), (10, 8), (20, 8))
"""T, d of the exact half-steps."""


Row = dict[str, Any]


def twenty() -> tuple[list[Row], list[Point]]:
    """The twenty random problems, proved."""
    rows, points = [], []
    for seed in range(20):
        tasks, model = instance(seed)
        solution = solved(tasks, model)
        points.append(Point(tasks, model, solution.W, solution.B))
        rows.append({"seed": seed, "loss": model.loss.name} | figures(prove(*points[-1])))
    return rows, points


def figures(found: ProvenPoint) -> Row:
    """What the tables show of a proof."""
    return {
        "unknowns": found.unknowns,
        "edges": len(found.support),
        "radius": found.radius,
        "isolation": found.isolation,
        "distance": found.distance,
        "minimum": found.strict_local_min,
        "multiplier": finite(found.min_multiplier),
        "positive_B": finite(found.min_positive_B),
        "seconds": found.seconds,
        "objective": found.objective,
    }


def finite(value: float) -> float | None:
    """None for the minimum over nothing."""
    return value if np.isfinite(value) else None


def refusal(point: Point) -> tuple[str, float]:
    """Why a point is not certifiable ("" where it is), and the seconds it took to say so."""
    start = time.perf_counter()
    try:
        prove(*point)
    except NotCertifiable as reason:
        return str(reason), time.perf_counter() - start
    return "", time.perf_counter() - start


def tampered(points: list[Point]) -> list[Row]:
    """The twenty points, spoiled in every way listed: how many of them are refused."""
    kinds: dict[str, list[Point]] = {
        "every entry of W moved by 1e-2 of the largest": [],
        "B multiplied by 1.01": [],
        "an edge removed (each in turn)": [],
        "an edge of 1e-12 added (each in turn)": [],
        "B transposed": [],
    }
    moved, scaled, fewer, more, transposed = kinds.values()
    rng = np.random.default_rng(SEED)
    for point in points:
        W, B = point.W, point.B
        moved.append(point._replace(W=W + 1e-2 * np.abs(W).max() * rng.choice([-1.0, 1.0], size=W.shape)))
        if B.any():
            scaled.append(point._replace(B=1.01 * B))
        if not np.array_equal(B > 0, B.T > 0):
            transposed.append(point._replace(B=B.T.copy()))
        for s, t in np.ndindex(B.shape):
            if s != t:
                other = B.copy()
                other[s, t] = 0.0 if B[s, t] > 0 else 1e-12
                (fewer if B[s, t] > 0 else more).append(point._replace(B=other))
    return [
        {"what": what, "points": len(spoiled), "refused": sum(bool(refusal(point)[0]) for point in spoiled)}
        for what, spoiled in kinds.items()
    ]


def degenerate() -> list[Row]:
    """Points that are degenerate on purpose."""
    found = []
    for name, (point, _) in (DEGENERATE | KINK_DEGENERATE).items():
        reason, seconds = refusal(point)
        found.append({"what": name, "answer": reason or "PROVED", "seconds": seconds})
    return found


def larger() -> list[Row]:
    """Problems of up to a few hundred unknowns."""
    rows = []
    for loss, T, d, n in LARGER:
        tasks, model = drawn(loss, T, d, n)
        solution = solved(tasks, model)
        proved = figures(prove(tasks, model, solution.W, solution.B))
        rows.append({"loss": loss, "T": T, "d": d, "rows": n} | proved)
    return rows


def drawn(loss: str, T: int, d: int, n: int) -> tuple[TaskSet, Model]:
    """Random tasks and a mu at which some edges stay."""
    tasks = random_tasks(
        np.random.default_rng(SEED), loss="squared" if loss == "squared" else "logistic", d=d, counts=[n] * T
    )
    model = Model(
        loss=LOSSES[loss](),
        transfer=LossWeightedL1(mu=1.0),
        coupling=1.0 if loss == "squared" else 0.05,
    )
    return tasks, replace(model, transfer=LossWeightedL1(mu=0.2 * mu_max(tasks, model)))


def exact() -> list[Row]:
    """The half-steps over the rationals, at fitted points; the B-step from the fit's support."""
    rows = []
    for step, shapes in (("B", TRANSFERS), ("W", WEIGHTS)):
        for T, d in shapes:
            tasks, model = drawn("squared", T, d, 2 * d)
            solution = solved(tasks, model)
            start = time.perf_counter()
            if step == "B":
                prices = exact_prices(tasks, model, solution.W)
                found = exact_transfer(solution.W, prices, model.coupling, support=solution.B)
                answer, edges = str(found.gap), sum(b > 0 for row in found.B for b in row)
            else:
                answer, edges = (
                    str(exact_weights(tasks, model, solution.B).gradient),
                    int((solution.B > 0).sum()),
                )
            seconds = time.perf_counter() - start
            rows.append({"step": step, "T": T, "d": d, "edges": edges, "answer": answer, "seconds": seconds})
    return rows


def exact_pieces() -> list[Row]:
    """W-steps over the rationals of the other losses of polynomial pieces."""
    rows = []
    for label in ("huber:0.8", "squared-hinge", "hinge", "quantile:0.7"):
        for T, d in WEIGHTS[:2]:
            rng = np.random.default_rng(SEED)
            loss = make_loss(label)
            kind = "squared" if label[0] in "hq" and not loss.classification else "logistic"
            tasks = random_tasks(rng, loss=kind, d=d, counts=[2 * d] * T)
            model = Model(loss=loss, transfer=LossWeightedL1(mu=0.1), coupling=0.1)
            B = np.round(0.3 * rng.random((T, T)), 2) * (1 - np.eye(T))
            start = time.perf_counter()
            found = exact_weights(tasks, model, B)
            answer = f"{found.gap} and {found.gradient}"
            rows.append(
                {"loss": label, "T": T, "d": d, "answer": answer, "seconds": time.perf_counter() - start}
            )
    return rows


def main() -> None:
    """Measure and write."""
    proofs, points = twenty()
    found = {
        "machine": f"{machine()[:-1]}, python-flint {flint.__version__};"
        f" load average {os.getloadavg()[0]:.1f} at the start.",
        "seed": SEED,
        "twenty": proofs,
        "tampered": tampered(points),
        "degenerate": degenerate(),
        "saddle": figures(prove(*split_duplicates())),
        "kinked saddle": figures(prove(*quantile_saddle())),
        "others": others(),
        "larger": larger(),
        "exact": exact(),
        "exact pieces": exact_pieces(),
    }
    (HERE / "figures.json").write_text(json.dumps(found, indent=1) + "\n")
    (HERE / "README.md").write_text(page(found))


if __name__ == "__main__":
    main()
