"""Figures of the feature family: who shapes the features, who uses them, and what they are.

Every function takes a `bipartite.FeatureGraph`, arrays and names. Figures of arrows state both readings:
feedback A[t, j] runs from task t to feature j, use S[j, t] from feature j to task t.
"""

from amtl_cvx.plotting.features.figures import (
    feature_figure,
    feature_heatmaps,
    feature_images,
    feature_links,
    feedback_figure,
    reconstruction_figure,
)
from amtl_cvx.plotting.features.links import MAX_LINKS
from amtl_cvx.plotting.features.raster import Imaging, Mapped, Raster, mapped_from, raster_from, raster_of

__all__ = [
    "MAX_LINKS",
    "Imaging",
    "Mapped",
    "Raster",
    "feature_figure",
    "feature_heatmaps",
    "feature_images",
    "feature_links",
    "feedback_figure",
    "mapped_from",
    "raster_from",
    "raster_of",
    "reconstruction_figure",
]
