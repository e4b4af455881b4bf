"""Frozen models of this project as backbones: their features, and which items they can see."""

import copy
from importlib import import_module

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import example_run, random_images
from noiselab.data import prepared
from noiselab.errors import NoiselabError
from noiselab.families import FAMILIES
from noiselab.families.backbones import at_resolution, resized
from noiselab.families.probe import features
from noiselab.families.vision_transformer import backbone
from noiselab.families.vision_transformer.task import build
from noiselab.models.gpt2 import gpt2
from noiselab.models.lstm import lstm
from noiselab.planning import config, runs
from noiselab.planning.choices import noisy_inputs
from noiselab.training.weights import save_weights

pytestmark = pytest.mark.timeout(60)
CPU = torch.device("cpu")
DESCRIPTION = {"mean": [0.4], "std": [0.3]}
NETWORK = {"name": "vit", "patch": 4, "layers": 2, "heads": 2, "width": 16, "drop_path": 0.1}
HEADS = {gpt2: {"heads": 2}, lstm: {}}
NETWORKS = [
    NETWORK | {"pool": "token", "stem": "patch", "initialization": "timm"},
    NETWORK | {"pool": "avg", "stem": "patch", "initialization": "moco"},
    NETWORK | {"pool": "avg", "stem": "convolution", "initialization": "moco"},
]


def vit_run(network=NETWORKS[0], **changes):
    about = {"run_id": "vision_transformer/mine", "family": "vision_transformer", "model": network}
    about |= {"channels": 1, "size": 12, "classes": 3, "augment": {"crop": 1, "flip": False}}
    return example_run(**about | changes)


def vision_transformer(network):
    """A network whose layers all do something: nothing of it is 0 or 1, as it would be at first."""
    model = build(vit_run(network), DESCRIPTION).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer += 0.3
    return model


def timms(model, images):
    """timm's own forward of the network without its last layer."""
    network = copy.deepcopy(model.network)
    network.reset_classifier(0)
    seen = (torch.from_numpy(images).double() / 255 - 0.4) / 0.3
    with torch.no_grad():
        return network.double()(seen).float().numpy()


# ----------------------------------------------------------------------------------- features


@pytest.mark.parametrize("made", [gpt2, lstm])
def test_a_language_models_logits_are_its_last_layer_of_the_features(made):
    torch.manual_seed(0)
    model, tokens = made(100, layers=1, width=16, context=8, **HEADS[made]), torch.arange(24)
    with torch.no_grad():
        states = model.base_model(tokens.view(3, 8)).last_hidden_state
        logits = model(tokens.view(3, 8)).logits
    (embedding,) = {p for p in model.parameters() if p.shape[0] == logits.shape[-1]}
    assert states.shape == (3, 8, 16)
    torch.testing.assert_close(states @ embedding.T, logits)


@pytest.mark.parametrize("network", NETWORKS)
def test_features_of_a_vision_transformer_are_timms_pooled_tokens(network):
    model = vision_transformer(network)
    images = random_images(7, 1, 12, 3).x
    index = np.array([6, 0, 3])
    found = features.image_features(backbone.pooled(model), images, index, CPU)["last"]
    assert found.shape == (3, 16)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, timms(model, images[index]), atol=2e-5)
    with torch.no_grad():
        logits = model(torch.from_numpy(images[index]))
        again = model.network.head(torch.from_numpy(found))
    torch.testing.assert_close(again, logits, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("most", [1, 3, 50])
def test_no_batch_size_matters(network, most):
    network = backbone.pooled(vision_transformer(network))
    images = random_images(50, 1, 12, 3).x
    found, whole = (
        features.image_features(network, images, np.arange(50), CPU, size)["last"]
        for size in (most, 7)
    )
    assert np.abs(whole).max() > 1
    np.testing.assert_allclose(found, whole, rtol=1e-6, atol=1e-6 * np.abs(whole).max())


def test_features_of_a_run_are_those_of_its_weights_at_its_own_resolution(tmp_path):
    spec = {"name": "task", "kind": "images", "classes": 3, "channels": 1, "size": 8}
    spec |= {"train_size": 30, "test_size": 9}
    train, test = random_images(30, 1, 8, 3), random_images(9, 1, 8, 3, seed=1)
    prepared.write(tmp_path / "task", spec, train, test, "made up")
    own = spec | {"name": "own", "size": 12}
    larger = random_images(30, 1, 12, 3), random_images(9, 1, 12, 3, seed=1)
    prepared.write(tmp_path / "own", own, *larger, "made up", mean=[0.4], std=[0.3])
    model, weights = vision_transformer(NETWORKS[1]), tmp_path / "weights.safetensors"
    run = vit_run(NETWORKS[1], data=str(tmp_path / "own"))
    save_weights(weights, model, run.run_id)
    arguments = (weights, tmp_path / "task", tmp_path / "shards", CPU)
    found = features.extract(run, *arguments)
    assert set(found) == {"train_last", "train_labels", "test_last", "test_labels"}
    assert found["train_last"].shape == (30, 16)
    assert found["test_labels"].tolist() == test.y.tolist()
    for i in (0, 5):  # Pillow's bicubic, of an image in float
        picture = Image.fromarray(test.x[i, 0].astype(np.float32), mode="F")
        at_twelve = np.clip(picture.resize((12, 12), Image.Resampling.BICUBIC), 0, 255)
        np.testing.assert_allclose(
            found["test_last"][i], timms(model, at_twelve[None, None])[0], atol=1e-3
        )
    with pytest.raises(NoiselabError, match="weights of vision_transformer/mine, not of other"):
        features.extract(run | {"run_id": "other"}, *arguments)


def test_images_of_other_channels_are_refused_in_one_line():
    network = at_resolution(lambda images: images, (1, 8, 8), "vision_transformer/mine")
    with pytest.raises(NoiselabError, match=r"^vision_transformer/mine: sees 1 channels, .* 3$"):
        network(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))


def test_images_of_the_right_shape_stay_as_they_are():
    images = torch.from_numpy(random_images(4, 1, 8, 3).x)
    assert at_resolution(lambda seen: seen, (1, 8, 8), "m")(images) is images
    larger = at_resolution(lambda seen: seen, (3, 16, 16), "m")(images)
    torch.testing.assert_close(larger, 255 * resized(images / 255, (3, 16, 16), "m"))


def test_features_are_in_single_precision_on_a_gpu_too():
    """Convolutions would have a mantissa of 10 bits there, by default."""
    seen = []

    def network(images):
        seen.append(torch.backends.cudnn.allow_tf32)
        return images.flatten(1).float()

    before = torch.backends.cudnn.allow_tf32
    features.image_features(network, random_images(4, 1, 2, 2).x, np.arange(4), CPU)
    assert (seen, torch.backends.cudnn.allow_tf32) == ([False], before)


# ----------------------------------------------------------------------------------- planning

PROBES = {"family": "probe", "heads": ["linear"], "datasets": ["digits"], "seeds": [0]}


def planned(tier="smoke", **changes):
    settings = {"experiments": {"probes": PROBES | changes}, "only": ["probes"]}
    return runs.plan(config.load(settings, tier=tier), "r")


def test_each_backbone_says_what_it_has_features_of():
    for probe in (family for family in FAMILIES.values() if family.backbones):
        for name in probe.backbones:
            module = import_module(f"noiselab.families.{name}.backbone")
            assert FAMILIES[name].features
            assert all(callable(getattr(module, items)) for items in FAMILIES[name].features)


def test_there_is_a_probe_of_each_vision_transformer():
    plan = planned(backbone={"experiment": "table3"})
    trained = [run for run in plan.runs.values() if run.family == "vision_transformer"]
    found = [plan.runs[name] for name in plan.experiments["probes"]]
    assert {run.parents["backbone"] for run in found} == {run.run_id for run in trained}
    assert len(found) == len(trained) > 1
    assert {run.backbone["noise"] for run in found} >= {"clean", "uniform label, 50 %"}


def test_probes_of_two_families_of_backbones_are_two_runs():
    noise = {"corruption": "uniform_label", "resample": "fixed", "budget": "fixed_total"}
    noise |= {"datasets": ["glyphs-12"], "error_rates": [0, 0.5], "seeds": [0], "protocol": "text"}
    content = {
        family: noise | {"family": family} for family in ("classifier", "vision_transformer")
    }
    content |= {
        f"{family}_probes": PROBES | {"backbone": {"experiment": family}} for family in content
    }
    plan = runs.plan(config.load({"experiments": content}, tier="smoke"), "r")
    places = {
        name: [run.split("/")[-1] for run in plan.experiments[f"{name}_probes"]]
        for name in ("classifier", "vision_transformer")
    }
    assert places["classifier"][0] == "glyphs-12.clean-s0-linear"
    assert places["vision_transformer"][0] == "vision_transformer.glyphs-12.clean-s0-linear"
    assert len({*places["classifier"], *places["vision_transformer"]}) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"datasets": ["glyphs-10"]},
            r"datasets: glyphs-10 has images of 3 channels, vision_transformer/\S+ sees 1$",
        ),
        ({"datasets": ["docstring_package"]}, "has texts, which vision_transformer/"),
        ({"backbone": {"experiment": "table33"}}, "no experiment 'table33' whose models have"),
        (
            {"training": {"features": {"kind": "mean"}}},
            r"features\.kind: digits has images, whose only features are",
        ),
    ],
)
def test_a_mistake_is_one_line(changes, message):
    with pytest.raises(NoiselabError, match=f"^config key experiments.probes.*{message}"):
        planned(**{"backbone": {"experiment": "table3"}} | changes)


def test_of_no_runs_there_are_no_parents():
    """Where a plan has probes alone, an analysis of other families has no runs, and is none."""
    plan = planned(backbone={"experiment": "table3"})
    assert plan.parents("clean", []) == []
    assert plan.parents("backbone", []) == []
    assert len(plan.parents("backbone")) > 1
    assert noisy_inputs(plan, plan.experiments["probes"]) == []
