"""`amtl-cvx plot`: its arguments."""

from __future__ import annotations

from amtl_cvx.commands.parsers.base import Commands, command
from amtl_cvx.commands.parsers.shared import add_classes, path

KINDS = (
    "graph", "heatmap", "node-link", "convergence", "truth", "feedback", "reconstruction", "images",
    "kinks", "losses", "tuning",
)  # fmt: skip
EXAMPLES = (
    ("plot run --out graph.pdf", "the graph of a run"),
    ("plot run --kind images --image-shape 8x8 --out images.png", "learned features of images"),
    ("plot run --kind convergence --out convergence.png", "how the fit went"),
)


def add(commands: Commands) -> None:
    """Add the command."""
    plot = command(commands, "plot", help="draw a stored run again", examples=EXAMPLES)
    plot.add_argument("run", type=path, metavar="DIR", help="run folder that fit wrote")
    plot.add_argument("--out", type=path, required=True, metavar="FILE", help=".png, .svg or .pdf to write")
    plot.add_argument(
        "--kind",
        choices=KINDS,
        default="graph",
        metavar="KIND",
        help="what to draw: graph (default: heatmap and node-link), heatmap, node-link, convergence, truth;"
        " of learned features also feedback, reconstruction, images; of networks kinks, losses; of a tuning"
        " tuning",
    )
    plot.add_argument(
        "--image-shape",
        metavar="HxW",
        help="the inputs are the pixels of an image, row after row (as their names say)",
    )
    plot.add_argument(
        "--image-map",
        type=path,
        metavar="FILE",
        help=".npz with image_map (features x pixels), such as principal components, by which features are"
        " drawn as images",
    )
    plot.add_argument("--threshold", type=float, default=0.0, metavar="X", help="leave out edges up to X (0)")
    add_classes(plot)
