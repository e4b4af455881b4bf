"""Vision transformers: timm's network, exact counting, snapshots, what they are scored by."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import commands
from helpers import example_run, random_images
from noiselab.data import embedded, prepared
from noiselab.data.batches import ImageBatches
from noiselab.families.classifier import task as classifier
from noiselab.families.vision_transformer import task as vision_transformer
from noiselab.files import write_json
from noiselab.models.vit import vit
from noiselab.noise.draws import taught_labels
from noiselab.planning import config, runs
from noiselab.training import distributed
from noiselab.training.loop import Settings, build_optimizer, train
from test_scripts import SCRIPTS, TORCHRUN

CPU = torch.device("cpu")


def planned(experiment, number, tier="smoke", **changes):
    """A run of a tier; changes: overlay of the configuration."""
    plan = runs.plan(config.load(changes, tier=tier), "r")
    return plan.runs[plan.experiments[experiment][number]]


# --------------------------------------------------------------------------------- network


def test_defaults_are_timms_vit_base():
    import timm

    torch.manual_seed(0)
    ours = vit(3, 1000, 224)
    torch.manual_seed(0)
    theirs = timm.create_model("vit_base_patch16_224", drop_path_rate=0.1)
    assert sum(p.numel() for p in ours.parameters()) == 86_567_656
    pairs = zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True)
    assert all(name == other and torch.equal(a, b) for (name, a), (other, b) in pairs)
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in ours.blocks]
    assert rates == pytest.approx([0.1 * i / 11 for i in range(12)])


def test_the_paper_tier_asks_for_vit_base():
    run = planned("table3", 0, "paper")
    settings = {k: v for k, v in run["model"].items() if k != "name"}
    with torch.device("meta"):
        network = vit(run["channels"], 1000, run["size"], **settings)
    assert sum(p.numel() for p in network.parameters()) == 86_567_656


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_a_convolutional_stem_gives_one_token_per_patch(pool):
    network = vit(1, 7, 12, patch=4, width=16, layers=1, heads=2, stem="convolution", pool=pool)
    assert network.patch_embed(torch.zeros(2, 1, 12, 12)).shape == (2, 9, 16)
    assert network(torch.zeros(2, 1, 12, 12)).shape == (2, 7)


def small_network(run):
    description = {"mean": [0.5] * run["channels"], "std": [0.2] * run["channels"]}
    return vision_transformer.build(run, description)


def test_initial_weights_are_those_of_the_seed_whatever_the_noise():
    clean, noisy = (small_network(planned("table3", i)) for i in (0, 1))
    for a, b in zip(clean.parameters(), noisy.parameters(), strict=True):
        assert torch.equal(a, b)


def test_positions_biases_and_the_class_token_are_not_decayed():
    run = planned("table3", 0)
    model = small_network(run)
    optimizer = build_optimizer(model, run["training"]["optimizer"])
    names = {id(p): name.removeprefix("network.") for name, p in model.named_parameters()}
    decayed, spared = ({names[id(p)] for p in g["params"]} for g in optimizer.param_groups)
    assert {"cls_token", "pos_embed", "head.bias", "norm.weight"} <= spared
    assert {"head.weight", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"} <= decayed
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.05, 0.0]


# ------------------------------------------------------------------------- exact counting


def test_every_test_image_counts_once_on_two_processes(tmp_path):
    """101 images on two processes: a sampler that pads to 102 would count one twice."""
    run = planned("table3", -1)
    run |= {"data": str(tmp_path / "data"), "classes": 10, "train_size": 61}
    spec = {"name": "random", "kind": "glyphs", "classes": 10, "channels": 1, "size": run["size"]}
    spec |= {"train_size": 61, "test_size": 101}
    splits = [random_images(n, 1, run["size"], 10, seed=n) for n in (61, 101)]
    prepared.write(tmp_path / "data", spec, *splits, "random")
    write_json(tmp_path / "run.json", run.content())
    results = []
    for name, launcher in (("one", (sys.executable,)), ("two", TORCHRUN)):
        out = tmp_path / name
        command = [*launcher, str(SCRIPTS / "train.py"), "--run", str(tmp_path / "run.json")]
        for option in ("checkpoints", "weights", "history", "summary", "predictions"):
            command += [f"--{option}", str(out / option)]
        commands.run(command, check=True)
        rows = [json.loads(r) for r in (out / "history").read_text().splitlines()]
        scores = [r["test_accuracy"] for r in rows if "test_accuracy" in r]
        results.append((dict(np.load(out / "predictions")), scores))
    (one, scores), (two, other_scores) = results
    assert one["test"].shape == two["test"].shape == (101, 10)
    assert np.allclose(one["test"], two["test"], atol=1e-4)
    assert (one["train_rows"] == np.arange(61)).all()
    for key in ("train_decided", "snapshot_train_decided"):
        assert one[key].shape == two[key].shape == (61,)
    assert scores == pytest.approx(other_scores)
    assert all(s * 1.01 == pytest.approx(round(s * 1.01)) for s in scores)  # k of 101


@pytest.mark.parametrize(("count", "world"), [(500, 8), (101, 2), (3, 8), (7, 1)])
def test_shares_together_are_every_row_once(monkeypatch, count, world):
    monkeypatch.setattr(distributed, "world_size", lambda: world)
    shares = []
    for rank in range(world):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shares.append(distributed.share(count))
    assert len({len(share) for share in shares}) == 1
    assert (np.stack(shares, axis=1).reshape(-1)[:count] == np.arange(count)).all()


def test_a_diverged_model_decides_nothing():
    run = planned("table3", 0)
    model = small_network(run)
    with torch.no_grad():
        model.network.head.bias.fill_(float("nan"))
    assert (classifier.decide(model, random_images(5, 1, run["size"], 10).x, CPU) == -1).all()


# ------------------------------------------------------------------------------- training


def task_of(run, folder):
    """The task of a run on glyphs, prepared in `folder` at the first call."""
    spec = {"name": "glyphs", "kind": "glyphs", "classes": run["classes"], "channels": 1}
    spec |= {"size": run["size"], "train_size": run["train_size"], "test_size": 1000}
    if not (folder / "data").exists():
        prepared.write(folder / "data", spec, *embedded.glyphs(spec))
    return vision_transformer.task(run | {"data": str(folder / "data")}, CPU)


def trained(run, folder, **changes):
    """(task, trained model); changes: of the training settings."""
    task = task_of(run, folder.parent)
    options = {"seed": run["seed"], "run_digest": "r", "folder": folder, "device": CPU}
    settings = Settings(**run["training"] | changes)
    return task, train(task.model, task.batch, task.loss, settings, **options)[0]


def test_a_snapshot_is_the_longer_run_on_its_way(tmp_path):
    """Equal to a run that stops there with the longer one's learning rates (docs/AUDIT.md, 12)."""
    run = planned("table3", -1)
    steps = run["training"]["steps"]
    assert run["training"]["snapshot_step"] == steps // 2 == 10
    trained(run, tmp_path / "long")
    snapshot = load_file(tmp_path / "long" / "snapshot.safetensors")
    _, stopped = trained(run, tmp_path / "short", steps=10, schedule_steps=steps)
    _, annealed = trained(run, tmp_path / "annealed", steps=10, schedule_steps=10)
    assert all(torch.equal(snapshot[name], t) for name, t in stopped.state_dict().items())
    assert not all(torch.equal(snapshot[name], t) for name, t in annealed.state_dict().items())


def test_labels_are_smoothed():
    """(1 - s) times the cross-entropy of the label, s times its mean over the classes."""
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    loss = classifier.smoothed_loss(example_run(label_smoothing=0.2))
    value = loss(lambda x: x, SimpleNamespace(inputs=logits, targets=labels))
    logs = logits.log_softmax(-1)
    expected = -(0.8 * logs[torch.arange(6), labels] + 0.2 * logs.mean(-1)).mean()
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.fixture
def one_thread():
    """As many as the rules give; two that wait for each other are slower on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_minute_on_embedded_images_beats_chance_tenfold(tmp_path, one_thread):
    """200 classes: chance is 0.5 %. The run of `quick`, three times as long: 20 seconds."""
    run = planned("table3", 6, "quick", vision_transformer={"steps": 900})
    assert (run["dataset"], run["corruption"]) == ("glyphs-200", "none")
    task, model = trained(run, tmp_path / "checkpoints")
    assert task.evaluate(model)["test_accuracy"] > 10 * 0.5


def test_training_accuracy_is_measured_on_a_class_balanced_part():
    labels = np.repeat(np.arange(5), [10, 20, 30, 40, 50])
    run = example_run(classes=5, evaluation={"train_images": 15})
    rows = vision_transformer.train_rows(run, labels)
    assert (np.bincount(labels[rows]) == 3).all()
    everything = vision_transformer.train_rows(run | {"evaluation": {"train_images": None}}, labels)
    assert (everything == np.arange(150)).all()


def test_labels_as_taught_are_the_same_for_scores_and_training():
    """Fixed noise: what evaluation recomputes is what training saw."""
    run = planned("table3", -1, experiments={"table3": {"resample": "fixed"}})
    images = random_images(60, 1, run["size"], run["classes"])
    batches = ImageBatches(run, images, CPU)
    taught = batches(60, 120).targets.numpy()  # the second epoch, in its order
    again, corrupted = taught_labels(batches.noise, run, images.y, np.arange(60), 0, 60)
    assert (again[batches.indices(60, 120)] == taught).all()
    assert corrupted.any()
