"""What a configuration must not say: one line that names the key, before any job."""

import os
from pathlib import Path

import pytest
import yaml

from noiselab.errors import NoiselabError
from noiselab.planning import config, project

LINES = (Path(__file__).parent / "mistakes.txt").read_text(encoding="utf-8").splitlines()
MISTAKES = [line.split(" => ") for line in LINES if not line.startswith("#")]
WORDS = {  # in the list of mistakes
    "OWN": "{family: classifier, datasets: [digits], corruption: uniform_label, resample: fresh, "
    "budget: fixed_clean, noise_ratios: [0, 1.0], seeds: [0], protocol: text}",
    "DIGITS": "{kind: digits, stands_in_for: null, classes: 10, channels: 1, size: 8, "
    "train_size: 100, test_size: 50, crop: 0, flip: false}",
}


def settings(text: str) -> dict:
    """Settings of a line of the list."""
    for word, meaning in WORDS.items():
        text = text.replace(word, meaning)
    return yaml.safe_load(f"{{{text}}}")


def planned(changes: dict) -> project.Project:
    """The project of tier smoke with changes."""
    tier = None if "tier" in changes else "smoke"
    return project.plan(config.load(changes, tier=tier), "results/smoke")


def refused(changes: dict) -> str:
    """The message about changes that cannot be."""
    with pytest.raises(NoiselabError) as error:
        planned(changes)
    message = str(error.value)
    assert message.isprintable()
    assert message.startswith("config key ")
    return message.removeprefix("config key ")


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[text[:60] for text, _ in MISTAKES])
def test_a_mistake_is_one_line_that_names_the_key(text, message):
    assert refused(settings(text)).startswith(message)


def test_the_words_of_the_list_are_right_by_themselves():
    changes = settings("experiments: {mine: OWN}, datasets: {small: DIGITS}")
    changes["experiments"]["mine"]["datasets"] = ["small"]
    assert "mine" in planned(changes).graph.plan.experiments


@pytest.mark.parametrize("section", ["experiments", "artefacts", "datasets"])
def test_long_names_are_refused(section):
    entry = settings("own: OWN, data: DIGITS, table: {kind: table, family: all, builder: spectrum}")
    entries = {
        "experiments": entry["own"],
        "artefacts": entry["table"],
        "datasets": entry["data"],
    }
    for length in (81, 300):
        message = refused({section: {"x" * length: entries[section]}})
        assert f"a name has at most 80 characters, not {length}" in message
        assert len(message) < 150


def test_nothing_to_do_is_said():
    names = config.load(tier="smoke")["experiments"]
    assert "none is enabled" in refused(
        {"experiments": {name: {"enabled": False} for name in names}}
    )


@pytest.mark.parametrize("character", ["\n", "\0", "\x1b", "\x7f", "\ud800", "\r", "\t"])
def test_control_characters_are_refused_and_not_printed(character, tmp_path):
    (tmp_path / "a").mkdir()
    assert "data.root: a line break" in refused({"data": {"root": f"{tmp_path}/{character}"}})
    title = {"kind": "table", "family": "all", "builder": "spectrum", "title": f"a{character}"}
    assert "mine.title: a line break" in refused({"artefacts": {"mine": title}})
    assert "a line break" in refused({"experiments": {f"a{character}": settings("a: OWN")["a"]}})


def test_a_root_must_be_a_folder(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert f"data.root: {file} is no folder, but a file" in refused({"data": {"root": str(file)}})
    missing = tmp_path / "missing"
    assert f"data.root: no folder {missing}" in refused({"data": {"root": str(missing)}})


def test_weights_to_start_from_are_weights(tmp_path):
    file = tmp_path / "w.safetensors"
    for content in (b"", b"no weights", b"\xff" * 100):
        file.write_bytes(content)
        message = refused({"experiments": {"table2": {"init": {"weights": str(file)}}}})
        assert f"experiments.table2.init.weights: {file} is no safetensors file" in message
    for path in (tmp_path, tmp_path / "missing"):
        message = refused({"experiments": {"table2": {"init": {"weights": str(path)}}}})
        assert f"experiments.table2.init.weights: cannot read {path}" in message


GOOD = [  # that look like a mistake
    "experiments: {table2: {batch_multiplier: {1: 2}}}",
    "experiments: {table2: {batch_multiplier: {digits: {'1.0': 2}}}}",
    "experiments: {table2: {training: {optimizer: {learning_rate: 1.0e+30}}}}",
    "classifier: {optimizer: {name: adamw, betas: [0.9, 0.99]}}",
    "language_model: {optimizer: {name: sgd, momentum: 0.9}}",
    "vision_transformer: {steps: null, epochs: 3}",
    "classifier: {batch_size: 50, micro_batch_size: 25}",
    "classifier: {schedule: {final_learning_rate: 0.1}}",
    "classifier: {batch_size: 5000}",
    "datasets: {digits: {train_size: 20}}",
    "datasets: {'2024': DIGITS}, experiments: {table2: {datasets: ['2024']}}",
    "name: '2024', seeds: [3]",
    "studies: low_quality_data",
    "seeds: [9007199254740993]",
    "experiments: {'None': OWN, class: OWN, rule: OWN}",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_only_looks_like_a_mistake_is_planned(text):
    planned(settings(text))


@pytest.mark.parametrize("tier", ["smoke", "quick", "lab"])
def test_a_kept_configuration_says_all_and_is_no_mistake(tier, tmp_path):
    for changes in ({}, {"classifier": {"epochs": 7}}, {"seeds": [3]}):
        whole = config.load(changes | {"data": {"root": str(tmp_path)}}, tier=tier)
        assert config.load(whole, tier=tier) == whole


def test_folders_with_odd_names_can_be_the_root(tmp_path):
    for name in ("a b", "it's", '"', "$(touch x)", "`touch x`", "a&b;c", "{x}", "*", "ä", "-x"):
        folder = tmp_path / name
        folder.mkdir()
        for root in (folder, f"{folder}/"):
            config.load({"data": {"root": str(root)}}, tier="smoke")
    assert not os.path.exists("x")
