"""Write api.md from the docstrings of the public names.

    python reports/guide/api.py

tests/test_guide.py holds api.md against what this writes.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import amtl_cvx
from amtl_cvx.estimators.classification import Classification
from amtl_cvx.estimators.learned import AmtflEstimator
from amtl_cvx.estimators.regression import Regression
from amtl_cvx.features.prices import LossScales, PointPrices, ProblemPrices
from amtl_cvx.features.telling import Told
from amtl_cvx.losses import Loss
from amtl_cvx.problem.keeping import Keeping
from amtl_cvx.problem.scores import LossesAt
from amtl_cvx.transfer import TransferPenalty

HERE = Path(__file__).resolve().parent
BASES = (Loss, TransferPenalty)
"""What a loss or penalty of a user's own derives from, not among the names of the package itself."""
PARTS = (
    LossesAt,
    LossScales,
    ProblemPrices,
    PointPrices,
    Keeping,
    Told,
    Regression,
    Classification,
    AmtflEstimator,
)
"""What several classes have in common and is no class of its own to a reader."""
FURTHER = {
    "amtl_cvx.runfolder": ("save", "read_run"),
    "amtl_cvx.ladder": ("climb",),
    "amtl_cvx.certificate": ("rungs", "second_order", "confirm"),
    "amtl_cvx.digits": ("prove", "exact_prices", "exact_transfer", "exact_weights"),
    "amtl_cvx.enclosure": ("enclose",),
    "amtl_cvx.explore": ("draw_starts", "explore"),
    "amtl_cvx.experiment": ("Job", "fit_many", "choose", "mu_max"),
    "amtl_cvx.experiment.candidate": ("Candidate",),
    "amtl_cvx.families.settings.named": ("NamedMethod", "Parameter"),
    "amtl_cvx.experiment.tuning": ("Trial",),
    "amtl_cvx.experiment.comparing": (
        "Part",
        "drawn_parts",
        "folded_parts",
        "Contender",
        "compare",
        "Comparison",
        "Outcome",
        "Learned",
        "Stability",
        "interval",
        "paired",
        "mcnemar",
    ),
    "amtl_cvx.parallel": ("workers",),
    "amtl_cvx.estimators": ("AMTLRegressor", "AMTLClassifier", "AMTFLRegressor", "AMTFLClassifier"),
    "amtl_cvx.features": ("FeatureProblem", "FeaturePoint", "FeatureCertificate", "certify"),
    "amtl_cvx.bipartite": ("FeatureGraph",),
    "amtl_cvx.reference": ("Pack", "read_pack", "pack_names", "packs_folder", "write_pack"),
    "amtl_cvx.reference.verify": ("verify", "verify_all"),
    "amtl_cvx.reference.judge": (
        "judge",
        "Asked",
        "Executable",
        "PythonBackEnd",
        "Verdict",
        "Result",
        "Check",
        "Cause",
    ),  # fmt: skip
    "amtl_cvx.reference.judge.table": ("table",),
    "amtl_cvx.reference.judge.junit": ("junit",),
    "amtl_cvx.reference.judge.page": ("write_page",),
    "amtl_cvx.reference.checks": ("of",),
    "amtl_cvx.data": ("ChunkedRows", "factor", "evaluate", "read_features", "read_point", "export"),
}
"""Names that the guide imports from their modules."""
_SECTION = re.compile(r"^([A-Z]\w*)\n-{3,}\n", flags=re.MULTILINE)


def markdown(doc: str) -> str:
    """A docstring: numpydoc sections as lists, examples as code."""
    head, *rest = _SECTION.split(doc)
    parts = [_prose(head)]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        text = f"```pycon\n{body.strip()}\n```" if title == "Examples" else _items(body)
        parts.append(f"**{title}**\n\n{text}")
    return "\n\n".join(part for part in parts if part)


def _prose(text: str) -> str:
    """Paragraphs; an example that stands among them is code."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(
        f"```pycon\n{p}\n```" if p.startswith(">>>") else p.replace("``", "`") for p in paragraphs
    )


def _items(body: str) -> str:
    """The entries of a section, one a line: what is not indented is a name, or a paragraph of its own."""
    lines: list[str] = []
    for line in body.strip("\n").splitlines():
        text = line.strip().replace("``", "`")
        if line.startswith(" ") and lines:
            lines[-1] += (": " if lines[-1].endswith("`") else " ") + text
        elif text:
            lines.append(f"- `{text.replace('`', '')}`")
    return "\n".join(lines)


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class itself defines, then those of a part it shares."""
    shared = {name: value for part in PARTS if part in cls.__mro__[1:] for name, value in vars(part).items()}
    for name, value in {**vars(cls), **shared}.items():
        found = value.__func__ if isinstance(value, classmethod) else value
        public = not name.startswith("_") and getattr(found, "__doc__", None)
        if public and (inspect.isfunction(found) or isinstance(found, property | cached_property)):
            yield name, value


def _signature(value: Any) -> str:
    """Names and defaults; types stand in the docstring."""
    parts, keyword = [], False
    for parameter in inspect.signature(value).parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword:
            keyword = True
            parts.append("*")
        default = parameter.default
        shown = "..." if type(default).__name__ == "_HAS_DEFAULT_FACTORY_CLASS" else repr(default)
        parts.append(parameter.name if default is parameter.empty else f"{parameter.name}={shown}")
    return f"({', '.join(parts)})"


def _entry(name: str, value: Any) -> str:
    if isinstance(value, property | cached_property):
        return f"### `{name}`\n\n{markdown(inspect.getdoc(value) or '')}"
    found = value.__func__ if isinstance(value, classmethod) else value
    return f"### `{name}{_signature(found)}`\n\n{markdown(inspect.getdoc(found) or '')}"


def _section(name: str, value: Any) -> str:
    """One public name with its methods."""
    signature = (
        _signature(value) if not isinstance(value, type) or hasattr(value, "__dataclass_fields__") else ""
    )
    signature = "" if inspect.isabstract(value) else signature
    parts = [f"## {name}", f"`{value.__module__}.{value.__qualname__}{signature}`"]
    parts.append(markdown(inspect.getdoc(value) or ""))
    if isinstance(value, type):
        parts += [_entry(f"{name}.{member}", found) for member, found in members(value)]
    return "\n\n".join(parts)


def further() -> dict[str, Any]:
    """The further names, with their modules in front."""
    return {
        f"{module}.{name}": getattr(importlib.import_module(module), name)
        for module, names in FURTHER.items()
        for name in names
    }


def page() -> str:
    """api.md."""
    names = {name: getattr(amtl_cvx, name) for name in amtl_cvx.__all__}
    names |= {cls.__name__: cls for cls in BASES}
    listed = ", ".join(f"[{name}](#{name.lower()})" for name in names)
    others = ", ".join(f"[{name}](#{name.lower().replace('.', '')})" for name in further())
    return "\n\n".join([
        "# API",
        "Written by `python reports/guide/api.py` from the docstrings; do not edit.",
        f"Names of the package, and the bases of a [loss or penalty of your own](extend.md): {listed}.",
        f"Names that the guide imports from their modules: {others}.",
        *(_section(name, value) for name, value in (names | further()).items()),
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    (HERE / "api.md").write_text(page(), encoding="utf-8")
