"""Every mistake in the configuration is one line that names the key."""

import pytest

from noiselab.errors import NoiselabError
from noiselab.planning import config

BAD = [
    ({"experimnets": {}}, "experimnets: unknown key (did you mean experiments?)"),
    ({"classifier": {"epoch": 3}}, "classifier.epoch: unknown key (did you mean epochs?)"),
    (
        {"experiments": {"table2": {"noise_ratios": [0, -0.1]}}},
        "experiments.table2.noise_ratios[1]",
    ),
    ({"experiments": {"table2": {"noise_ratios": [1.5]}}}, "experiments.table2.noise_ratios[0]"),
    ({"experiments": {"table2": {"seeds": []}}}, "experiments.table2.seeds"),
    ({"experiments": {"table2": {"corruption": "flip"}}}, "experiments.table2.corruption"),
    ({"experiments": {"table2": {"training": {"lr": 1}}}}, "experiments.table2.training.lr"),
    ({"classifier": {"batch_size": "big"}}, "classifier.batch_size"),
    ({"data": {"root": "/no/such/folder"}}, "data.root: no folder /no/such/folder"),
    ({"datasets": {"english": {"parts": [{"folder": "a"}]}}}, "datasets.english.parts[0]"),
    ({"datasets": {"docstrings": {"out_of_domain": {}}}}, "datasets.docstrings.out_of_domain"),
    ({"tier": "huge"}, "tier: no tier 'huge'"),
]


@pytest.mark.parametrize(("overlay", "message"), BAD)
def test_mistakes_are_one_line_that_names_the_key(overlay, message):
    with pytest.raises(NoiselabError) as error:
        config.load(overlay)
    assert f"config key {message}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("tier", ["smoke", "quick", "desk", "burst", "lab", "paper"])
def test_every_tier_is_valid(tier):
    assert config.load(tier=tier)["tier"] == tier


def test_number_keys_become_strings():
    settings = config.load({"experiments": {"table2": {"batch_multiplier": {0.5: 2}}}})
    assert settings["experiments"]["table2"]["batch_multiplier"] == {"0.5": 2}


def test_numbers_on_the_command_line_are_numbers():
    """Snakemake hands nested values of --config over as strings."""
    overlay = {"classifier": {"epochs": "3", "clip_norm": "null", "precision": "fp32"}}
    recipe = config.load(overlay)["classifier"]
    assert (recipe["epochs"], recipe["clip_norm"], recipe["precision"]) == (3, None, "fp32")


def test_overlays_merge_mappings_and_replace_the_rest():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert config.merge(base, {"a": {"y": [3]}}) == {"a": {"x": 1, "y": [3]}, "b": 1}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 1}
