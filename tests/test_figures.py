"""Figures show what the tables say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from noiselab.answers import figures, tables
from noiselab.answers.figures import drawing


def cell(**values):
    """One row of a tidy table."""
    row = {"ours": 10.0, "ci_low": 8.0, "ci_high": 13.0, "floor": 0.0, "unit": "%"}
    row |= {"noise_ratio": 1.0, "dataset": "glyphs"} | values
    return {"error_rate": row["noise_ratio"] / (1 + row["noise_ratio"])} | row


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


def test_sample_complexity_has_a_curve_per_error_and_a_band_per_set_and_says_its_constant():
    d = np.array([1.0, 10, 100])
    needed = pd.concat(
        pd.DataFrame({"error": e, "vc_dimension": d, "needed": d / e, "constant": 2.5})
        for e in (0.1, 0.2)
    ).assign(confidence=0.05)
    sets = pd.DataFrame({"examples": 1000, "error_rate": [0, 0.5], "clean_examples": [1000, 500]})
    (axis,) = figures.FIGURES["sample_complexity"]([needed, sets]).axes
    lines = {line.get_label(): line.get_ydata() for line in axis.lines}
    assert list(lines) == ["ε = 0.1", "ε = 0.2"]
    assert list(lines["ε = 0.2"]) == [5, 50, 500]
    (band,) = axis.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == (500, 1000)
    assert [text.get_text() for text in axis.texts] == ["1,000 examples"]
    assert "c₀ = 2.5 (not known) and δ = 0.05" in axis.get_ylabel()


def test_a_figure_without_divergence_has_no_crosses():
    table = pd.DataFrame([cell(metric="accuracy", batch_multiplier=1)])
    (axis,) = figures.batch_figure([tables.tidy(table.to_dict("records"))]).axes
    assert not [line for line in axis.lines if line.get_marker() == "x"]


def test_information_loss_has_a_curve_and_its_maximum_per_number_of_classes():
    rate = {2: 0.5, 10: 0.9, 50_257: 50_256 / 50_257}
    table = pd.concat(
        pd.DataFrame({"classes": n, "error_rate": e, "relative_information_loss": e / greatest})
        for n, greatest in rate.items()
        for e in [np.append(np.linspace(0, 0.4, 5), greatest)]
    )
    (axis,) = figures.information_loss_figure([table]).axes
    named = [line for line in axis.lines if line.get_label().startswith("n = ")]
    assert [line.get_label().split(",")[0] for line in named[:2]] == ["n = 2", "n = 10"]
    assert len({line.get_color() for line in named}) == 3
    assert len({line.get_linestyle() for line in named}) == 3
    for line, greatest in zip(named, rate.values(), strict=True):
        assert line.get_xdata().max() == greatest
    rings = [line for line in axis.lines if line.get_marker() == "o"]
    assert [(*line.get_xdata(), *line.get_ydata()) for line in rings] == [
        (greatest, 1) for greatest in rate.values()
    ]
    assert [text.get_text() for text in axis.texts] == ["9.1 %", "23.1 %", "33.3 %", "50.0 %"]
    assert [text.get_position()[0] for text in axis.texts] == pytest.approx(
        [1 / 11, 3 / 13, 1 / 3, 1 / 2]
    )


def test_gradients_have_a_row_per_protocol_with_arrows_and_growth():
    protocols = ("tokens", "sequences")
    projection = pd.DataFrame(
        {"protocol": protocol, "kind": kind, "x": x, "y": y, "share_x": 0.25, "share_y": 0.034}
        for protocol in protocols
        for kind, x, y in (("clean", 2, 1), ("clean", 3, -1), ("corrupt", 0, 2))
    )
    growth = pd.DataFrame(
        {"protocol": protocol, "count": m, "snr": m**0.5}
        | {"norm_clean": 3.0 * m, "norm_clean_se": 0.1, "predicted_clean": 3.1 * m}
        | {"norm_corrupt": m**0.5, "norm_corrupt_se": 0.1, "predicted_corrupt": 1.1 * m**0.5}
        | {"cosine_clean": 0.52, "cosine_corrupt": 0.001}
        for protocol in protocols
        for m in (1, 2, 4)
    )
    axes = np.array(figures.gradient_figure([projection, growth]).axes).reshape(2, 2)
    assert [axis.get_title() for axis in axes[:, 0]] == [
        "(a) token noise (text)",
        "(a) sequence noise (released code)",
    ]
    for plane, sums in axes:
        points = {line.get_label(): line for line in plane.lines if line.get_marker() in "o^"}
        clean = points["gradients of clean targets"]
        assert list(zip(clean.get_xdata(), clean.get_ydata(), strict=True)) == [(2, 1), (3, -1)]
        assert list(points["gradients of corrupt targets"].get_ydata()) == [2]
        arrows = [line.get_xydata().tolist() for line in plane.lines if len(line.get_xdata()) == 2]
        assert [[0, 0], [3, -1]] in arrows
        assert plane.get_aspect() == 1
        assert "25 %" in plane.get_xlabel()
        assert "3.4 %" in plane.get_ylabel()
        (line,) = (line for line in plane.lines if "orthogonal" in line.get_label())
        assert line.get_xdata()[0] == pytest.approx(3 / np.sqrt(2))  # two of mean length 3
        assert curves(sums)["clean sum"] == ([1, 2, 4], [3, 6, 12])
        assert (sums.get_xscale(), sums.get_yscale()) == ("log", "log")
        guides = [line for line in sums.lines if line.get_linestyle() == ":"]
        slopes = [np.polyfit(*np.log([g.get_xdata(), g.get_ydata()]), 1)[0] for g in guides]
        assert slopes == pytest.approx([1, 0.5])
        predicted = {line.get_label(): list(line.get_ydata()) for line in sums.lines}
        assert predicted["clean, from mean length and cosine"] == pytest.approx([3.1, 6.2, 12.4])
        texts = " ".join(text.get_text() for text in sums.texts)
        assert "clean 0.520, corrupt 0.001" in texts
        assert "SNR: 1.00 at m = 1, 2.00 at m = 4" in texts


def test_numbers_of_a_weak_model_are_hollow_and_named_so():
    cells = pd.DataFrame({"e": [0.0, 0.5], "ours": [9.0, 8.0], "ci_low": [8.0, 7.0]})
    cells = cells.assign(ci_high=10.0, competence=[None, None])
    figure, axis = plt.subplots()
    drawing.with_spread(axis, cells, "e", "ours", "#000000")
    drawing.with_spread(axis, cells.assign(competence="at chance"), "e", "ours", "#000000")
    (strong, *_), (weak, *_) = axis.containers
    assert strong.get_markerfacecolor() == "#000000"
    assert weak.get_markerfacecolor() == "white"
    labels = [container.get_label() for container in axis.containers]
    assert labels == ["ours, 95 % CI", "ours, 95 % CI (model too weak)"]
    plt.close(figure)
