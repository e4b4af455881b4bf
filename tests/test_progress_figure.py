"""A score along training: a line per training, a colour per experiment, ends in the sentence."""

import json

import pytest

from noiselab.answers.figures import Training, progress_figure, saving


def history(values, score="test_accuracy"):
    """Evaluations at 100, 200, … between rows of the loss."""
    rows = []
    for step, value in enumerate(values, 1):
        rows += [{"step": 100 * step, "loss": 1.0}, {"step": 100 * step, score: value}]
    return rows


TRAININGS = [
    Training("plain", "modular-41", 0, history([10.0, 60.0, 96.0])),
    Training("plain", "modular-41", 1, history([5.0, 95.0])),
    Training("stable", "modular-41", 0, history([5.0, 20.0, 40.0, 41.0])),
    Training("plain", "modular-113", 0, history([1.0, 2.0])),
]


@pytest.fixture(scope="module")
def figure():
    return progress_figure(TRAININGS, "test_accuracy", "test accuracy", "%")


def test_its_data_are_the_evaluations_of_each_training(figure):
    data = figure.data
    small = data[data["panel"] == "modular-41: test accuracy"]
    plain = small[small["series"] == "plain"]
    assert plain["value"].tolist() == [10.0, 60.0, 96.0, 5.0, 95.0]
    assert plain["step"].tolist() == [100, 200, 300, 100, 200]
    assert set(small["series"]) == {"plain", "stable"}
    assert len(data) == 11


def test_its_sentence_says_where_they_ended(figure):
    assert "plain on modular-41 95 to 96; stable on modular-41 41 to 41" in figure.alt
    assert "plain on modular-113 2 to 2" in figure.alt


def test_the_thick_line_is_that_of_the_middle_training():
    """The first to come there are 1, 4, 2; of those that never do, the higher one is 0."""
    ends = {0: [90, 91, 92], 1: [95], 2: [80, 80, 96], 3: [10, 20, 30], 4: [50, 97]}
    trainings = [Training("a", "modular-41", seed, history(v)) for seed, v in ends.items()]
    figure = progress_figure(trainings, "test_accuracy", "test accuracy", "%")
    spec = json.dumps(figure.wide)
    assert [seed for seed in ends if f"a (seed {seed})" not in spec] == [2]


@pytest.mark.parametrize("form", ["wide", "narrow"])
def test_it_can_be_drawn(figure, form):
    drawn = saving.svg(getattr(figure, form), figure.alt, form)
    assert "modular-113: test accuracy" in drawn
    assert "NaN" not in drawn


def test_without_evaluations_it_says_so():
    nothing = [Training("plain", "modular-41", 0, [{"step": 1, "loss": 1.0}])]
    figure = progress_figure(nothing, "test_accuracy", "test accuracy", "%")
    assert "Nothing of this figure" in figure.alt
