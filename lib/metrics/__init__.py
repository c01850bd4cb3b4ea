"""Metrics of one case: from boolean masks to plain numbers.

overlap, surface    any pair of masks: the functions below
postprocessing      largest components, closed by a ball
cortical_index      how much of a metacarpal's width is cortex (hand)
knee                angle of flexion, height and length of the patella
uncertainty         samples against several annotations; calibration
embedding           t-SNE maps, and separation measured on the codes themselves

Import the last five by name: they need more than numpy and scipy.

>>> import numpy as np
>>> from lib.metrics import dice
>>> round(dice(np.array([True, True, False]), np.array([True, False, False])), 3)
0.667

Empty masks, the same for every overlap and distance:

====================  ===========================  =================  ==================
prediction, target    dice iou precision recall    distances          rvd
====================  ===========================  =================  ==================
both empty            1                            0                  0
prediction empty      0                            image diagonal     1
target empty          0                            image diagonal     infinite
====================  ===========================  =================  ==================

The image diagonal joins the centres of opposite corner pixels (360.6 px for 256 x 256). Recall
without foreground is 0/0. As NaN it would drop out of a mean, and with it the images without
foreground, whether they were rightly left empty or not; hence the table. To score only images with
foreground, select them by their prevalence. Specificity follows the same rule where there is no
background.

The definitions are those of Taha and Hanbury (BMC Med. Imaging 15:29, 2015), who call the average
symmetric surface distance an average distance; symmetric and over the pixels of both surfaces it is
that of Heimann et al. (IEEE Trans. Med. Imaging 28, 2009).
"""

from lib.metrics.overlap import (
    confusion,
    dice,
    iou,
    overlap_from_counts,
    precision,
    recall,
    relative_volume_difference,
    specificity,
)
from lib.metrics.surface import (
    average_symmetric_surface_distance,
    evaluate_case,
    hausdorff,
    surface_distances,
)

__all__ = [
    "average_symmetric_surface_distance",
    "confusion",
    "dice",
    "evaluate_case",
    "hausdorff",
    "iou",
    "overlap_from_counts",
    "precision",
    "recall",
    "relative_volume_difference",
    "specificity",
    "surface_distances",
]
