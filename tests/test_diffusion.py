"""The diffusion family on the frame: batches, sampling, judging, scores."""

from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import random_images
from noiselab.answers import pictures, tables
from noiselab.data.batches import ImageBatches
from noiselab.errors import NoiselabError
from noiselab.families.classifier.task import build as build_classifier
from noiselab.families.diffusion import task as diffusion
from noiselab.measures import features, frechet, generated, metrics
from noiselab.models import edm
from noiselab.models.fast_cnn import LOGITS
from noiselab.noise.corruptions.clean import Clean
from noiselab.noise.corruptions.labels import UniformLabel
from noiselab.planning import config, runs

torch.set_num_threads(1)
CPU = torch.device("cpu")
RATES = [1 / 11, 0.3 / 1.3, 1 / 3, 0.5]


def run_of(ratio=1.0, images=40, **experiment):
    change = {"table1": {"noise_ratios": [ratio]} | experiment}
    settings = config.load({"experiments": change}, tier="smoke")
    plan = runs.plan(settings, "r")
    run = plan.runs[plan.experiments["table1"][0]]
    return run | {"evaluation": run["evaluation"] | {"images": images}}


@pytest.fixture(scope="module")
def model():
    """A denoiser whose output depends on everything: its last layers start at zero otherwise."""
    model = diffusion.build(run_of())
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return model.eval()


# ------------------------------------------------------------------------------ training


def test_the_whole_batch_equals_its_parts():
    data = random_images(100, 1, 8, 10)
    batches = diffusion.DiffusionBatches(run_of(), data, CPU)
    whole, parts = batches(50, 100), [batches(50, 60), batches(60, 100)]
    for field in ("images", "condition", "sigma", "noise"):
        joined = torch.cat([getattr(part.inputs, field) for part in parts])
        assert torch.equal(joined, getattr(whole.inputs, field))
    again = diffusion.DiffusionBatches(run_of(), data, CPU)(50, 100)
    assert torch.equal(again.inputs.noise, whole.inputs.noise)
    assert not torch.equal(batches(0, 50).inputs.noise, whole.inputs.noise)


def test_conditions_are_the_labels_that_a_classifier_of_the_seed_would_see():
    data, run = random_images(100, 1, 8, 10), run_of()
    images, labels, corrupted = ImageBatches(run, data, CPU)(0, 50)
    batch = diffusion.DiffusionBatches(run, data, CPU)(0, 50)
    assert torch.equal(batch.inputs.condition.argmax(1), labels)
    assert torch.equal(batch.corrupted, corrupted)
    assert 10 < corrupted.sum() < 40
    assert batch.inputs.images.min() >= -1
    assert batch.inputs.images.max() <= 1
    assert np.array_equal(diffusion.pixels(batch.inputs.images), images.numpy())


def test_noise_levels_are_edms():
    sigma, noise = diffusion.draw(run_of(), (20_000, 1, 2, 2), 0, CPU)
    logs = sigma.log()
    assert logs.mean().item() == pytest.approx(-1.2, abs=4 * 1.2 / np.sqrt(20_000))
    assert logs.std().item() == pytest.approx(1.2, abs=0.03)
    assert noise.mean().item() == pytest.approx(0, abs=4 / np.sqrt(80_000))


def test_released_protocol_has_eight_times_the_learning_rate():
    assert run_of()["training"]["optimizer"]["learning_rate"] == 1e-4
    released = run_of(protocol="released")["training"]["optimizer"]
    assert released["learning_rate"] == pytest.approx(8e-4)


def test_paper_size_and_length():
    plan = runs.plan(config.load(tier="paper"), "r")
    run = plan.runs["diffusion/cifar10/uniform_label-r1.00-fixed_clean-s0"]
    assert run["training"]["steps"] == 2 * 1200 * 50_000 // 128
    assert run["training"]["warmup_steps"] == 200 * 50_000 // 128
    count = sum(p.numel() for p in diffusion.build(run).parameters())
    assert count == pytest.approx(15.7e6, rel=0.02)


def test_the_judge_is_the_clean_classifier_of_table_2():
    settings = config.load(tier="quick")
    plan = runs.plan(settings, "r")
    for run in (plan.runs[r] for r in plan.experiments["table1"]):
        assert run["parents"]["judge"] in plan.experiments["table2"]
    alone = config.load({"experiments": {"table2": {"enabled": False}}}, tier="quick")
    assert runs.plan(alone, "r").runs[run["parents"]["judge"]] == plan.runs[run["parents"]["judge"]]


# ------------------------------------------------------------------------------ sampling


def test_an_image_is_the_same_in_any_batch(model):
    run = run_of()
    labels = generated.generated_labels(12, 10)
    whole = diffusion.sample(model, run, np.arange(12), labels, CPU)
    for part in np.split(np.arange(12), [1, 7]):
        alone = diffusion.sample(model, run, part, labels[part], CPU)
        assert np.abs(alone.astype(int) - whole[part]).max() <= 1  # one grey level of rounding
    assert len({image.tobytes() for image in whole}) == 12


@pytest.mark.parametrize(("each", "calls"), [(1, 3), (3, 6), (99, 12)])
def test_few_images_are_in_the_network_at_once(model, monkeypatch, each, calls):
    """each: how often the network sees an image."""
    sizes, sample = [], diffusion.sample

    def counted(model, run, index, *others):
        sizes.append(len(index))
        return sample(model, run, index, *others)

    monkeypatch.setattr(diffusion, "TOGETHER", 5 if each == 1 else 6)
    monkeypatch.setattr(diffusion, "sample", counted)
    run, labels = run_of(), generated.generated_labels(12, 10)
    found = diffusion.sample_in_parts(model, run, np.arange(12), labels, CPU, each)
    assert len(sizes) == calls
    whole = sample(model, run, np.arange(12), labels, CPU)
    assert np.abs(found.astype(int) - whole).max() <= 1


class StoppedError(Exception):
    pass


def sampled(model, folder, monkeypatch, shard, stop_after=None):
    weights = folder.parent / "weights"
    weights.write_bytes(b"weights")
    monkeypatch.setattr(diffusion, "SHARD", shard)
    calls, sample = [], diffusion.sample

    def counted(*arguments):
        if len(calls) == stop_after:
            raise StoppedError
        calls.append(arguments)
        return sample(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(diffusion, "sample", counted)
        parts = diffusion.sample_all(model, run_of(images=33), weights, folder, CPU)
        return np.concatenate(list(parts)), len(calls)


def test_a_sampling_that_was_stopped_goes_on_and_gives_the_same(model, tmp_path, monkeypatch):
    reference, calls = sampled(model, tmp_path / "whole", monkeypatch, 10)
    assert (len(reference), calls) == (33, 4)
    with pytest.raises(StoppedError):
        sampled(model, tmp_path / "stopped", monkeypatch, 10, stop_after=2)
    resumed, calls = sampled(model, tmp_path / "stopped", monkeypatch, 10)
    assert calls == 2
    assert np.array_equal(resumed, reference)
    other, _ = sampled(model, tmp_path / "other", monkeypatch, 7)
    assert np.abs(other.astype(int) - reference).max() <= 1


def test_images_are_class_balanced():
    counts = np.bincount(generated.generated_labels(503, 10), minlength=10)
    assert counts.max() - counts.min() <= 1


def test_the_model_as_a_classifier_scores_each_class_on_the_same_noise(model):
    run, data = run_of(), random_images(20, 1, 8, 10)
    errors = diffusion.class_errors(model, run, data, CPU)
    assert errors.shape == (20, 10)
    images = diffusion.scaled(torch.from_numpy(data.x))
    seed = diffusion.streams.integer(0, "classification", 0)
    _, noise = diffusion.draw(run_of(), (2, 1, 8, 8), seed, CPU)
    # Quartiles of a log-normal: exp(-1.2 -+ 0.6745 * 1.2).
    sigmas = torch.exp(torch.tensor([-1.2 - 0.67449 * 1.2, -1.2 + 0.67449 * 1.2]))
    for i, label in ((0, 3), (7, 9)):
        one_hot = torch.eye(10)[[label]]
        draws = [
            edm.denoising_loss(
                model, images[[i]], one_hot, s[None], e[None], edm.EDM().loss_weight
            ).item()
            for s, e in zip(sigmas, noise, strict=True)
        ]
        assert errors[i, label] == pytest.approx(np.mean(draws), rel=1e-4)


# ------------------------------------------------------------------------------ features


@pytest.mark.parametrize("network", [{"name": "resnet"}, {"name": "fast_cnn", "widths": [4, 6]}])
def test_judge_features_are_what_its_last_layer_reads(network):
    settings = config.load(tier="smoke")
    run = runs.plan(settings, "r").runs["classifier/digits/clean-s0"]
    run |= {"model": (run.model if network["name"] == "resnet" else {}) | network}
    judge = build_classifier(run, {"mean": [0.3], "std": [0.4], "shape": [1, 8, 8]}).eval()
    images = random_images(30, 1, 8, 10).x
    seen = features.last_inputs(judge)
    found = np.concatenate(list(features.in_batches(seen, images, CPU, size=7)))
    logits = judge(torch.from_numpy(images)).detach()
    last = [part for part in judge.modules() if isinstance(part, torch.nn.Linear)][-1]
    again = last(torch.from_numpy(found)) * (LOGITS if network["name"] == "fast_cnn" else 1)
    torch.testing.assert_close(again.detach(), logits, atol=1e-4, rtol=0)


def test_inception_reads_a_local_file_and_says_what_is_wrong_with_it(tmp_path):
    with pytest.raises(NoiselabError, match=r"no weights of pytorch-fid's Inception"):
        features.inception_features(tmp_path / "missing.pth", CPU)
    (tmp_path / "broken.pth").write_bytes(b"not weights")
    with pytest.raises(NoiselabError, match=r"broken\.pth: no weights"):
        features.inception_features(tmp_path / "broken.pth", CPU)


def test_inception_features_are_pytorch_fids(tmp_path):
    """Random weights in a local file, against the package's own reading of PNG files."""
    from PIL import Image
    from pytorch_fid import fid_score, inception

    torch.manual_seed(0)
    with (
        mock.patch.object(inception, "load_state_dict_from_url"),
        mock.patch.object(torch.nn.Module, "load_state_dict"),
    ):
        torch.save(inception.fid_inception_v3().state_dict(), tmp_path / "weights.pth")
    images = random_images(3, 3, 16, 3).x
    for i, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"{i}.png")
    ours = features.inception_features(tmp_path / "weights.pth", CPU)
    found = np.concatenate(list(features.in_batches(ours, images, CPU, size=2)))
    saved = torch.load(tmp_path / "weights.pth", weights_only=True)
    with mock.patch.object(inception, "load_state_dict_from_url", return_value=saved):
        network = inception.InceptionV3([3])
    files = [tmp_path / f"{i}.png" for i in range(3)]
    expected = fid_score.get_activations(files, network, batch_size=3, num_workers=0)
    assert found.shape == (3, 2048)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_grids_have_a_row_per_class():
    images = random_images(40, 3, 4, 10).x
    labels = np.arange(40) % 10
    grid = pictures.grid(images, labels, 10, 3)
    for label in range(10):
        for column in range(3):
            assert np.array_equal(grid[label, column], images[label + 10 * column])
    sheet = pictures.tiled(grid)
    assert sheet.shape == (50, 15, 3)
    assert np.array_equal(sheet[5:9, 10:14].transpose(2, 0, 1), grid[1, 2])


# ------------------------------------------------------------------------------ scores


@pytest.mark.parametrize("error_rate", RATES)
@pytest.mark.parametrize("classes", [10, 100])
def test_consistency_floor_by_simulation(error_rate, classes):
    """Of images whose own label agrees with the wanted one with probability a, those that a model
    of corrupted labels generates agree with the floor's probability."""
    rng, a, n = np.random.default_rng(0), 0.94, 400_000
    wanted = rng.integers(0, classes, n)
    wrong = (wanted + rng.integers(1, classes, n)) % classes
    # Training pairs with the label `wanted`: its image is of that class but for the noise.
    shown = np.where(rng.random(n) < error_rate, wrong, wanted)
    seen = np.where(rng.random(n) < a, shown, (shown + rng.integers(1, classes, n)) % classes)
    floor = UniformLabel(error_rate, classes).observed_agreement(a)
    assert (seen == wanted).mean() == pytest.approx(floor, abs=4 * 0.5 / np.sqrt(n))


EQUAL = np.full(10, 0.1)  # shares of the classes in the training set


def measured(hits, right, classes=10, errors=50):
    labels = generated.generated_labels(len(hits), classes)
    decided = np.where(hits, labels, (labels + 1) % classes)
    class_errors = np.ones((errors, classes))
    class_errors[np.arange(errors), np.where(right, 3, 4)] = 0
    return {"decided": decided, "class_errors": class_errors}


def test_scores_by_hand():
    clean = measured(np.arange(1000) < 940, np.arange(50) < 48)
    own = measured(np.arange(1000) < 400, np.arange(50) < 45)
    judge = np.eye(10)[np.full(50, 3)]
    judge[:2] = np.eye(10)[[4, 4]]
    scores = generated.diffusion_metrics(
        own, clean, judge, np.full(50, 3), {"judge_frechet": 1.5}, EQUAL, UniformLabel(0.5, 10)
    )
    values = {name: score["value"] for name, score in scores.items()}
    expected = {"consistency": 40, "judge_accuracy": 96, "denoising_accuracy": 90}
    expected |= {"consistency_drop": 54, "consistency_relative_drop": 100 * (1 - 40 / 94)}
    expected |= {"judge_frechet": 1.5}
    assert values == pytest.approx(expected)
    floor = 100 * (0.5 * 0.94 + 0.5 * 0.06 / 9)
    assert scores["consistency"]["floor"] == pytest.approx(floor)
    assert scores["consistency_drop"]["floor"] == pytest.approx(94 - floor)
    assert scores["consistency_relative_drop"]["floor"] == pytest.approx(100 * (1 - floor / 94))
    assert scores["denoising_accuracy"]["floor"] == 96


def test_a_clean_run_is_its_own_floor():
    clean = measured(np.arange(100) < 90, np.arange(50) < 40)
    scores = generated.diffusion_metrics(
        clean, clean, np.eye(10)[np.full(50, 3)], np.full(50, 3), {}, EQUAL, Clean()
    )
    for name in ("consistency", "consistency_drop", "consistency_relative_drop"):
        assert scores[name]["value"] == pytest.approx(scores[name]["floor"])


def test_a_model_that_diverged_has_empty_values_and_the_reason():
    clean = measured(np.arange(100) < 90, np.arange(50) < 40)
    own = clean | {"class_errors": np.full((50, 10), np.nan)}
    labels, noise = np.full(50, 3), UniformLabel(0.5, 10)
    judge = np.eye(10)[labels]
    scores = generated.diffusion_metrics(own, clean, judge, labels, {"fid": 1}, EQUAL, noise)
    assert {score["value"] for score in scores.values()} == {None}
    assert {score["reason"] for score in scores.values()} == {"training diverged"}


@pytest.mark.parametrize("features", ["judge_frechet", "fid"])
def test_where_the_judge_diverged_the_scores_say_so(features):
    clean = measured(np.arange(100) < 90, np.arange(50) < 40)
    own = clean | {"decided": np.full(100, -1)}
    judge, labels = np.full((50, 10), np.nan), np.full(50, 3)
    distance = {features: np.nan if features == "judge_frechet" else 1.5}
    scores = generated.diffusion_metrics(
        own, own, judge, labels, distance, EQUAL, UniformLabel(0.5, 10)
    )
    kept = {"denoising_accuracy"} | ({"fid"} if features == "fid" else set())
    for name, score in scores.items():
        assert (score["value"] is not None, score["reason"] is None) == (name in kept,) * 2
        assert name in kept or score["reason"] == "the judge diverged"


def test_where_the_clean_run_diverged_only_comparisons_are_lost():
    own = measured(np.arange(100) < 90, np.arange(50) < 40)
    clean = own | {"class_errors": np.full((50, 10), np.nan)}
    judge, labels = np.eye(10)[np.full(50, 3)], np.full(50, 3)
    scores = generated.diffusion_metrics(
        own, clean, judge, labels, {"fid": 1.0}, EQUAL, UniformLabel(0.5, 10)
    )
    assert scores["consistency"]["value"] == 90
    assert scores["consistency"]["floor"] is scores["denoising_accuracy"]["floor"] is None
    assert scores["consistency"]["floor_reason"] == "the clean run diverged"
    for name in ("consistency_drop", "consistency_relative_drop"):
        assert (scores[name]["value"], scores[name]["reason"]) == (None, "the clean run diverged")


def test_a_distance_to_what_is_no_number_is_none():
    known = frechet.moments([np.random.default_rng(0).normal(size=(9, 3))])
    no_mean, no_spread = np.full(3, np.nan), np.full((3, 3), np.inf)
    for broken in (known._replace(mean=no_mean), known._replace(covariance=no_spread)):
        assert np.isnan(frechet.frechet_distance(known, broken))
        assert np.isnan(frechet.frechet_distance(broken, known))


def test_intervals_of_drops_cover():
    rng, covered = np.random.default_rng(0), []
    for _ in range(500):
        right, clean = rng.random(500) < 0.4, rng.random(500) < 0.9
        scores = metrics.drops("consistency", right, clean, 50.0)
        truth = {"consistency_drop": 50, "consistency_relative_drop": 100 * (1 - 0.4 / 0.9)}
        covered.append([scores[n]["ci_low"] <= t <= scores[n]["ci_high"] for n, t in truth.items()])
    assert np.mean(covered, 0) == pytest.approx(0.95, abs=0.03)


def test_the_published_drop_is_the_texts():
    """The drop on CIFAR-10 at r = 1 is 56.81 %."""
    row = {"family": "diffusion", "dataset": "cifar10", "stands_in_for": "cifar10", "seed": 0}
    row |= {"corruption": "uniform_label", "resample": "fresh", "budget": "fixed_clean"}
    row |= {"protocol": "text", "source_share": np.nan, "noise_ratio": 1.0, "error_rate": 0.5}
    row |= {"metric": "consistency_relative_drop", "unit": "%", "value": 50.0, "ci_low": 49.0}
    row |= {"ci_high": 51.0, "interval": "t_items", "floor": 50.0, "reason": None, "items": 10}
    row |= {"measured_error_rate": 0.5, "batch_multiplier": 1}
    table = tables.runs_table(pd.DataFrame([row]), config.published()["table1"])
    assert table.iloc[0]["published"] == pytest.approx(56.81, abs=0.005)
