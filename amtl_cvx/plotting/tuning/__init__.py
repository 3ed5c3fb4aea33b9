"""What a tuning found: errors by two parameters as a map, by one as a line, and random draws as dots."""

from amtl_cvx.plotting.tuning.figures import tuning_figure

__all__ = ["tuning_figure"]
