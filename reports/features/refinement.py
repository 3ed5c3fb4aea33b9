"""Joint Newton on planted features and on digits: how far it gets, how fast, and what the points are worth.

    python reports/features/refinement.py

writes refinement.json and refinement.md beside itself. Each fit begins at the SVD of single-task predictors,
with A = 0, and is judged by the certificate; seconds are CPU seconds of the process, start included, judge
not. A point counts where at least half of the features are live and J is below that of the zero point, which
meets all first-order conditions whatever the data say. Random problems have any loss, sizes and weights over
orders of magnitude; for them J is looked at after every step.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reports"), str(HERE)]

from instances import (  # noqa: E402
    DIGITS,
    FEEDBACKS,
    RANDOM,
    ROWS,
    SEEDS,
    SETTINGS,
    D,
    K,
    T,
    digits,
    planted,
    random_problem,
)
from machine import machine  # noqa: E402

from amtl_cvx import Options, TaskSet, fit  # noqa: E402
from amtl_cvx.features import FeatureModel, FeatureProblem  # noqa: E402
from amtl_cvx.features.certificate import certify, strict_local  # noqa: E402
from amtl_cvx.features.newton import refine  # noqa: E402
from amtl_cvx.features.starts import start_of  # noqa: E402

TOL, SECONDS, DIGITS_SECONDS, LEAST, SHARE = 1e-10, 10.0, 60.0, 46, 0.9


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fit."""

    name: str
    feedback: str
    seed: int
    alpha: float
    mu: float
    gamma: float
    decay: float
    steps: int
    ended: str
    seconds: float
    residual: float
    level: str | None
    curvature: float | None
    balance: float
    live: int
    used: int
    fed_back: int
    share: float
    """J over J of the zero point."""
    fit_seconds: float
    """Of a whole fit: preparation, rounds of the alternation, the same refinement, its certificate."""
    fit_residual: float
    fit_passes: bool
    """At `TOL`, with half of its features live, below the zero point."""

    @property
    def counts(self) -> bool:
        return self.live >= K / 2 and self.share < 1.0

    @property
    def meets(self) -> bool:
        return self.counts and self.residual <= TOL and self.seconds <= SECONDS


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One random problem."""

    seed: int
    loss: str
    feedback: str
    ended: str
    steps: int
    seconds: float
    residual: float
    level: str | None
    live: int
    rise: float
    """The largest rise of J in a step, over J."""


def fitted(name: str, tasks: TaskSet, model: FeatureModel, seed: int) -> Row:
    """By refinement alone, and by a whole fit."""
    began = time.process_time()
    problem = FeatureProblem(tasks, model)
    found = refine(start_of(problem.compressed()), tol=TOL / 10.0)
    seconds = time.process_time() - began
    point = problem.at(**found.point.blocks)
    certificate = strict_local(certify(point, tol=TOL), point)
    began = time.process_time()
    judged = fit(tasks, model=model, options=Options(tol=TOL)).certificate
    below = judged.objective < judged.zero_objective
    return Row(
        name=name,
        feedback=model.feedback,
        seed=seed,
        **{weight: getattr(model, weight) for weight in SETTINGS[0]},
        steps=found.steps,
        ended=found.ended,
        seconds=seconds,
        residual=certificate.relative,
        level=certificate.level,
        curvature=certificate.reduced_hessian_min,
        balance=certificate.balance,
        live=certificate.live_features,
        used=certificate.used,
        fed_back=certificate.fed_back or 0,
        share=certificate.objective / certificate.zero_objective,
        fit_seconds=time.process_time() - began,
        fit_residual=judged.relative,
        fit_passes=judged.passes and judged.live_features >= model.features / 2 and below,
    )


def drawn(seed: int) -> Drawn:
    """One random problem, J seen after every step."""
    began = time.process_time()
    problem = random_problem(seed)
    start = start_of(problem.compressed())
    seen = [start.objective]
    found = refine(start, tol=TOL / 10.0, observe=lambda point, _: seen.append(point.objective))
    seconds = time.process_time() - began
    point = problem.at(**found.point.blocks)
    certificate = strict_local(certify(point, tol=TOL), point)
    return Drawn(
        seed=seed,
        loss=problem.model.loss.label,
        feedback=problem.model.feedback,
        ended=found.ended,
        steps=found.steps,
        seconds=seconds,
        residual=certificate.relative,
        level=certificate.level,
        live=certificate.live_features,
        rise=max(0.0, *(after / before - 1.0 for before, after in pairwise(seen))),
    )


def measured() -> tuple[dict[str, list[Row]], list[Drawn]]:
    """All of them."""
    plain = [
        fitted("planted", planted(seed), FeatureModel(features=K, feedback=feedback, **weights), seed)
        for weights in SETTINGS
        for feedback in FEEDBACKS
        for seed in SEEDS
    ]
    images = digits()
    others = [
        fitted("digits", images, FeatureModel(loss="logistic", features=8, feedback=feedback, **weights), 0)
        for weights in DIGITS
        for feedback in FEEDBACKS
    ]
    return {"planted": plain, "digits": others}, [drawn(seed) for seed in RANDOM]


def words(rows: list[Drawn]) -> list[str]:
    """What became of the random problems."""
    ends = {name: [row for row in rows if row.ended == name] for name in sorted({row.ended for row in rows})}
    alive = [row for row in ends["converged"] if row.live]
    levels = {name: sum(row.level == name for row in alive) for name in ("C3", "C2", "C1", "C0")}
    return [
        f"{len(rows)} problems: 2 to 12 tasks, 2 to 20 columns, 1 to 8 features, 4 to 39 rows; alpha .01 to"
        " 3, mu and decay .001 to .2, gamma .0001 to 1.",
        "",
        *(f"- {name}: {len(those)}" for name, those in ends.items()),
        f"- of those that converged {len(ends['converged']) - len(alive)} are the zero point; the others by"
        f" level: {', '.join(f'{name} {count}' for name, count in levels.items() if count)}",
        f"- largest rise of J in a step, over J: {max(row.rise for row in rows):.1e}",
        f"- steps up to {max(row.steps for row in rows)}, CPU seconds up to"
        f" {max(row.seconds for row in rows):.2f}",
    ]


def lines(rows: list[Row]) -> list[str]:
    """A table."""
    names = (*SETTINGS[0], "feedback", "seed", "steps", "CPU s", "residual", "level", "J / J(0)", "live")
    return [
        f"| {' | '.join((*names, 'S', 'A', 'fit, CPU s', 'its residual'))} |",
        "|" + "---|" * 16,
        *(
            f"| {row.alpha:g} | {row.mu:g} | {row.gamma:g} | {row.decay:g} | {row.feedback} | {row.seed} |"
            f" {row.steps} | {row.seconds:.2f} | {row.residual:.1e} | {row.level} | {row.share:.3f} |"
            f" {row.live} | {row.used} | {row.fed_back} | {row.fit_seconds:.2f} | {row.fit_residual:.1e} |"
            for row in rows
        ),
    ]


def page(found: dict[str, list[Row]], draws: list[Drawn], where: str) -> str:
    """refinement.md."""
    plain, images = found["planted"], found["digits"]
    met, third = sum(row.meets for row in plain), sum(row.level == "C3" for row in plain)
    certified = sum(row.fit_passes and row.fit_seconds <= SECONDS for row in plain)
    holds = min(met, certified) >= LEAST and third >= SHARE * len(plain)
    kept = "holds" if holds else "does not hold"
    there = all(row.fit_passes and row.fit_seconds <= DIGITS_SECONDS for row in images)
    return "\n".join(
        [
            "# Refinement of shared features",
            "",
            f"Written by `python reports/features/refinement.py`; do not edit. {where}",
            "",
            f"Planted: T = {T}, d = {D}, k = {K}, {ROWS} rows a task, {len(SETTINGS)} settings, signed and"
            f" non-negative A, {len(SEEDS)} seeds, from the SVD of single-task predictors. S and A: entries"
            " that are not 0.",
            "",
            f"- residual at most {TOL:g} in at most {SECONDS:g} CPU s, at least {K // 2} live features, J"
            f" below the zero point: {met} of {len(plain)} (asked: {LEAST})",
            f"- C3: {third} of {len(plain)} (asked: {SHARE:.0%})",
            f"- steps {min(row.steps for row in plain)} to {max(row.steps for row in plain)}, CPU seconds"
            f" {min(row.seconds for row in plain):.2f} to {max(row.seconds for row in plain):.2f}",
            f"- largest residual {max(row.residual for row in plain):.1e}, largest miss of the balance"
            f" {max(row.balance for row in plain):.1e}",
            f"- a whole fit, with rounds of the alternation and the certificate: passes {certified} of"
            f" {len(plain)} in at most {max(row.fit_seconds for row in plain):.2f} CPU s",
            f"- this {kept}",
            "",
            *lines(plain),
            "",
            "## Digits",
            "",
            f"1797 images of 64 pixels, ten one-vs-rest tasks, logistic loss, k = 8; certified at {TOL:g}"
            f" within {DIGITS_SECONDS:g} CPU s: {'yes' if there else 'no'}.",
            "",
            *lines(images),
            "",
            "## Random problems",
            "",
            *words(draws),
            "",
        ]
    )


def main() -> None:
    (found, draws), where = measured(), machine()
    stored = {"machine": where, **{name: [asdict(row) for row in rows] for name, rows in found.items()}}
    stored["random"] = [asdict(row) for row in draws]
    (HERE / "refinement.json").write_text(json.dumps(stored, indent=1) + "\n")
    (HERE / "refinement.md").write_text(page(found, draws, where))


if __name__ == "__main__":
    main()
