"""`amtl-cvx plot`: one figure of a stored run."""

from __future__ import annotations

import io
import logging
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from amtl_cvx.commands.output import files_of_run, write_whole
from amtl_cvx.commands.settings import admit, number
from amtl_cvx.commands.tried import read_trials
from amtl_cvx.data import problem_names, read
from amtl_cvx.data.npz import read_arrays
from amtl_cvx.errors import DataError, Exit, ModelError
from amtl_cvx.runfolder import StoredRun, read_history, read_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_log = logging.getLogger(__name__)


def plot(arguments: Namespace) -> Exit:
    """`amtl-cvx plot`."""
    from amtl_cvx import plotting

    if arguments.out.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ModelError(f"--out must end in .png, .svg or .pdf, got {arguments.out.name!r}")
    for name in ("image_shape", "image_map"):
        if getattr(arguments, name) is not None and arguments.kind != "images":
            raise ModelError(f"--{name.replace('_', '-')} is of --kind images: leave it out")
    admit(arguments)
    stored = read_run(arguments.run)
    if missing := stored.missing_penalty():
        _log.warning("%s: %s; the picture is drawn without it", arguments.run, missing)
    name = str(stored.data.get("name", arguments.run.name))
    if arguments.kind == "convergence":
        tol = number("tol", stored.arguments.get("tol", 1e-8))
        figure = plotting.convergence_figure(read_history(arguments.run), tol=tol)
    elif arguments.kind == "tuning":
        figure = plotting.tuning_figure(read_trials(arguments.run), title=name)
    else:
        images = {"shape": arguments.image_shape, "image_map": _image_map(arguments)}
        own = stored.family.figure(stored, arguments.kind, title=name, **images)
        if own is not None and arguments.threshold:
            raise ModelError(
                f"--threshold is of graphs over tasks, the family {stored.family.name!r} has none: leave it"
                " out"
            )
        figure = _of_graph(stored, arguments, name) if own is None else own
    content = io.BytesIO()
    plotting.write_figure(figure, content, arguments.out.suffix[1:].lower())
    write_whole(arguments.out, content.getvalue(), read=files_of_run(arguments.run))
    return Exit.DONE


def _image_map(arguments: Namespace) -> Any:
    """The array of --image-map; `DataError` for a file without one."""
    if arguments.image_map is None:
        return None
    return read_arrays(arguments.image_map, required=("image_map",))["image_map"]


def _of_graph(stored: StoredRun, arguments: Namespace, name: str) -> Figure:
    """A figure of the graph over the tasks."""
    from amtl_cvx import plotting

    graph = stored.family.stored_graph(stored, threshold=arguments.threshold)
    if graph is None:
        raise DataError(f"{stored.family.name} learns no graph: choose --kind convergence")
    if arguments.kind == "truth":
        truth = read(name).truth_B if name in problem_names() else None
        if truth is None:
            raise DataError(
                f"no truth is known for {name}: --kind truth needs a problem with a planted graph"
            )
        return plotting.truth_figure(graph, truth)
    draw = {"graph": plotting.graph_figure, "heatmap": plotting.heatmap, "node-link": plotting.node_link}
    if arguments.kind not in draw:
        raise DataError(
            f"{stored.family.name} learns no features: choose --kind {', '.join(draw)}, convergence or truth"
        )
    return draw[arguments.kind](graph, title=name)
