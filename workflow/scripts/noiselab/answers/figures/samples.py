"""Generated images."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from noiselab.answers.layouts import NAMES


def samples_figure(sheets: dict[tuple[str, float], np.ndarray]) -> Figure:
    """Generated images: a row per data set, a column per noise ratio. sheets: (data set, noise
    ratio) -> uint8 [H, W, 3], in which a row is a class."""
    datasets = list(dict.fromkeys(dataset for dataset, _ in sheets))
    ratios = sorted({ratio for _, ratio in sheets})
    size = {"figsize": (1.7 * len(ratios), 4.3 * len(datasets)), "layout": "constrained"}
    figure, axes = plt.subplots(len(datasets), len(ratios), **size, squeeze=False)
    for dataset, row in zip(datasets, axes, strict=True):
        for ratio, axis in zip(ratios, row, strict=True):
            axis.set_axis_off()
            if (dataset, ratio) in sheets:
                axis.imshow(sheets[dataset, ratio], interpolation="nearest")
                axis.set_title(f"{NAMES.get(dataset, dataset)}, r = {ratio:g}", fontsize="small")
    return figure
