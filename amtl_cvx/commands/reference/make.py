"""`amtl-cvx reference make`: a pack of a user's own problem and its answer."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path

from amtl_cvx.commands.certify import judge
from amtl_cvx.commands.foreign import read_point
from amtl_cvx.commands.problem import stored_problem
from amtl_cvx.commands.settings import admit
from amtl_cvx.commands.setup import interruptible
from amtl_cvx.console import note, say
from amtl_cvx.errors import DataError, Exit
from amtl_cvx.progress import Progress
from amtl_cvx.reference.made import Proofs, Said, ask_of, family_words, made_pack


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
    stored = read_point(arguments.solution, method=arguments.method)
    problem = stored_problem(arguments, stored, rows=True)
    judged = judge(arguments, stored, problem)
    certificate = judged.certificate
    if judged.foreign:
        raise DataError(next(iter(judged.notes), "the run is of other data: give the data of the run"))
    if not certificate.passes and not arguments.uncertified:
        note(f"nothing was written: {certificate.verdict()}")
        advice = stored.family.advice(certificate, problem.model, stored.blocks)
        note(judged.advice or f"next: {advice}, or --uncertified to write it as it is")
        return Exit.UNCERTIFIED
    whole = stored.family.problem(problem.tasks, problem.model)
    proofs = Proofs.of(arguments.solution, problem.tasks)
    with interruptible(), Progress(quiet=arguments.quiet, tol=judged.tol) as progress:
        progress.phase("computing what the pack claims")
        pack = made_pack(
            out,
            problem=whole,
            blocks=judged.reading.blocks,
            ask=ask_of(certificate.kind),
            said=said if said.title else Said(**{**vars(said), "title": family_words(whole)}),
            order=getattr(judged.reading.point, "order", None),
            proofs=proofs,
            prove=arguments.prove,
        )
    if not arguments.quiet:
        there = (("proven digits", pack.digits), ("the proof of a bound", pack.proof))
        kept = [word for word, content in there if content is not None]
        say(
            judged.reading.order,
            f"wrote {out}: the pack {pack.name}, level {pack.claims['level']}"
            + (f", with {' and '.join(kept)}" if kept else ""),
        )
        if arguments.prove and pack.digits is None:
            say(f"no digits are proven: {pack.claims.get('digits_why')}")
        say(f"next: amtl-cvx reference verify {out}")
    return Exit.DONE


def _name(out: Path) -> str:
    """What a pack is called by its folder."""
    return re.sub(r"[^a-z0-9.]+", "-", out.absolute().name.lower()).strip("-.")
