"""`amtl-cvx export`: the prepared problem as a folder of arrays."""

from __future__ import annotations

from argparse import Namespace

from amtl_cvx.commands.foreign import read_point
from amtl_cvx.commands.named import translated
from amtl_cvx.commands.problem import stored_problem
from amtl_cvx.console import say
from amtl_cvx.data import export as export_problem
from amtl_cvx.errors import Exit
from amtl_cvx.families import family_of
from amtl_cvx.tasks import size_words


def export(arguments: Namespace) -> Exit:
    """`amtl-cvx export`."""
    arguments = translated(arguments)
    stored = None
    if arguments.run is not None:
        stored = read_point(arguments.run, method=arguments.method)
    problem = stored_problem(arguments, stored, rows=True)
    tasks, model = problem.tasks, problem.model
    export_problem(tasks, model, arguments.out, source=problem.dataset.source)
    say(
        f"wrote {arguments.out}: {size_words(tasks)};"
        f" {model.loss.label} loss ({model.loss.reduction}){family_of(model).model_words(model)}"
    )
    return Exit.DONE
