"""`amtl-cvx reference make`: a pack of a user's own problem and its answer, one that is there or a fit."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amtl_cvx.arrays import Array
from amtl_cvx.commands.certify import judge
from amtl_cvx.commands.foreign import read_point
from amtl_cvx.commands.named import translated
from amtl_cvx.commands.problem import stored_problem
from amtl_cvx.commands.settings import admit
from amtl_cvx.commands.setup import interruptible
from amtl_cvx.console import note, say
from amtl_cvx.errors import DataError, Exit
from amtl_cvx.families import family_of
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.progress import Progress
from amtl_cvx.reference.made import Proofs, Said, ask_of, family_words, made_pack
from amtl_cvx.solution import Status

_TOL = 1e-12
"""Tolerance of a fit that is made for a pack, whose answer is to be of first order at this."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Answer:
    """A problem of any family, its answer, and what was found of it."""

    problem: Any
    blocks: Mapping[str, Array]
    certificate: Any
    order: Sequence[int] | None
    said: str
    advice: str
    proofs: Proofs


def run(arguments: Namespace) -> Exit:
    """`amtl-cvx reference make`."""
    out: Path = arguments.out
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"{out} exists and is not empty: it is left alone, choose another --out")
    said = Said(
        name=arguments.name or _name(out),
        title=arguments.title or "",
        source=str(Path(arguments.data).name),
        grade=arguments.grade,
        traits=tuple(arguments.trait),
    )
    admit(arguments)
    arguments = translated(arguments)
    with interruptible(), Progress(quiet=arguments.quiet, tol=_TOL) as progress:
        answer = _stored(arguments) if arguments.solution is not None else _fitted(arguments, progress)
        passes = answer.certificate.passes
        if passes or arguments.uncertified:
            progress.phase("computing what the pack claims")
            pack = made_pack(
                out,
                problem=answer.problem,
                blocks=answer.blocks,
                ask=ask_of(answer.certificate.kind),
                said=said if said.title else Said(**{**vars(said), "title": family_words(answer.problem)}),
                order=answer.order,
                proofs=answer.proofs,
                prove=arguments.prove,
            )
    if not (passes or arguments.uncertified):
        note(f"nothing was written: {answer.certificate.verdict()}")
        note(answer.advice)
        return Exit.UNCERTIFIED
    if not arguments.quiet:
        say(answer.said, *_lines(pack, out, prove=arguments.prove))
    return Exit.DONE


def _stored(arguments: Namespace) -> _Answer:
    """The answer of a run, or of any file, judged as `certify` does."""
    stored = read_point(arguments.solution, method=arguments.method)
    problem = stored_problem(arguments, stored, rows=True)
    judged = judge(arguments, stored, problem)
    if judged.foreign:
        raise DataError(next(iter(judged.notes), "the run is of other data: give the data of the run"))
    advice = ""
    if not judged.certificate.passes:
        try_ = stored.family.advice(judged.certificate, problem.model, stored.blocks)
        advice = judged.advice or f"next: {try_}, or --uncertified to write it as it is"
    return _Answer(
        problem=stored.family.problem(problem.tasks, problem.model),
        blocks=judged.reading.blocks,
        certificate=judged.certificate,
        order=getattr(judged.reading.point, "order", None),
        said=judged.reading.order,
        advice=advice,
        proofs=Proofs.of(arguments.solution, problem.tasks),
    )


def _fitted(arguments: Namespace, progress: Progress) -> _Answer:
    """The answer of a fit, where only the problem is given."""
    problem = stored_problem(arguments, None, rows=True)
    family = family_of(problem.model)
    tol = _TOL if arguments.tol is None else arguments.tol
    progress.phase("fitting")
    options = Options(tol=tol, callback=progress.record)
    found = fit(problem.tasks, problem.model, method=arguments.method, options=options)
    if found.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    return _Answer(
        problem=family.problem(problem.tasks, problem.model),
        blocks=found.blocks,
        certificate=found.certificate,
        order=found.order,
        said=f"fitted: {found.certificate.verdict()}",
        advice="next: fit it by `amtl-cvx fit`, which has more options, and give the run",
        proofs=Proofs(),
    )


def _lines(pack: Any, out: Path, *, prove: bool) -> list[str]:
    """What was written, and what to do next."""
    there = (("proven digits", pack.digits), ("the proof of a bound", pack.proof))
    kept = [word for word, content in there if content is not None]
    more = f", with {' and '.join(kept)}" if kept else ""
    lines = [f"wrote {out}: the pack {pack.name}, level {pack.claims['level']}{more}"]
    if prove and pack.digits is None:
        lines.append(f"no digits are proven: {pack.claims.get('digits_why')}")
    return [*lines, f"next: amtl-cvx reference verify {out}"]


def _name(out: Path) -> str:
    """What a pack is called by its folder."""
    return re.sub(r"[^a-z0-9.]+", "-", out.absolute().name.lower()).strip("-.")
