"""Pictures of a tuning: what is drawn is what was tried, and nothing is cut."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pictures import outside, panel, words

from amtl_cvx.commands.trials import write_trials
from amtl_cvx.commands.tried import read_trials
from amtl_cvx.errors import DataError
from amtl_cvx.experiment.tuning import Axis, Trial, Tuning
from amtl_cvx.experiment.tuning.choice import chosen
from amtl_cvx.families.settings.named import named
from amtl_cvx.plotting.tuning import tuning_figure

COUPLING, MU = Axis("coupling", [1, 10, 100]), Axis("mu", [0.01, 0.1, 1.0, 10.0])
ROUNDS = Axis("rounds", range(1, 6))


def error(coupling: float = 10, mu: float = 0.1, rounds: int = 3) -> float:
    """Least at coupling 10, mu .1 and three rounds."""
    steps = np.log10(coupling / 10), np.log10(mu / 0.1), (rounds - 3) / 4
    return float(10 + sum((k + 1) * step**2 for k, step in enumerate(steps)))


def tuning(
    axes: Sequence[Axis],
    of: Callable[..., float] = error,
    *,
    folds: int = 3,
    rule: Any = "best",
    points: Sequence[tuple[Any, ...]] | None = None,
) -> Tuning:
    found = points or list(itertools.product(*(axis.values for axis in axes)))
    spread = np.linspace(-2.0, 2.0, folds) if folds > 1 else np.zeros(1)
    names = [axis.name for axis in axes]
    trials = []
    for point in found:
        parameters = dict(zip(names, point, strict=True))
        trials.append(Trial(parameters=parameters, errors=tuple((of(**parameters) + spread).tolist())))
    return Tuning(
        method=named("amtl"),
        settings={},
        measure="pooled rmse",
        trials=tuple(trials),
        chosen=chosen(trials, rule, axes),
        rule=rule,
        axes=tuple(axes),
        widened=(),
        edges=(),
        splits_words=f"{folds} folds",
        seconds=1.0,
    )


def frame(figure: Figure, label: str, gid: str = "chosen") -> tuple[float, float]:
    """The middle of the cell that is framed: (column, row)."""
    found = [each for each in panel(figure, label).patches if each.get_gid() == gid]
    assert len(found) == 1 and isinstance(found[0], Rectangle)
    return found[0].get_x() + 0.5, found[0].get_y() + 0.5


def test_cells_are_the_least_errors_and_the_chosen_one_is_framed() -> None:
    figure = tuning_figure(tuning([COUPLING, MU, ROUNDS]), title="schools")
    axes = panel(figure, "coupling x mu")
    shown = np.asarray(axes.images[0].get_array())
    expected = [
        [error(c, m, 3) for m in MU.values] for c in COUPLING.values
    ]  # three rounds are best everywhere
    np.testing.assert_allclose(shown, expected)
    assert axes.images[0].origin == "lower" and frame(figure, "coupling x mu") == (1.0, 1.0)
    numbers = {text.get_position(): text.get_text() for text in axes.texts}
    assert float(numbers[1, 1]) == 10.0 and float(numbers[3, 2]) == pytest.approx(error(100, 10.0), abs=0.01)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.01", "0.1", "1", "10"]
    assert outside(figure) == [] and "schools" in words(figure) and "the least over rounds" in words(figure)


def test_the_line_is_that_of_the_chosen_point_with_its_standard_error() -> None:
    figure = tuning_figure(tuning([COUPLING, MU, ROUNDS], folds=4))
    axes = panel(figure, "rounds")
    lines = {line.get_gid(): line for line in axes.lines}
    at = lines["chosen point"]
    np.testing.assert_allclose(at.get_xdata(), ROUNDS.values)
    np.testing.assert_allclose(at.get_ydata(), [error(10, 0.1, r) for r in ROUNDS.values])
    band = axes.collections[0].get_paths()[0].vertices
    assert "dots: at coupling 10, mu 0.1; thin line: the least" in words(figure)
    assert "diamond: chosen; band: one standard error" in words(figure)
    se = np.std(np.linspace(-2.0, 2.0, 4), ddof=1) / 2
    assert band[:, 1].min() == pytest.approx(error() - se)
    assert lines["chosen"].get_xdata()[0] == 3 and to_rgba(lines["chosen"].get_color()) == to_rgba("#e69f00")
    assert outside(figure) == []


def test_one_standard_error_shows_both_points_and_the_limit() -> None:
    found = tuning([COUPLING, MU], rule="one-se")
    assert found.chosen is not found.best
    figure = tuning_figure(found)
    place = [COUPLING.values.index(found.chosen.parameters["coupling"])]
    place += [MU.values.index(found.chosen.parameters["mu"])]
    assert frame(figure, "coupling x mu") == (place[1], place[0])
    assert frame(figure, "coupling x mu", "best") == (1.0, 1.0)
    alone = tuning([MU], rule="one-se")
    axes = panel(tuning_figure(alone), "mu")
    limit = next(line for line in axes.lines if line.get_linestyle() == ":")
    assert limit.get_ydata()[0] == pytest.approx(alone.best.mean + alone.best.se)


def test_drawn_points_are_dots_at_their_place() -> None:
    rng = np.random.default_rng(3)
    points = [tuple(10 ** rng.uniform((0, -2), (2, 1))) for _ in range(25)]
    found = tuning([COUPLING, MU], points=points)
    figure = tuning_figure(found)
    axes = panel(figure, "coupling x mu")
    dots = {tuple(row) for row in np.asarray(axes.collections[0].get_offsets()).tolist()}
    assert dots == {(mu, coupling) for coupling, mu in points}
    assert axes.get_xscale() == axes.get_yscale() == "log"
    ring = next(each for each in axes.collections if each.get_gid() == "chosen")
    best = min(points, key=lambda point: error(*point))
    np.testing.assert_allclose(ring.get_offsets(), [best[::-1]])
    assert outside(figure) == []


def test_an_axis_of_less_than_a_decade_has_its_ends_named() -> None:
    points = [(2.0, 0.012), (3.0, 0.03), (5.0, 0.07), (6.0, 0.02)]
    axes = panel(tuning_figure(tuning([COUPLING, MU], points=points)), "coupling x mu")
    named = [
        [tick.get_text() for tick in ticks] for ticks in (axes.get_xticklabels(), axes.get_yticklabels())
    ]
    assert named == [["0.012", "0.07"], ["2", "6"]]


def test_what_failed_is_hatched_and_what_explodes_does_not_flatten_the_rest() -> None:
    def wild(coupling: float, mu: float) -> float:
        if coupling == 100:
            return np.inf if mu == 10.0 else 1e7
        return error(coupling, mu)

    figure = tuning_figure(tuning([COUPLING, MU], wild))
    axes = panel(figure, "coupling x mu")
    hatched = [each for each in axes.patches if each.get_hatch()]
    assert [(each.get_x(), each.get_y()) for each in hatched] == [(2.5, 1.5)]
    assert axes.images[0].get_clim()[1] < 30 and "and above" in words(figure)
    assert "1e+07" in words(figure) and "inf" not in words(figure)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "axes",
    [
        [MU],
        [Axis("reading", ["zero", "easiest"])],
        [Axis("coupling", [1]), MU],
        [
            Axis("coupling", np.geomspace(1e-3, 1e3, 31).tolist()),
            Axis("mu", np.geomspace(1e-5, 10, 25).tolist()),
        ],
        [COUPLING, MU, Axis("rho", [0.1, 1]), Axis("gamma", [1, 2]), Axis("rounds", [1, 2])],
        [Axis("features", [2, 4]), Axis("layers", ["8,4", "16,8"])],
        [COUPLING, ROUNDS],
        [Axis("coupling", [1])],
    ],
    ids=lambda axes: " ".join(axis.name for axis in axes),
)
@pytest.mark.parametrize("folds", [1, 4])
def test_nothing_is_cut_whatever_was_tuned(axes: Sequence[Axis], folds: int) -> None:
    def plain(**parameters: Any) -> float:
        numbers = [value for value in parameters.values() if isinstance(value, int | float)]
        return 10.0 + sum(np.log10(value) ** 2 for value in numbers) + 0.1 * len(str(parameters))

    figure = tuning_figure(tuning(axes, plain, folds=folds), title="a title")
    assert outside(figure) == []
    assert ("no standard error" in words(figure)) == (folds == 1 and "against" in words(figure))
    if len(axes) == 5:
        assert "3 of 6 pairs of parameters" in words(figure)


@pytest.fixture
def stored(run: Run) -> Path:
    """A run folder with what is needed of a stored tuning."""
    found = tuning(
        [COUPLING, MU, Axis("reading", ["zero", "easiest"])],
        lambda coupling, mu, reading: error(coupling, mu),
    )
    Path("run").mkdir(exist_ok=True)
    write_trials(found, Path("run"))
    return Path("run")


def test_a_stored_tuning_is_drawn_again(run: Run, fitted: Path, stored: Path) -> None:
    assert run("plot", "run", "--kind", "tuning", "--out", "p.svg") == (0, "", "")
    assert Path("p.svg").read_text().startswith("<?xml")
    again = read_trials(stored)
    found = {tuple(trial.parameters.values()): trial.mean for trial in again.trials}
    assert found == pytest.approx({(c, m, r): error(c, m) for c, m, r in found})
    assert again.chosen.parameters["coupling"] == 10 and again.axes[1].values == MU.values


DAMAGE: Sequence[Callable[[dict[str, Any]], object]] = [
    lambda stored: stored.clear(),
    lambda stored: stored.update(trials=[]),
    lambda stored: stored.update(trials=3),
    lambda stored: stored["trials"][0].update(errors=[]),
    lambda stored: stored["trials"][0].update(errors=[float("nan")]),
    lambda stored: stored["trials"][0]["parameters"].update(mu="much"),
    lambda stored: stored["trials"][0]["parameters"].update(mu=[1]),
    lambda stored: stored["trials"][0]["parameters"].update(reading=1),
    lambda stored: stored["trials"][0]["parameters"].pop("mu"),
    lambda stored: stored["axes"][0].update(values=["x", 1]),
    lambda stored: stored["axes"][0].update(scale="round"),
    lambda stored: stored["chosen"].update(parameters={"mu": 3}),
    lambda stored: stored.update(seconds="long"),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_one_line(stored: Path, damage: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((stored / "tuning.json").read_text())
    damage(content)
    (stored / "tuning.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"^tuning\.json: "):
        read_trials(stored)
    (stored / "tuning.json").unlink()
    with pytest.raises(DataError, match="of a run that tune wrote"):
        read_trials(stored)
