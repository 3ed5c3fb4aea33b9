# More than 300 lines: the tests of one page, with the parser that reads it.
"""The HTML report: complete, self-contained, safe against what task names may hold."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import amtl_cvx.report as report
from amtl_cvx.amtl import pages
from amtl_cvx.certificate import LEVELS, Certificate, certify
from amtl_cvx.certificate.levels import INTERRUPTED
from amtl_cvx.errors import DataError
from amtl_cvx.known import figures
from amtl_cvx.losses import Squared
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model, Problem
from amtl_cvx.report import pictures, tables, write_report
from amtl_cvx.solution import Record, Solution, Status
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

VOID = {"meta", "img", "br", "link", "input"}
EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Tags in balance, table cells and the values they sort by, and every attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.values: dict[str, list[str]] = {}
        self.tags: list[str] = []
        self.words: list[str] = []
        self._table = ""
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._table = dict(attrs).get("id") or f"table {len(self.tables)}"
            self.tables[self._table], self.values[self._table] = [], []
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in ("td", "th"):
            self.tables[self._table][-1].append("")
            self.values[self._table] += [value or "" for name, value in attrs if name == "data-value"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.tables[self._table][-1][-1] += data.strip()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def solved(*, T: int = 4, names: tuple[str, ...] | None = None, empty: bool = False) -> Solution:
    """A point with a real certificate (which it does not pass)."""
    rng = np.random.default_rng(3)
    tasks = TaskSet.from_arrays(rng.normal(size=(T, 9, 3)), rng.normal(size=(T, 9)), names=names)
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)
    W, B = rng.normal(size=(3, T)), np.where(rng.random((T, T)) < 0.6, rng.uniform(0.1, 1.0, (T, T)), 0.0)
    np.fill_diagonal(B, 0.0)
    B *= not empty
    certificate = certify(Problem(tasks, model).at(W, B), tol=1e-8)
    history = tuple(
        Record(
            round=k, step=step, objective=certificate.objective + 3 - k, stationarity={"W": 0.1**k, "B": 0.1},
            relative=0.1**k, seconds=k / 10, solver="CLARABEL", solver_status="optimal",
        )
        for k, step in ((1, "W"), (2, "B"), (3, "refine"))
    )  # fmt: skip
    return Solution(
        blocks={"W": W, "B": B}, losses=model.losses(tasks, W),
        objective=certificate.objective, certificate=certificate,
        status=Status.ROUND_LIMIT, history=history, method="alternating", model=model, task_names=tasks.names,
        seconds={"total": 1.5, "solvers": 1.25},
    )  # fmt: skip


def written(path: Path, solution: Solution, **more: object) -> tuple[str, Page]:
    settings: dict[str, object] = {
        "arguments": {"mu": 0.1, "solver": None, "standardize": False},
        "versions": {"numpy": "9.8.7"},
        "data": {"name": "toy", "source": "drawn", "T": 4, "d": 3, "rows": 36, "fingerprint": "ab" * 32},
    }
    write_report(path / "report.html", solution=solution, **{**settings, **more})  # type: ignore[arg-type]
    text = (path / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture(scope="module", autouse=True)
def coarse_pictures() -> Iterator[None]:
    """What is tested is the page; its pictures are drawn with few pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "_DPI", 30)
        yield


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of words that do not depend on the pictures."""
    picture = pictures.Picture("data:image/png;base64,", "a picture", "", 100)
    monkeypatch.setattr(pages, "graph_pictures", lambda graph: [picture, picture])
    monkeypatch.setattr(pictures, "convergence_picture", lambda solution: picture)


words_only = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Solution, str, Page]:
    """A report with everything in it: truth, scores, order."""
    solution = dataclasses.replace(solved(), facts={"order": (2, 0, 1, 3)})
    scores = {"AMTL": {"rmse": 1.5, "r2": 0.25}, "stl": {"rmse": 2.0}}
    folder = tmp_path_factory.mktemp("report")
    return solution, *written(folder, solution, truth_B=solution.B, scores=scores)


def test_the_page_is_well_formed_and_loads_nothing(whole: tuple[Solution, str, Page]) -> None:
    _, text, page = whole
    loads = [
        value for _, name, value in page.attributes if name in ("src", "href", "srcset", "action", "data")
    ]
    assert len(loads) == 4 and all(value.startswith("data:image/png;base64,") for value in loads)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]*", "", text))
    assert "link" not in page.tags and page.tags.count("script") == 1
    assert any("default-src 'none'" in value for tag, _, value in page.attributes if tag == "meta")
    assert all(value for tag, name, value in page.attributes if (tag, name) == ("img", "alt"))


def test_names_are_escaped_everywhere(tmp_path: Path) -> None:
    solution = solved(names=(EVIL, '" onload="x', "{{ 7 * 7 }}", "a & b"))
    evil = {EVIL: EVIL}
    data = {"name": EVIL, "source": EVIL, "rows": EVIL}
    text, page = written(tmp_path, solution, scores={EVIL: evil}, arguments=evil, versions=evil, data=data)
    assert EVIL not in text and page.tags.count("script") == 1
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "{{ 7 * 7 }}" in text and "49" not in [cell for row in page.tables["tasks"] for cell in row]
    assert [row[1] for row in page.tables["tasks"][1:]] == list(solution.task_names)


def test_the_edge_table_has_a_row_per_edge(whole: tuple[Solution, str, Page]) -> None:
    solution, _, page = whole
    graph = solution.graph
    rows = page.tables["edges"][1:]
    assert [(row[0], row[1]) for row in rows] == [(graph.names[s], graph.names[t]) for s, t, _ in graph.edges]
    exact = [float(value) for value in page.values["edges"]]
    assert exact[::2] == [edge.weight for edge in graph.edges]
    shares = np.zeros_like(graph.B)
    for (s, t, _), share in zip(graph.edges, exact[1::2], strict=True):
        shares[s, t] = share
    taken = graph.incoming > 0
    np.testing.assert_allclose(shares.sum(axis=0)[taken], 1.0)


def test_headings_that_sort_are_buttons_with_a_state(whole: tuple[Solution, str, Page]) -> None:
    _, text, page = whole
    states = [value for tag, name, value in page.attributes if (tag, name) == ("th", "aria-sort")]
    assert len(states) == page.tags.count("button") == 4 + 5 + 3
    assert states.count("descending") == 1
    assert re.search(r'data-numeric aria-sort="descending"><button type="button">weight', text)


def test_the_certificate_is_told_in_full(whole: tuple[Solution, str, Page]) -> None:
    solution, _, page = whole
    fields = [row[0] for row in page.tables["certificate"][1:] if len(row) == 3]
    expected = [entry.name for entry in dataclasses.fields(Certificate) if entry.name != "reasons"]
    assert sorted(fields) == sorted(expected)
    assert set(expected) <= {figure.name for figure in figures()}
    for sentence in [*solution.certificate.sentences(), solution.status.text[1:]]:
        assert sentence in page.text
    assert "does not pass" in page.text and "biconvex" in page.text and "the optimum" not in page.text


@words_only
def test_what_is_missing_comes_with_its_reason(tmp_path: Path) -> None:
    solution = solved()
    reason = "I - B is singular, the bound is infinite"
    certificate = dataclasses.replace(
        solution.certificate, gap_W=None, reasons={"gap_W": reason, "level C3": "not tried"}
    )
    _, page = written(tmp_path, dataclasses.replace(solution, certificate=certificate))
    rows = {row[0]: row[1] for row in page.tables["certificate"][1:] if len(row) == 3}
    assert rows["gap_W"] == reason and rows["level C3"] == "not tried"


@words_only
@pytest.mark.parametrize(
    ("change", "headline"),
    [
        ({"passes": True, "level": "C2"}, "A verified first-order point"),
        ({"passes": True, "level": "C2", "kind": "curriculum"}, "Every step of the curriculum is verified"),
        ({"passes": True, "level": "C2", "kind": "curriculum-simple"}, "Every step of the simple curriculum"),
        ({"passes": True, "level": "C2", "kind": "single-task"}, "Verified single-task solutions"),
        ({"passes": False, "level": "C1"}, "The certificate does not pass"),
        ({"passes": False, "level": None, "feasibility": 0.5}, "Not feasible"),
    ],
)
def test_the_headline_claims_what_was_shown(tmp_path: Path, change: dict[str, object], headline: str) -> None:
    solution = solved()
    certificate = dataclasses.replace(solution.certificate, **change)  # type: ignore[arg-type]
    _, page = written(tmp_path, dataclasses.replace(solution, certificate=certificate))
    assert headline in page.text
    assert ("C2 first-order-verified \N{MIDDLE DOT}" in page.text) == (change["level"] == "C2")


@words_only
def test_the_ladder_shows_every_rung_with_its_state(tmp_path: Path) -> None:
    solution = solved()
    certificate = dataclasses.replace(
        solution.certificate,
        passes=True,
        level="C3",
        reduced_hessian_min=0.25,
        refused=("C4",),
        reasons={"C4": "python-flint is not installed: <pip>", "C5": INTERRUPTED},
    )
    text, page = written(tmp_path, dataclasses.replace(solution, certificate=certificate))
    rows = page.tables["ladder"][1:]
    assert [row[1] for row in rows] == ["reached"] * 4 + ["cannot be had", "not tried"]
    assert [row[0].split("\N{NO-BREAK SPACE}") for row in rows] == [list(level) for level in LEVELS.items()]
    assert rows[3][2] == "curvature 0.25" and "strict local minimum" in rows[3][3]
    assert rows[4][3] == "Python-flint is not installed: <pip>." and "<pip>" not in text
    assert rows[5][3] == f"{INTERRUPTED.capitalize()}."
    steps = re.findall(r'<li class="([\w-]+)"><span class="step"', text)
    assert steps == ["reached"] * 4 + ["cannot-be-had", "not-tried"]
    values = {row[0]: row[1] for row in page.tables["certificate"] if len(row) == 3}
    assert values["reduced_hessian_min"] == "0.25" and values["refused"] == "C4"
    assert values["proven_radius"] == "python-flint is not installed: <pip>"
    assert values["global_lower"] == INTERRUPTED


@words_only
def test_scores_may_be_numbers_or_metrics(tmp_path: Path, whole: tuple[Solution, str, Page]) -> None:
    _, _, page = whole
    assert page.tables["scores"] == [
        ["method", "rmse", "r2"],
        ["AMTL", "1.500", "0.2500"],
        ["stl", "2.000", "\N{EM DASH}"],
    ]
    _, page = written(tmp_path, solved(), scores={"AMTL": 1.5})
    assert page.tables["scores"] == [["method", "score"], ["AMTL", "1.500"]]
    _, page = written(tmp_path, solved())
    assert "scores" not in page.tables


def test_arguments_versions_timings_and_order_are_listed(whole: tuple[Solution, str, Page]) -> None:
    _, _, page = whole
    for words in ("fingerprint", "ab" * 32, "numpy", "9.8.7", "standardize", "solvers", "1.25"):
        assert words in page.text
    assert "Order of learning: task 2, task 0, task 1, task 3" in page.text


def test_an_empty_graph_and_a_single_task_are_put_in_words(tmp_path: Path) -> None:
    _, page = written(tmp_path, solved(empty=True))
    assert "The graph is empty" in page.text and "edges" not in page.tables
    _, page = written(tmp_path, dataclasses.replace(solved(T=1), history=()))
    assert "There is one task" in page.text


@words_only
def test_a_long_edge_table_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_ROWS", 3)
    solution = solved()
    _, page = written(tmp_path, solution)
    assert len(page.tables["edges"]) == 4
    assert f"The 3 strongest of {len(solution.graph.edges)} edges are listed" in page.text


@words_only
def test_a_truth_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="true B"):
        written(tmp_path, solved(), truth_B=np.zeros((2, 2)))


@words_only
def test_W_is_shown_and_its_largest_weights_without_the_intercept(tmp_path: Path) -> None:
    solution = solved()
    W = np.vstack([solution.W, np.full(4, 50.0)])
    preparation = Preparation(center=np.zeros(3), scale=np.ones(3), intercept=True)
    solution = dataclasses.replace(
        solution,
        blocks={**solution.blocks, "W": W},
        preparation=preparation,
        feature_names=("u", "v", "w"),
    )
    _, page = written(tmp_path, solution)
    rows = page.tables["weights"]
    assert rows[0] == ["feature", *solution.task_names] and [row[0] for row in rows[1:]] == [
        *"uvw",
        "intercept",
    ]
    np.testing.assert_allclose(np.array([row[1:] for row in rows[1:]], dtype=float), W, atol=0.005)
    largest = page.tables["strongest"][1:]
    j, t = np.unravel_index(np.abs(W[:3]).argmax(), (3, 4))
    assert largest[0][:2] == ["uvw"[j], solution.task_names[t]] and len(largest) == 12
    assert float(largest[0][2]) == pytest.approx(W[j, t], rel=1e-3)
    assert "3 + 1 features, intercept" in page.text  # and not 4 features beside d = 3


@words_only
def test_of_many_features_and_tasks_the_largest_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_FEATURES", 2)
    monkeypatch.setattr(tables, "MAX_TASKS", 1)
    solution = solved()
    W = np.array([[1.0, 2.0, 0.0, 0.0], [0.5, 0.5, -3.0, 0.5], [0.1, 0.0, 0.1, 0.0]])
    _, page = written(tmp_path, dataclasses.replace(solution, blocks={**solution.blocks, "W": W}))
    assert page.tables["weights"] == [["feature", "task 2"], ["feature 0", "0"], ["feature 1", "-3.00"]]
    assert "the 2 features with the largest weights of 3 and the 1 tasks" in page.text


@words_only
def test_the_command_is_there_to_copy_and_unset_options_are_not_listed(tmp_path: Path) -> None:
    line = "amtl-cvx fit 'a b.csv' --out run --mu 0.1"
    arguments = {"mu": "0.1", "solver": None, "no_refine": False, "intercept": False, "command_line": line}
    _, page = written(tmp_path, solved(), arguments=arguments)
    assert line in page.text
    settings = next(rows for rows in page.tables.values() if rows and rows[0][0] == "mu")
    assert settings == [["mu", "0.1"], ["intercept", "no"]]


def test_no_cell_of_words_may_break_inside_them_and_pictures_follow_the_dark_page() -> None:
    template = (Path(report.__file__).parent / "style.css").read_text(encoding="utf-8")
    rules = dict(re.findall(r"^([^@{}\n]+?) \{ ([^}]*) \}", template, re.MULTILINE))
    assert "anywhere" not in rules["th, td"]
    assert "filter: invert(1)" in template and "background: #fff" not in rules["figure img"]


@words_only
def test_scores_say_what_they_measure(tmp_path: Path) -> None:
    scores = dict.fromkeys(("AMTL", "stl at the same coupling"), {"class accuracy": 0.5, "accuracy": 0.25})
    _, page = written(tmp_path, solved(), scores=scores)
    assert "class accuracy: share of rows" in page.text and "accuracy: share of right labels" in page.text
    assert "stl at the same coupling: that coupling is the weight of its ridge" in page.text
