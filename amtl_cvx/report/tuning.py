"""How the parameters were chosen, as a section of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amtl_cvx.experiment.tuning.trial import shown
from amtl_cvx.plotting.tuning import tuning_figure
from amtl_cvx.report import template
from amtl_cvx.report.pictures import embedded
from amtl_cvx.report.tables import digits

if TYPE_CHECKING:
    from amtl_cvx.experiment.tuning import Tuning

MAX_ROWS = 200
"""How many points, those of least error, the table lists."""


def section(tuning: Tuning) -> str:
    """What was chosen and from what: words, picture, the points of least error in a table."""
    trials = sorted(tuning.trials, key=lambda trial: trial.mean)[:MAX_ROWS]
    if all(trial is not tuning.chosen for trial in trials):
        trials = [*trials[:-1], tuning.chosen]
    names = list(trials[0].parameters)
    count = len(tuning.trials)
    listed = f"All {count} points" if len(trials) == count else f"The best {len(trials)} of {count} points"
    ended = any(trial.ended for trial in trials)
    words = f"{tuning.measure} of every point that was tried"
    return template("tuning.html.jinja").render(
        sentence=tuning.sentence(),
        judged=f"Points were judged on {tuning.splits_words}.",
        drawn=embedded(tuning_figure(tuning), f"The {words}", f"{words[0].upper()}{words[1:]}."),
        listed=listed,
        columns=[*names, tuning.measure, "standard error", "seconds", *(["ended"] if ended else [])],
        rows=[
            (
                trial is tuning.chosen,
                [
                    *((trial.parameters[name], shown(trial.parameters[name])) for name in names),
                    *((value, digits(value)) for value in (trial.mean, trial.se, trial.seconds)),
                    *([(trial.growing, trial.ended)] if ended else []),
                ],
            )
            for trial in trials
        ],
    )
