"""Kinds of wrong labels in experiments: what is planned, and what is refused in one line."""

import os

import numpy as np
import pytest

from helpers import example_run
from noiselab.errors import NoiselabError
from noiselab.noise import flips, registry
from noiselab.noise.corruptions.asymmetric import Asymmetric
from noiselab.noise.corruptions.labels import PairFlip, ShiftLabel, Symmetric
from noiselab.noise.corruptions.matrices import TransitionMatrix
from noiselab.planning import config, runs

OWN = {"family": "classifier", "datasets": ["digits"], "resample": "fixed"}
OWN |= {"budget": "fixed_total", "seeds": [0], "protocol": "text"}
KEY = "config key experiments.mine."


def plan(tier="smoke", **changes):
    """The runs of an experiment `mine`, by id."""
    settings = config.load({"experiments": {"mine": OWN | changes}, "only": ["mine"]}, tier=tier)
    planned = runs.plan(settings, f"results/{tier}")
    return {run: planned.runs[run] for run in planned.experiments["mine"]}


def noisiest(**changes):
    return list(plan(**changes).values())[-1]


def refused(**changes) -> str:
    with pytest.raises(NoiselabError) as error:
        plan(**changes)
    assert "\n" not in str(error.value)
    return str(error.value)


def confusing(classes: int = 10) -> np.ndarray:
    rate = np.linspace(0, 0.5, classes)[:, None]
    return (1 - rate) * np.eye(classes) + rate * np.roll(np.eye(classes), 1, axis=1)


def matrix_file(path, matrix) -> str:
    np.savetxt(path, matrix, delimiter=",", fmt="%.12g")
    return str(path)


# ------------------------------------------------------------------------------------ families


@pytest.mark.parametrize("family", ["classifier", "vision_transformer", "diffusion"])
def test_every_kind_is_for_every_family_of_images(tmp_path, family):
    classes = 12 if family == "vision_transformer" else 10
    path = matrix_file(tmp_path / "t.csv", confusing(classes))
    for name, more in (
        ("symmetric", {"error_rates": [0, 0.4]}),
        ("pair_flip", {"error_rates": [0, 0.4]}),
        ("shift_label", {"noise_ratios": [0, 0.5]}),
        ("asymmetric", {"error_rates": [0, 1]}),
        ("transition_matrix", {"transitions": path}),
    ):
        data = ["glyphs-12" if classes == 12 else "digits"]
        run = noisiest(family=family, corruption=name, datasets=data, **more)
        noise = registry.corruption(run)
        assert noise.name == name
        assert noise.transitions.shape == (classes, classes)
    with pytest.raises(NoiselabError, match="is not for a language_model"):
        plan(
            family="language_model",
            corruption="symmetric",
            error_rates=[0.1],
            datasets=["docstrings"],
        )


def test_names_of_the_field_have_the_matrices_of_the_field():
    rate, classes = 0.4, 10
    symmetric = (1 - rate) * np.eye(classes) + rate / classes
    assert Symmetric(rate, classes).transitions == pytest.approx(symmetric)
    assert np.array_equal(PairFlip(rate, 10).transitions, ShiftLabel(rate, 10).transitions)
    asymmetric = Asymmetric(rate, classes, flips.CIFAR10).transitions
    truck, automobile, bird, airplane, deer, horse, cat, dog = 9, 1, 2, 0, 4, 7, 3, 5
    pairs = ((truck, automobile), (bird, airplane), (deer, horse), (cat, dog), (dog, cat))
    for source, target in pairs:
        assert asymmetric[source, target] == pytest.approx(rate)
        assert asymmetric[source, source] == pytest.approx(1 - rate)
    untouched = sorted(set(range(10)) - {source for source, _ in pairs})
    assert len(untouched) == 5
    assert np.array_equal(asymmetric[untouched], np.eye(10)[untouched])


def test_classes_of_cifar100_become_the_next_of_their_superclass():
    noise = Asymmetric(0.3, 100, flips.KNOWN["cifar100"])
    groups = np.array(flips.SUPERCLASSES)
    assert np.array_equal(np.bincount(groups), np.full(20, 5))
    assert np.array_equal(groups[noise.becomes], groups)
    assert np.array_equal(np.sort(noise.becomes), np.arange(100))
    step = np.arange(100)
    for _ in range(5):
        step = noise.becomes[step]
    assert np.array_equal(step, np.arange(100))  # five classes in a circle
    beaver, dolphin, otter, seal, whale = 4, 30, 55, 72, 95
    assert list(noise.becomes[[beaver, dolphin, otter, seal, whale]]) == [30, 55, 72, 95, 4]


# ---------------------------------------------------------------------------------- asymmetric


def test_flips_are_those_of_the_data_set():
    cases = {
        "cifar10": ("cifar10", flips.CIFAR10),
        "cifar100": ("cifar100", flips.KNOWN["cifar100"]),
        "digits": ("pairs", {0: 1, 2: 3, 4: 5, 6: 7, 8: 9}),
        "glyphs-7": ("pairs", {0: 1, 2: 3, 4: 5}),
    }
    for dataset, (source, expected) in cases.items():
        run = noisiest(tier="paper", corruption="asymmetric", datasets=[dataset], error_rates=[0.4])
        assert run.flips_from == source
        assert registry.corruption(run).flips == expected
        assert run.run_id == f"classifier/{dataset}/asymmetric-fixed-e0.4-fixed_total-s0"


def test_data_of_another_number_of_classes_is_not_what_its_name_says():
    assert flips.usual("cifar10", 4) == ({0: 1, 2: 3}, "pairs")


def test_flips_of_an_experiment_are_in_the_id_and_in_run_json():
    run = noisiest(corruption="asymmetric", error_rates=[0.4], flips={3: 8, "8": 3})
    assert run.flips == {"3": 8, "8": 3}
    assert run.flips_from == "experiment"
    assert registry.corruption(run).flips == {3: 8, 8: 3}
    other = noisiest(corruption="asymmetric", error_rates=[0.4], flips={3: 7, 8: 3})
    assert run.run_id != other.run_id
    same = noisiest(corruption="asymmetric", error_rates=[0.4], flips={8: 3, 3: 8})
    assert same == run


NO_MAPPING = "is not a mapping from classes to what they become, such as {9: 1, 2: 0}"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({3: 10}, "flips.3: 10 is no class; 10 classes are 0 to 9 (data set digits)"),
        ({10: 3}, "flips.10: no class; 10 classes are 0 to 9 (data set digits)"),
        ({"cat": 3}, "flips.cat: no class; 10 classes are 0 to 9 (data set digits)"),
        ({1.5: 3}, "flips.1.5: no class; 10 classes are 0 to 9 (data set digits)"),
        ({"01": 3}, "flips.01: no class; 10 classes are 0 to 9 (data set digits)"),
        ({-1: 3}, "flips.-1: no class; 10 classes are 0 to 9 (data set digits)"),
        ({"٣": 3}, "flips.٣: no class; 10 classes are 0 to 9 (data set digits)"),
        ({True: 3}, "flips.true: no class; 10 classes are 0 to 9 (data set digits)"),
        ({3: 3}, "flips.3: class 3 would stay what it is; leave it out (data set digits)"),
        ({3: -1}, "flips.3: -1 is less than the minimum of 0"),
        ({3: 1.5}, "flips.3: 1.5 is not of type 'integer'"),
        ({3: 1.0}, "flips.3: 1.0 is not of type 'integer'"),
        ({3: True}, "flips.3: True is not of type 'integer'"),
        ({3: None}, "flips.3: None is not of type 'integer'"),
        ({3: [1, 2]}, "flips.3: [1, 2] is not of type 'integer'"),
        ({3: "dog"}, "flips.3: 'dog' is not of type 'integer'"),
        ({}, f"flips: {{}} {NO_MAPPING}"),
        (
            [[3, 1]],
            f"flips: [[3, 1]] {NO_MAPPING}",
        ),
        (
            "cifar10",
            f"flips: 'cifar10' {NO_MAPPING}",
        ),
        (
            None,
            f"flips: None {NO_MAPPING}",
        ),
    ],
    ids=str,
)
def test_flips_that_cannot_be_are_refused(wrong, message):
    assert refused(corruption="asymmetric", error_rates=[0.4], flips=wrong) == KEY + message


# --------------------------------------------------------------------------- transition_matrix


def test_a_matrix_has_a_rate_of_its_own(tmp_path):
    path = matrix_file(tmp_path / "a matrix of mine.csv", confusing())
    planned = plan(corruption="transition_matrix", transitions=path, budget="fixed_clean")
    clean, noisy = planned.values()
    assert clean.run_id == "classifier/digits/clean-s0"
    assert noisy.error_rate == pytest.approx(0.25)
    assert noisy.noise_ratio == pytest.approx(1 / 3)
    assert noisy.training["steps"] == pytest.approx(clean.training["steps"] * 4 / 3, abs=1)
    digits = noisy.transitions["sha256"][:6]
    assert noisy.run_id == f"classifier/digits/transition_matrix-{digits}-fixed-fixed_clean-s0"
    noise = registry.corruption(noisy)
    assert noise.transitions == pytest.approx(confusing(), abs=1e-11)
    assert noise.transitions.sum(1) == pytest.approx(np.ones(10), abs=1e-15)
    assert noise.true_error_rate == pytest.approx(0.25)
    assert noise.facts()["class_error_rates"].startswith("0: 0 %, 1: 5.56 %")


def test_a_matrix_that_changed_after_planning_is_refused(tmp_path):
    path = matrix_file(tmp_path / "t.csv", confusing())
    run = noisiest(corruption="transition_matrix", transitions=path)
    matrix_file(tmp_path / "t.csv", confusing()[::-1, ::-1])
    with pytest.raises(NoiselabError, match=r"t\.csv has changed since this run was planned"):
        registry.corruption(run)
    assert noisiest(corruption="transition_matrix", transitions=path).run_id != run.run_id


def test_a_clean_clone_of_the_run_knows_its_matrix():
    run = example_run(transitions={"path": "nowhere.csv", "sha256": "0", "error_rate": 0.1})
    with pytest.raises(NoiselabError, match=r"cannot read nowhere\.csv \(No such file"):
        TransitionMatrix.from_run(run)


ROWS = "\n".join(",".join("1" if i == j else "0" for j in range(10)) for i in range(10))
FLIP = ROWS.replace("1,0,0,0,0,0,0,0,0,0", "0.5,0.5,0,0,0,0,0,0,0,0")


def csv(first: str) -> str:
    """Ten rows of which the first is this."""
    return "\n".join([first, *FLIP.splitlines()[1:]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ROWS, "{} leaves each label as it is"),
        ("", "{} is empty"),
        ("\ufeff\n \n\n", "{} is empty"),
        (csv("0.5,0.4,0,0,0,0,0,0,0,0"), "{} has 0.9, not 1, as the sum of the row of class 0"),
        (csv("1.5,-0.5,0,0,0,0,0,0,0,0"), "{} has 1.5 in the row of class 0: no probability"),
        (csv("nan,1,0,0,0,0,0,0,0,0"), "{} has nan in the row of class 0: no probability"),
        (csv("inf,0,0,0,0,0,0,0,0,0"), "{} has inf in the row of class 0: no probability"),
        (csv("0.5,0.5"), "{} has 10 rows of 2 or 10 columns, but 10 classes need as many of both"),
        (csv("0.5,,0.5,0,0,0,0,0,0,0"), "{}, line 1: an empty cell ('0.5,,0.5,0,0,0,0,0,0,0')"),
        (csv("0.5,0.5,0,0,0,0,0,0,0,0,"), "{}, line 1: an empty cell ('0.5,0.5,0,0,0,0,0,0,0,0,')"),
        ("a,b,c,d,e,f,g,h,i,j\n" + FLIP, "{} begins with a header ('a,b,c,d,e,f,g,h,i,j')"),
        (FLIP.replace(",", ";"), "{} is separated by semicolons, not by commas ('0.5;0.5;"),
        (FLIP.replace(",", ";").replace(".", ","), "{} is separated by semicolons, not by commas"),
        (FLIP.replace(",", "\t"), "{} is separated by tabs, not by commas ("),
        (FLIP.replace(",", " "), "{} is separated by spaces, not by commas ("),
        (csv("0.5,50%,0,0,0,0,0,0,0,0"), "{}, line 1: not numbers with commas between them ("),
        (csv("0.5,half" + 40 * ",0"), "{}, line 1: not numbers with commas between them ("),
        ("1,0\n0,1", "{} has 2 rows of 2 columns, but 10 classes need as many of both"),
    ],
    ids=range(18),
)
def test_a_file_that_is_no_such_matrix_is_refused(tmp_path, content, message):
    path = tmp_path / "a T.csv"
    path.write_text(content, encoding="utf-8")
    found = refused(corruption="transition_matrix", transitions=str(path))
    assert found.startswith(f"{KEY}transitions: {message.format(path)}")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_bytes_that_are_no_text_are_refused(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_text(FLIP, encoding=encoding)
    found = refused(corruption="transition_matrix", transitions=str(path))
    assert found == f"{KEY}transitions: {path} is no text in UTF-8; save it as csv in UTF-8"


def test_a_mark_in_front_and_windows_lines_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf" + FLIP.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    assert noisiest(corruption="transition_matrix", transitions=str(path)).error_rate == 0.05


def test_a_matrix_that_was_turned_is_told_so(tmp_path):
    path = matrix_file(tmp_path / "t.csv", confusing().T)
    assert "its columns do: turn it, a row is a true class" in refused(
        corruption="transition_matrix", transitions=path
    )


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, why in (
        (tmp_path, "Is a directory"),
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path / "none.csv", "No such file or directory"),
        ("/dev/zero", "not a regular file"),
    ):
        found = refused(corruption="transition_matrix", transitions=str(path))
        assert found == f"{KEY}transitions: cannot read {path} ({why})"
    found = refused(corruption="transition_matrix", transitions="")
    assert found == f"{KEY}transitions: '' is not the path of a csv file"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transitions": "t.csv", "noise_ratios": [0, 1]}, "noise_ratios: transition_matrix has a"),
        ({"transitions": "t.csv", "error_rates": [0.1]}, "error_rates: transition_matrix has a"),
        ({}, "transitions: missing; a csv file of T, or labels to count it from"),
        ({"transitions": "t.csv", "labels": "l.csv"}, "transitions: not together with labels"),
        ({"transitions": ["t.csv"]}, "transitions: ['t.csv'] is not the path of a csv file"),
        (
            {"transitions": "t.csv", "flips": {0: 1}},
            "flips: a mapping from classes to what",
        ),
        ({"wrong_labels": "t.csv"}, "wrong_labels: the path of a csv file, for corruption label_"),
    ],
    ids=str,
)
def test_keys_must_go_together(change, message):
    assert refused(corruption="transition_matrix", **change).startswith(KEY + message)


def test_a_matrix_without_a_right_label_needs_a_fixed_total(tmp_path):
    path = matrix_file(tmp_path / "t.csv", np.roll(np.eye(10), 1, axis=1))
    run = noisiest(corruption="transition_matrix", transitions=path)
    assert (run.error_rate, run.noise_ratio) == (1, None)
    change = {"corruption": "transition_matrix", "transitions": path, "budget": "fixed_clean"}
    assert refused(**change).startswith(f"{KEY}budget: no target would be right")
