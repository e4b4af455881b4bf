"""Generated images."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from noiselab.answers.layouts import NAMES


def samples_figure(sheets: dict[tuple[str, tuple], np.ndarray]) -> Figure:
    """Generated images: a row per data set, a column per rate of noise. sheets: (data set, rate)
    -> uint8 [H, W, 3], in which a row is a class; rate: what to sort by, and a text."""
    datasets = list(dict.fromkeys(dataset for dataset, _ in sheets))
    rates = sorted({rate for _, rate in sheets})
    size = {"figsize": (1.7 * len(rates), 4.3 * len(datasets)), "layout": "constrained"}
    figure, axes = plt.subplots(len(datasets), len(rates), **size, squeeze=False)
    for dataset, row in zip(datasets, axes, strict=True):
        for rate, axis in zip(rates, row, strict=True):
            axis.set_axis_off()
            if (dataset, rate) in sheets:
                axis.imshow(sheets[dataset, rate], interpolation="nearest")
                axis.set_title(f"{NAMES.get(dataset, dataset)}, {rate[1]}", fontsize="small")
    return figure
