"""Proven digits of shared features: how often level C4 is reached, with how many unknowns, in what time.

    python reports/features/proofs.py

writes proofs.json and proofs.md beside itself. The fits are the planted ones of `refinement`, and ten small
ones of every smooth loss with up to 60 unknowns. Every proof is tried on the fitted point and on the same
point with one entry of S left out, of which none may be proved. Seconds are CPU seconds of the process, the
fit not included.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from refinement import FEEDBACKS, SEEDS, SETTINGS, TOL, K, machine, planted

from amtl_cvx import Options, TaskSet, fit
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.features import FEATURES, FeatureModel, FeaturePoint, FeatureProblem
from amtl_cvx.features.proven import prove_features

HERE = Path(__file__).resolve().parent
LOSSES = ("squared", "logistic", "huber", "squared-hinge")
SMALL = 10
"""Small problems, T = 5, d = 6, k = 4."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fit and its proof."""

    loss: str
    feedback: str
    seed: int
    weights: dict[str, float]
    level: str | None
    unknowns: int
    radius: float | None
    distance: float | None
    isolation: float | None
    seconds: float
    objective: str
    """J of the proven point."""
    other_refused: bool
    """Whether the point without an entry of S is refused."""
    reason: str = ""


def small(seed: int) -> tuple[TaskSet, FeatureModel]:
    """Labels are the signs of targets."""
    rng, loss = np.random.default_rng(seed), LOSSES[seed % len(LOSSES)]
    W = rng.standard_normal((6, 4)) @ (rng.standard_normal((4, 5)) * (rng.random((4, 5)) < 0.6))
    X = rng.standard_normal((5, 20, 6))
    y = np.einsum("tnd,dt->tn", X, W) + 0.5 * rng.standard_normal((5, 20))
    y = np.sign(y) if loss in ("logistic", "squared-hinge") else y / y.std(axis=1, keepdims=True)
    model = FeatureModel(loss=loss, features=4, mu=0.03, alpha=0.3, gamma=0.003, decay=0.02)
    return TaskSet.from_arrays(list(X), list(y)), replace(model, feedback=FEEDBACKS[seed // 4 % 2])


def proved(tasks: TaskSet, model: FeatureModel, seed: int) -> Row:
    """One fit and its proof."""
    found = fit(tasks, model, method="amtfl-linear", options=Options(tol=TOL))
    problem, began = FeatureProblem(tasks, model), time.process_time()
    climbed = FEATURES.climb(found.certificate, problem, found.blocks, level="C4", limit=600.0)
    seconds, certificate, proof = time.process_time() - began, climbed.certificate, climbed.proven
    return Row(
        loss=model.loss.label,
        feedback=model.feedback,
        seed=seed,
        weights={name: getattr(model, name) for name in ("alpha", "mu", "gamma", "decay")},
        level=certificate.level,
        unknowns=0 if proof is None else proof.unknowns,
        radius=certificate.proven_radius,
        distance=certificate.proven_distance,
        isolation=certificate.proven_isolation,
        seconds=seconds,
        objective="" if proof is None else proof.objective,
        other_refused=refused(without_an_entry(problem.at(**found.blocks))),
        reason=certificate.reasons.get("C4", certificate.reasons.get("C3", "")),
    )


def without_an_entry(point: FeaturePoint) -> FeaturePoint:
    """The point with the least entry of S put to 0."""
    sizes = np.where(point.S != 0.0, np.abs(point.S), np.inf)
    return point.at(S=np.where(sizes == sizes.min(), 0.0, point.S))


def refused(point: FeaturePoint) -> bool:
    try:
        prove_features(point)
    except NotCertifiable:
        return True
    return False


def table(rows: list[Row]) -> list[str]:
    head = "| loss | alpha | mu | gamma | decay | feedback | seed | level | unknowns | radius | CPU s | J |"
    return [
        head,
        "|" + "---|" * 12,
        *(
            f"| {row.loss} | {' | '.join(f'{value:g}' for value in row.weights.values())} | {row.feedback} |"
            f" {row.seed} | {row.level} | {row.unknowns} | {row.radius or float('nan'):.1e} |"
            f" {row.seconds:.2f} | {row.objective[:24]} |"
            for row in rows
        ),
        *(f"\n{row.loss}, seed {row.seed}: {row.reason}" for row in rows if row.level != "C4"),
    ]


def words(rows: list[Row]) -> list[str]:
    done = [row for row in rows if row.level == "C4"]
    return [
        f"- C4: {len(done)} of {len(rows)}",
        f"- unknowns {min(row.unknowns for row in done)} to {max(row.unknowns for row in done)}, CPU seconds"
        f" of a proof {min(row.seconds for row in done):.2f} to {max(row.seconds for row in done):.2f}",
        f"- largest radius {max(row.radius or 0.0 for row in done):.1e}, largest distance of a stored entry"
        f" {max(row.distance or 0.0 for row in done):.1e}",
        f"- refused with an entry of S left out: {sum(row.other_refused for row in rows)} of {len(rows)}",
    ]


def main() -> None:
    large = [
        proved(planted(seed), FeatureModel(features=K, feedback=feedback, **weights), seed)
        for weights in SETTINGS
        for feedback in FEEDBACKS
        for seed in SEEDS
    ]
    little = [proved(*small(seed), seed) for seed in range(SMALL)]
    where = machine()
    stored = {
        "machine": where,
        "planted": [asdict(row) for row in large],
        "small": [asdict(row) for row in little],
    }
    (HERE / "proofs.json").write_text(json.dumps(stored, indent=1) + "\n")
    page = [
        "# Proven digits of shared features",
        "",
        f"Written by `python reports/features/proofs.py`; do not edit. {where}",
        "",
        "Krawczyk's test in ball arithmetic on L of the live features and the entries of S and A that are not"
        " 0; J to 24 of 40 digits.",
        "",
        "## Planted, T = 12, d = 20, k = 6",
        "",
        *words(large),
        "",
        *table(large),
        "",
        "## Small, T = 5, d = 6, k = 4, four losses",
        "",
        *words(little),
        "",
        *table(little),
        "",
    ]
    (HERE / "proofs.md").write_text("\n".join(page))


if __name__ == "__main__":
    main()
