"""`amtl-cvx reference judge --solution`: one answer from anywhere, held against the problem of a pack.

The answer is read as `certify` does, its tasks and features by their names, and is judged by the residuals
and gaps at itself, within the tolerances that the pack derives for a dtype; by its distance from the pack's
answer only in blocks that have no other one. Where it does not pass, an order or a transpose with which it
would is looked for, and the likely mistake.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.commands.foreign import in_data_order, read_point
from amtl_cvx.commands.output import ladder_lines
from amtl_cvx.commands.reference.selection import read_named
from amtl_cvx.console import say
from amtl_cvx.data.blocks import read_blocks
from amtl_cvx.errors import DataError, Exit, ModelError
from amtl_cvx.families import family_of
from amtl_cvx.methods import method_named
from amtl_cvx.reference import Pack
from amtl_cvx.runfolder import to_json

_STEPS: Mapping[str, tuple[str, str]] = {
    "w-step": ("W", "w_step"),
    "b-step": ("B", "b_step"),
    "one-task": ("w", "one_task"),
}
"""What a single step answers with, and what the judge calls it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """What became of an answer."""

    passes: bool
    lines: tuple[str, ...]
    figures: Mapping[str, Any]


def judge_answer(arguments: Namespace) -> Exit:
    """One answer to the problem of one pack."""
    if arguments.pack is None:
        raise ModelError(
            "--solution needs --pack, whose problem it answers: `amtl-cvx reference list` names packs"
        )
    pack = read_named(arguments.pack)
    dtype = arguments.dtype or "float64"
    judged = (_step if pack.ask in _STEPS else _whole)(pack, arguments.solution, dtype)
    if arguments.json:
        content = {"pack": pack.name, "dtype": dtype, "passes": judged.passes, **judged.figures}
        say(to_json({**content, "notes": list(judged.lines)}).rstrip())
    elif not arguments.quiet:
        say(*judged.lines)
    return Exit.DONE if judged.passes else Exit.UNCERTIFIED


def _whole(pack: Pack, path: Path, dtype: str) -> Judged:
    """All blocks: judged as `certify` does, by the tolerance of the dtype."""
    problem = pack.problem
    family = family_of(problem.model)
    limits = _limits(pack, dtype)
    if pack.ask == "single-task":
        (blocks, order), notes = _named_block(pack, path, "W"), []
        blocks = {"W": blocks["W"], "B": np.zeros((problem.tasks.T, problem.tasks.T))}
        point: Any = family.point(_found(blocks))
    else:
        reading = in_data_order(_stored(pack, path), problem.tasks, ridge=None)
        blocks, point, order, notes = dict(reading.blocks), reading.point, reading.order, list(reading.notes)
    names = {"single-task": "stl", "curriculum": "curriculum"}
    method = method_named(names.get(pack.ask, family.default_method), family=family.name)
    tol = max(float(limits.get("relative") or 0.0), 1e-12)
    certificate = method.judge(problem.tasks, problem.model, point, tol)
    rungs = [line for line in ladder_lines(certificate) if " not tried " not in line]
    lines = [certificate.verdict(), *rungs, order, *(f"note: {note}" for note in notes)]
    figures: dict[str, Any] = {"certificate": certificate.to_dict()}
    passes = bool(certificate.passes)
    if passes:
        passes, more, compared = _compared(pack, blocks, certificate.objective, limits)
    else:
        _, more, compared = _compared(pack, blocks, certificate.objective, {})
        advice = family.repair(
            problem, point, judge=lambda other: method.judge(problem.tasks, problem.model, other, tol)
        )
        more += [advice] if advice else []
        more += _causes(pack, "fit", blocks, limits, dtype)
        if dtype == "float64" and certificate.relative <= float(
            _limits(pack, "float32").get("relative") or 0.0
        ):
            more.append("next: it is as near as single precision gets: --dtype float32 judges it so")
    return Judged(passes=passes, lines=(*lines, *more), figures=figures | compared)


def _step(pack: Pack, path: Path, dtype: str) -> Judged:
    """A single step: judged by its gap and residual."""
    from amtl_cvx.reference.claims.finding import facts_of

    name, quantity = _STEPS[pack.ask]
    blocks, order = _named_block(pack, path, name)
    limits = _limits(pack, dtype)
    facts = facts_of(pack.problem, pack.ask, blocks, pack.given, task=pack.task, extras=False, proof=None)
    found = facts.certificate
    small = found["gap"] is not None and found["gap"] <= max(float(limits["gap"]), float(found["limit"]))
    flat = found["relative"] <= max(float(limits["relative"]), float(found["tol"]))
    passes = bool(found["feasibility"] <= 0.0 and small and flat)
    word = "passes" if passes else "does not pass"
    lines = [
        f"{pack.ask} of {pack.name} {word} in {dtype}: it can gain up to {found['gap']:.2g} (limit"
        f" {max(float(limits['gap']), float(found['limit'])):.2g}), relative residual {found['relative']:.2g}"
        f" (limit {max(float(limits['relative']), float(found['tol'])):.2g})",
        order,
    ]
    if found["feasibility"] > 0.0:
        lines.append(f"B is not feasible, it misses its set by {found['feasibility']:.2g}")
    close, more, compared = _compared(pack, blocks, facts.objective, limits if passes else {})
    if not passes:
        more += _causes(pack, quantity, blocks, limits, dtype)
    return Judged(
        passes=passes and close, lines=(*lines, *more), figures={"certificate": dict(found)} | compared
    )


def _stored(pack: Pack, path: Path) -> Any:
    """The blocks of a file, of the family of the pack."""
    model = pack.problem.model
    family = family_of(model)
    method = {"curriculum": "curriculum", "single-task": "stl"}.get(pack.ask, family.default_method)
    stored = read_point(path, method=method)
    if stored.family.name != family.name:
        raise DataError(
            f"{path.name} is a run of {stored.family.name!r}, the pack is of {family.name!r}: give its own"
        )
    return stored


def _named_block(pack: Pack, path: Path, name: str) -> tuple[dict[str, Array], str]:
    """One block of a file, its tasks and features in the order of the pack where the file names them."""
    tasks, family = pack.problem.tasks, family_of(pack.problem.model)
    axes = {"w": ("feature", ""), **family.axes}
    found = read_blocks(path, required=(name,), optional=("task_names", "feature_names"), axes=axes)
    block = np.asarray(found[name])
    shape = {"W": (tasks.d, tasks.T), "B": (tasks.T, tasks.T), "w": (tasks.d,)}[name]
    if name == "w" and block.ndim == 2 and 1 in block.shape:
        block = block.ravel()
    if block.shape != shape or block.dtype.kind not in "fiu":
        turned = ": save its transpose" if block.shape[::-1] == shape != block.shape else ""
        raise DataError(f"{name} must have shape {shape}, it has {block.shape} of {block.dtype}{turned}")
    block = block.astype(np.float64)
    if not np.isfinite(block).all():
        raise DataError(f"{name} must hold finite numbers, it has NaN or infinity: check how it was written")
    by_name = []
    for axis, what in enumerate(axes[name][: block.ndim]):
        own = {"task": tasks.names, "feature": tasks.feature_names}.get(what)
        theirs = found.get(f"{what}_names")
        if own is None or theirs is None:
            continue
        if sorted(own) != sorted(theirs):
            raise DataError(
                f"{what}_names of the solution must be those of the pack: {', '.join(own[:6])}, ..."
            )
        block = np.take(block, [list(theirs).index(each) for each in own], axis=axis)
        by_name.append(f"{what}s")
    said = (
        f"{' and '.join(dict.fromkeys(by_name))} by the names of the solution"
        if by_name
        else "as in the pack"
    )
    return {name: block}, f"order: {said}"


def _found(blocks: Mapping[str, Array]) -> Any:
    from amtl_cvx.families import Found

    return Found(blocks)


def _limits(pack: Pack, dtype: str) -> Mapping[str, Any]:
    limits: Mapping[str, Any] = (pack.claims.get("tolerances") or {}).get(dtype) or {}
    return limits


def _compared(
    pack: Pack, blocks: Mapping[str, Array], objective: float, limits: Mapping[str, Any]
) -> tuple[bool, list[str], dict[str, Any]]:
    """J and the distance from the answers that are known; within the limits, if there are any."""
    J = float.fromhex(pack.claims["objective"]["hex"])
    known = [J, *(_value(other["objective"]) for other in pack.claims.get("minima") or ())]
    near, place = min((_apart(blocks, other), k) for k, other in enumerate((pack.solution, *pack.minima)))
    which = "the answer of the pack" if place == 0 else f"another known point of it, minimum {place}"
    above = objective - known[place]
    lines = [
        f"J {objective!r}; at {which} J is {known[place]!r}, this one lies {above:+.2g} above",
        f"nearest is {which}: the largest entry is off by {near:.2g} of the largest entry of its block",
    ]
    figures = {"objective": objective, "above": above, "distance": near, "nearest": place}
    flags = pack.claims.get("unique") or {}
    settled = place == 0 and all(flags.get(name) for name in blocks if name in pack.solution)
    x = limits.get("x")
    if settled and x is not None and near > float(x) and pack.ask != "joint":
        lines.append(f"the answer is unique, and may be off by {float(x):.2g}: it is another one")
        return False, lines, figures
    if limits.get("objective") is not None and above > float(limits["objective"]) and place == 0:
        lines.append(
            f"J may be off by {float(limits['objective']):.2g}: another first-order point, and a higher one"
        )
    return True, lines, figures


def _value(objective: Any) -> float:
    return float.fromhex(objective) if isinstance(objective, str) else float(objective)


def _apart(blocks: Mapping[str, Array], other: Mapping[str, Array]) -> float:
    """The largest entry off, over the largest entry of its block; infinite where the shapes differ."""
    worst = 0.0
    for name, block in blocks.items():
        if name in other and block.dtype.kind == "f":
            if other[name].shape != block.shape:
                return float("inf")
            unit = float(np.abs(other[name]).max(initial=0.0)) or 1.0
            worst = max(worst, float(np.abs(block - other[name]).max(initial=0.0)) / unit)
    return worst


def _causes(
    pack: Pack, quantity: str, blocks: Mapping[str, Array], limits: Mapping[str, Any], dtype: str
) -> list[str]:
    """The likely mistakes, in words; none for a family or an ask that the judge does not know."""
    if family_of(pack.problem.model).name != "amtl" or pack.ask in ("curriculum", "single-task"):
        return []
    from amtl_cvx.reference.judge import Asked, Failure
    from amtl_cvx.reference.judge.causes import causes_of

    ask = "fit" if quantity == "fit" else pack.ask
    asked = Asked.of(
        pack.problem, ask, W=pack.given.get("W"), B=pack.given.get("B"), task=pack.task, dtype=dtype
    )
    failure = Failure(
        check=f"answer/{pack.name}",
        asked=asked,
        problem=pack.problem,
        quantity=quantity,  # type: ignore[arg-type]
        answer={name: block for name, block in blocks.items() if block.dtype.kind == "f"},
        right=dict(pack.solution),
        limit=float(limits.get("relative") or 1e-8),
        pack=pack,
    )
    return [f"likely cause: {cause.sentence}; {cause.fix}" for cause in causes_of(failure)]
