"""The register of corruptions: names, modules that are broken, which experiments fit."""

import sys
from pathlib import Path

import pytest

import commands
from helpers import example_run
from noiselab.errors import NoiselabError
from noiselab.noise import corruptions, registry
from noiselab.noise.base import CORRUPTIONS, TIE
from noiselab.noise.corruptions.clean import Clean
from noiselab.noise.corruptions.labels import ShiftLabel, UniformLabel
from noiselab.planning import code

SCRIPTS = Path(code.SCRIPTS)


def test_two_corruptions_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two corruptions are called 'shift_label'"):
        type("Other", (ShiftLabel,), {"name": "shift_label"})
    assert CORRUPTIONS["shift_label"] is ShiftLabel


@pytest.mark.parametrize(
    "name", ["my noise", "mine/x", "mine<b>", "", "mine\n", "más", "-", None, 3]
)
def test_a_name_that_no_file_or_id_can_have_is_refused(name):
    before = dict(CORRUPTIONS)
    with pytest.raises(ValueError, match="of Mine: letters, digits and _ alone"):
        type("Mine", (ShiftLabel,), {"name": name})
    assert before == CORRUPTIONS


BROKEN = {  # what somebody wrote -> what the one line says
    "class A:\n    def f(self)\n": ", line 2: expected ':'",
    "import numpi\n": ", line 1: No module named 'numpi'",
    "from noiselab.noise.base import Noise\n": ", line 1: cannot import name 'Noise' from ",
    "\nrate = e\n": ", line 2: NameError: name 'e' is not defined",
    "from noiselab.noise.corruptions.labels import ShiftLabel\n\n"
    "class Mine(ShiftLabel):\n    name = 'shift_label'\n": ", line 3: two corruptions are called "
    "'shift_label' (noiselab.noise.corruptions.labels, noiselab.noise.corruptions.mine)",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_module_that_cannot_be_imported_is_one_line(tmp_path, monkeypatch, text):
    monkeypatch.setattr(corruptions, "__path__", [*corruptions.__path__, str(tmp_path)])
    (tmp_path / "mine.py").write_text(text)
    line = corruptions.mistake("mine")
    assert line.startswith(f"{tmp_path / 'mine.py'}{BROKEN[text]}")
    assert "\n" not in line
    monkeypatch.setattr(corruptions, "BROKEN", [line])
    with pytest.raises(NoiselabError) as error:
        registry.known()
    assert str(error.value) == line
    with pytest.raises(NoiselabError):
        registry.corruption(example_run())


def test_no_module_of_corruptions_is_broken():
    assert corruptions.BROKEN == []
    assert registry.known() is CORRUPTIONS


def test_names_are_those_of_the_families():
    labels = {"uniform_label", "symmetric", "shift_label", "pair_flip", "asymmetric"}
    labels |= {"label_matrix", "transition_matrix", "given_labels"}
    assert "instance_dependent" in registry.names("classifier")
    for family in ("classifier", "vision_transformer", "diffusion"):
        assert labels <= set(registry.names(family))
    assert registry.names("language_model") == [
        "uniform_token",
        "unigram_token",
        "permuted_token",
        "uniform_text",
        "gaussian_text",
    ]
    assert registry.names("seq2seq") == ["uniform_token", "permuted_token", "teacher"]
    assert "none" in CORRUPTIONS
    assert "none" not in registry.names()
    assert Clean().tie == 0
    assert UniformLabel(0.1, 2).tie == TIE


def experiment(**changes):
    fixed = {"family": "classifier", "corruption": "uniform_label", "resample": "fixed"}
    return fixed | {"noise_ratios": [0, 0.5]} | changes


def test_an_experiment_that_fits_its_corruption_passes():
    registry.check(experiment(), "")
    registry.check(experiment(corruption="label_matrix", wrong_labels="w.csv"), "")
    registry.check(experiment(family="seq2seq", corruption="teacher"), "")


OF_A_FAMILY = "x.corruption: uniform_token is not for a classifier "
OF_A_FAMILY += f"(known: {', '.join(registry.names('classifier'))})"
OF_A_MATRIX = "x.wrong_labels: the path of a csv file, for corruption label_matrix and no other"
BOTH = {"noise_ratios": [0], "error_rates": [0]}
MISTAKES = [
    (experiment(**BOTH), "x.error_rates: not together with noise_ratios"),
    (
        {k: v for k, v in experiment().items() if k != "noise_ratios"},
        "x.noise_ratios: missing; say noise_ratios (wrong per right target) or error_rates (share "
        "that is wrong)",
    ),
    (experiment(corruption="uniform_token"), OF_A_FAMILY),
    (experiment(wrong_labels="w.csv"), OF_A_MATRIX),
    (
        experiment(corruption="label_matrix"),
        "x.wrong_labels: missing; label_matrix needs it: the path of a csv file",
    ),
    (
        experiment(corruption="transition_matrix", transitions="t.csv"),
        "x.noise_ratios: transition_matrix has a rate of its own; leave it out",
    ),
    (
        experiment(flips={"0": 1}),
        "x.flips: a mapping from classes to what they become, such as {9: 1, 2: 0}, for corruption "
        "asymmetric and no other",
    ),
    (
        experiment(family="seq2seq", corruption="teacher", resample="fresh"),
        "x.resample: a teacher's targets are made once: fixed",
    ),
]


@pytest.mark.parametrize(("wrong", "message"), MISTAKES)
def test_an_experiment_that_does_not_is_refused_in_one_line(wrong, message):
    with pytest.raises(NoiselabError) as error:
        registry.check(wrong, "x.")
    assert str(error.value) == message


def test_planning_may_import_the_register():
    """It is read by each `snakemake`: NumPy is enough."""
    program = (
        "import sys; sys.path.insert(0, 'workflow/scripts'); import noiselab.noise.registry;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'scipy', 'pandas')))"
    )
    assert commands.run([sys.executable, "-c", program], cwd=SCRIPTS.parents[1]).returncode == 0


def test_scripts_that_draw_are_made_of_every_module_of_corruptions():
    """They are imported by discovery, which the reader of imports must know."""
    folder = SCRIPTS / "noiselab" / "noise" / "corruptions"
    files = set(code.script("score", "noiselab.families.classifier.score"))
    modules = set(folder.glob("*.py"))
    assert len(modules) > 3
    assert modules <= files
    assert modules.isdisjoint(code.script("compute_information_loss"))


def test_every_corruption_says_what_it_is():
    for name, kind in CORRUPTIONS.items():
        assert kind.__doc__, name
        assert kind.resamples
        assert kind.why_resamples or set(kind.resamples) == {"fixed", "fresh"}
        assert all("description" in schema for schema in (kind.options | kind.optional).values())
