"""Trainings that start from other weights: of the runs of another experiment, or of a file."""

import json

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import nn

from noiselab.errors import NoiselabError
from noiselab.planning import config, runs
from noiselab.training.weights import load_initial
from project import Project

TUNED = {
    "family": "classifier",
    "datasets": ["digits"],
    "corruption": "uniform_label",
    "resample": "fresh",
    "budget": "fixed_clean",
    "noise_ratios": [0, 1.0],
    "seeds": [0, 1],
    "protocol": "text",
    "init": {"experiment": "table2", "dataset": "glyphs-10", "noise_ratio": 1.0},
}


def plan(init, **changes):
    tuned = TUNED | {"init": init} | changes
    return runs.plan(config.load({"experiments": {"tuned": tuned}}, tier="smoke"), "r")


def test_each_seed_starts_from_the_run_of_its_seed_which_is_planned_with_its_parents():
    planned = plan(TUNED["init"])
    for name in planned.experiments["tuned"]:
        run = planned.runs[name]
        first = planned.runs[run.parents["init"]]
        assert (first.dataset, first.noise_ratio, first.seed) == ("glyphs-10", 1.0, run.seed)
        assert first.parents["clean"] in planned.runs
        assert run.init == {"weights": f"r/runs/{first.run_id}/weights.safetensors"}
        assert planned.runs[run.parents["clean"]].parents["init"] == first.run_id


def test_runs_that_start_otherwise_are_others():
    ids = [
        set(plan(init).experiments["tuned"]) for init in (TUNED["init"], {"experiment": "table2"})
    ]
    assert not ids[0] & ids[1]
    usual = runs.plan(config.load(tier="smoke"), "r").experiments["table2"]
    assert not ids[1] & set(usual)


def test_a_start_may_have_a_start_itself():
    twice = {"tuned": TUNED, "again": TUNED | {"init": {"experiment": "tuned"}}}
    planned = runs.plan(config.load({"experiments": twice}, tier="smoke"), "r")
    for name in planned.experiments["again"]:
        first = planned.runs[planned.runs[name].parents["init"]]
        assert first.run_id in planned.experiments["tuned"]
        assert planned.runs[first.parents["init"]].dataset == "glyphs-10"


def test_the_teacher_of_what_starts_otherwise_is_the_usual_one():
    tuned = config.load(tier="smoke")["experiments"]["table9"] | {"init": {"experiment": "table9"}}
    planned = runs.plan(config.load({"experiments": {"tuned": tuned}}, tier="smoke"), "r")
    for name in planned.experiments["tuned"]:
        assert planned.runs[name].parents.keys() <= {"clean", "teacher", "init"}
        assert set(planned.runs[name].parents.values()) <= set(planned.runs)
    teachers = planned.parents("teacher", planned.experiments["tuned"])
    assert teachers == ["seq2seq/code2doc/teacher-s100"]


def test_a_file_is_known_by_its_content(tmp_path):
    path = tmp_path / "weights.safetensors"
    found = []
    for number in (1, 2):
        save_file({"a": torch.full((1,), float(number))}, path)
        planned = plan({"weights": str(path)})
        found.append(planned.experiments["tuned"][0])
        assert planned.runs[found[-1]].init["weights"] == str(path)
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ({"experiment": "tabel2"}, r"tuned\.init\.experiment: no classifier experiment 'tabel2'"),
        ({"experiment": "table7"}, r"tuned\.init\.experiment: no classifier experiment 'table7'"),
        ({"experiment": "tuned"}, r"tuned\.init\.experiment: tuned would start from itself"),
        ({"weights": "missing.safetensors"}, r"tuned\.init\.weights: cannot read missing"),
        ({"experiment": "table2", "weights": "x"}, r"tuned\.init"),
    ],
)
def test_mistakes_are_one_line(init, message):
    with pytest.raises(NoiselabError, match=message):
        plan(init)


def test_weights_that_fit_are_taken_and_others_drawn(tmp_path):
    path = tmp_path / "weights.safetensors"
    first, other = (nn.Sequential(nn.Linear(3, 4), nn.Linear(4, n)) for n in (10, 7))
    save_file(first.state_dict(), path)
    drawn = other[1].weight.clone()
    said = load_initial({"weights": str(path)}, other)
    assert torch.equal(other[0].weight, first[0].weight)
    assert torch.equal(other[1].weight, drawn)
    assert (said["taken"], said["drawn"]) == (2, ["1.weight", "1.bias"])
    with pytest.raises(NoiselabError, match="none of its weights fits"):
        load_initial({"weights": str(path)}, nn.Linear(9, 9))
    with pytest.raises(NoiselabError, match="has changed since"):
        load_initial({"weights": str(path), "sha256": "0"}, other)
    path.write_bytes(b"no weights")
    with pytest.raises(NoiselabError, match=r"weights\.safetensors"):
        load_initial({"weights": str(path)}, other)


def test_a_training_starts_where_another_ended(tmp_path):
    """With a learning rate that changes nothing, weights are those of the other run."""
    project = Project(tmp_path / "project")
    tuned = TUNED | {"seeds": [0], "noise_ratios": [0]}
    tuned["training"] = {"optimizer": {"learning_rate": 1e-30, "weight_decay": 0.0}}
    text = yaml.safe_dump({"experiments": {"tuned": tuned}})
    (project.folder / "tuned.yaml").write_text(text)
    project.call("--configfile", "tuned.yaml", "--config", "tier=smoke", "--", "tuned")
    (path,) = project.results.glob("runs/classifier/digits/clean-s0-x*/run.json")
    run = json.loads(path.read_text())
    said = json.loads(path.with_name("training.json").read_text())["init"]
    weights, first = (
        load_file(file)
        for file in (path.with_name("weights.safetensors"), project.folder / said["weights"])
    )
    assert run["parents"]["init"] in said["weights"]
    same = [name for name in weights if name not in said["drawn"] and "running" not in name]
    assert said["taken"] == len(weights) - len(said["drawn"]) > 5
    for name in same:
        if weights[name].is_floating_point() and "num_batches" not in name:
            assert torch.allclose(weights[name], first[name], atol=1e-12), name
