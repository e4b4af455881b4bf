"""Figures show what the tables say."""

import numpy as np
import pandas as pd
import pytest

from noiselab import figures, tables


def cell(**values):
    """One row of a tidy table."""
    row = {"ours": 10.0, "ci_low": 8.0, "ci_high": 13.0, "floor": 0.0, "unit": "%"}
    return row | {"noise_ratio": 1.0, "dataset": "glyphs"} | values


@pytest.fixture
def scale():
    """Loss of accuracy 100 / images per class, whatever the classes."""
    cells = [
        cell(
            metric="accuracy_relative_drop",
            budget=budget,
            classes=classes,
            train_size=classes * per_class,
            ours=100 / per_class,
            ci_low=90 / per_class,
            ci_high=110 / per_class,
        )
        for budget in ("fixed_clean", "fixed_total")
        for classes, per_class in ((10, 40), (10, 200), (50, 40), (200, 10), (200, 40))
    ]
    return tables.tidy(cells)


def curves(axis):
    """label -> (x, y) of the curves with error bars."""
    found = {}
    for container in axis.containers:
        line = container.lines[0]
        found[container.get_label().removesuffix(", 95 % CI")] = (
            list(line.get_xdata()),
            list(line.get_ydata()),
        )
    return found


def test_scale_has_a_row_per_budget_and_a_curve_per_constant(scale):
    axes = np.array(figures.scale_figure([scale]).axes).reshape(2, 3)
    for row in axes:
        per_class, images, classes = (curves(axis) for axis in row)
        assert per_class["10 classes"] == ([40, 200], [2.5, 0.5])
        assert per_class["200 classes"] == ([10, 40], [10, 2.5])
        assert images["200 classes"] == ([2000, 8000], [10, 2.5])
        assert classes["40 images per class"] == ([10, 50, 200], [2.5, 2.5, 2.5])
    assert len(set(per_class) | set(classes)) == 6


def test_batch_size_has_a_panel_per_family_and_crosses_for_divergence():
    text = [cell(metric="nll", dataset="docstrings", unit="nats/token", batch_multiplier=1)]
    images = [
        cell(metric="accuracy", noise_ratio=ratio, batch_multiplier=k)
        | {"ours": value, "ci_low": value - 1, "ci_high": value + 1}
        for ratio, k, value in ((0, 1, 60.0), (0, 4, 50.0), (1.0, 1, 40.0), (1.0, 4, np.nan))
    ]
    figure = figures.batch_figure([tables.tidy(images), tables.tidy(text)])
    classifier, language_model = figure.axes
    assert curves(classifier)["clean"] == ([1, 4], [60, 50])
    crosses = [line for line in classifier.lines if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in crosses] == [[4]]
    assert language_model.get_ylabel() == "clean-test NLL (nats/token)"
    assert set(curves(language_model)) == {"r = 1"}


def test_a_figure_without_divergence_has_no_crosses():
    table = pd.DataFrame([cell(metric="accuracy", batch_multiplier=1)])
    (axis,) = figures.batch_figure([tables.tidy(table.to_dict("records"))]).axes
    assert not [line for line in axis.lines if line.get_marker() == "x"]
