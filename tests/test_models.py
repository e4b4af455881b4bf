"""The residual networks are torchvision's, with the CIFAR stem; settings of networks."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from helpers import example_run
from noiselab.errors import NoiselabError
from noiselab.families.classifier import task as classifier
from noiselab.models.fast_cnn import fast_cnn
from noiselab.models.gpt2 import gpt2
from noiselab.models.lstm import lstm
from noiselab.models.marian import Symbols, marian
from noiselab.models.perceptrons import mixer, mlp
from noiselab.models.resnet import resnet
from noiselab.models.settings import network_settings

torch.set_num_threads(1)


def test_default_is_torchvisions_resnet18_with_the_cifar_stem():
    ours = resnet(3, 10).eval()
    reference = resnet18(num_classes=10)
    reference.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    reference.maxpool = nn.Identity()
    # Both list their tensors in the order of the forward pass.
    pairs = zip(reference.state_dict(), ours.state_dict().values(), strict=True)
    reference.load_state_dict(dict(pairs))
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(ours(images), reference.eval()(images))
    assert sum(p.numel() for p in ours.parameters()) == 11_173_962


def test_initial_weights_are_he_normal_over_the_fan_out():
    torch.manual_seed(0)
    weight = resnet(3, 10)[3].conv1.weight
    assert abs(weight.std().item() / (2 / (64 * 9)) ** 0.5 - 1) < 0.02


def test_a_setting_that_a_network_does_not_have_is_refused():
    model = {"name": "gpt2", "context": 8, "layers": 1, "heads": 1, "width": 4}
    assert gpt2(10, **network_settings(gpt2, model)).config.n_positions == 8
    with pytest.raises(NoiselabError, match="model gpt2: it has no setting dropout"):
        network_settings(gpt2, model | {"dropout": 0.1})


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_logits_at_some_positions_are_those_of_all_positions_there(norm):
    torch.manual_seed(0)
    sizes = {"layers": 1, "heads": 2, "width": 8, "feedforward": 16, "dropout": 0.0}
    model = marian(20, 12, Symbols(0, 1, 2), **sizes, shared_embeddings=False, norm=norm)
    source, target = torch.randint(3, 20, (2, 3, 9))
    kept = torch.rand(target.shape) < 0.6
    given = {"input_ids": source, "attention_mask": torch.ones_like(source)}
    some = model(**given, decoder_input_ids=target, kept=kept)
    every = model(**given, decoder_input_ids=target).logits
    torch.testing.assert_close(some, every[kept])
    slopes = []
    for logits in (some, every[kept]):
        model.zero_grad()
        logits.square().sum().backward()
        slopes.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*slopes)


def test_the_fast_network_whitens_patches_of_its_images():
    """Its outputs have variance 1, and no two of one sign are correlated."""
    torch.manual_seed(0)
    images = torch.randn(250, 3, 20, 20)  # more than are whitened at once
    images[:, 1] += 2 * images[:, 0]
    images[:, :, :, 1:] += images[:, :, :, :-1].clone()
    network = fast_cnn(3, 10, [8, 12])
    network.whiten(images, least=0)
    with torch.no_grad():
        found = network.whitening(images).permute(1, 0, 2, 3).flatten(1).double()
    half = len(found) // 2
    assert half == 3 * 2 * 2
    torch.testing.assert_close(found[half:], -found[:half])
    moments = found[:half] @ found[:half].T / found.shape[1]
    torch.testing.assert_close(moments, torch.eye(half).double(), atol=1e-4, rtol=0)


def test_blocks_of_the_fast_network_begin_as_identities():
    network = fast_cnn(1, 4, [8, 8])
    first = network.blocks[1][0]
    images = torch.randn(2, 8, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(first(images), images)
    assert network(torch.zeros(2, 1, 16, 16)).shape == (2, 4)
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert "whitening.weight" not in trained
    assert "whitening.bias" in trained
    assert not any(
        isinstance(m, nn.BatchNorm2d) and m.weight.requires_grad for m in network.modules()
    )


def test_mirrored_probabilities_are_means_of_both_views():
    run = example_run(model={"name": "fast_cnn", "widths": [4, 8]}, channels=1, classes=3)
    description = {"mean": [0.5], "std": [0.25], "shape": [9, 1, 8, 8]}
    plain = classifier.build(run, description)
    mirrored = classifier.build(run | {"average_mirrored": True}, description)
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(plain.train()(images), mirrored.train()(images))
        seen = [plain.eval()(view).softmax(-1) for view in (images, images.flip(-1))]
        found = mirrored.eval()(images)
        mirrored_view = mirrored(images.flip(-1))
    torch.testing.assert_close(found.softmax(-1), (seen[0] + seen[1]) / 2)
    torch.testing.assert_close(found, mirrored_view)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(5))


class BeginError(Exception):
    """The batches of a training were asked for: its network was taken."""


OUTPUTS = {  # a network of 8 x 8 grey images -> what is said of it, of 10 classes
    "too many": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 13)), "13 numbers"),
    "too few": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 9)), "9 numbers"),
    "a map": (lambda: nn.Conv2d(1, 10, 3), "an array of shape (10, 6, 6)"),
    "flat": (lambda: nn.Flatten(0), "an array of shape ()"),
}


@pytest.fixture
def begin(monkeypatch):
    """(network) -> what training does with it; BeginError where it would begin."""

    def asked(*_):
        raise BeginError

    def task(network):
        description = {"mean": [0.5], "std": [0.25], "shape": [9, 1, 8, 8]}
        monkeypatch.setitem(classifier.MODELS, "own", lambda *sizes: network)
        monkeypatch.setattr(classifier, "training_batches", asked)
        run = example_run(model={"name": "own"}, channels=1, classes=10)
        return classifier.task(run, torch.device("cpu"), (description, None, None))

    return task


@pytest.mark.parametrize("case", OUTPUTS)
def test_a_network_with_other_outputs_than_classes_is_refused_before_training(begin, case):
    network, what = OUTPUTS[case]
    with pytest.raises(NoiselabError) as error:
        begin(network())
    assert str(error.value) == f"model own gives {what} per image, 10 classes need 10"


def test_a_network_with_an_output_per_class_is_as_it_was_before(begin):
    """Its statistics and the random numbers of its training too."""
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(64, 10))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(BeginError):
        begin(network)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def overfitted(network, inputs, targets, steps=60):
    """The loss of a network after so many steps on one batch; targets with logits in the rows."""
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(inputs), targets)
        loss.backward()
        optimizer.step()
    return loss.item()


# (channels, size, classes) of the images, settings, parameters by hand.
PERCEPTRONS = {
    "mlp": (mlp, {"width": 20, "layers": 2}, 3 * 64 * 20 + 20 * 20 + 2 * 2 * 20 + 20 * 10 + 10),
    # Patches of 48 numbers; of each block two norms, 4 x (4 / 2) tokens and 12 x 48 channels.
    "mixer": (
        mixer,
        {"patch": 4, "width": 12, "layers": 2},
        (48 * 12 + 12)
        + 2 * (2 * 24 + (4 * 6 + 6) + (6 * 4 + 4) + (12 * 48 + 48) + (48 * 12 + 12))
        + 24
        + (12 * 10 + 10),
    ),
}


@pytest.mark.parametrize("name", PERCEPTRONS)
def test_perceptrons_have_their_parameters_and_learn_a_batch(name):
    torch.manual_seed(0)
    network, settings, parameters = PERCEPTRONS[name]
    model = network(3, 8, 10, **settings)
    assert sum(p.numel() for p in model.parameters()) == parameters
    images, labels = torch.randn(20, 3, 8, 8), torch.arange(20) % 10
    assert model(images).shape == (20, 10)
    assert not any(isinstance(layer, nn.Conv1d) for layer in model.modules())
    assert overfitted(model, images, labels) < 0.05


class Flat(nn.Module):
    """A language model with a row per token."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, tokens):
        return self.model(tokens).logits.flatten(0, 1)


def test_the_lstm_has_its_parameters_and_learns_a_batch():
    torch.manual_seed(0)
    model = lstm(100, 16, layers=2, width=32)
    # The vocabulary is padded to 128; a layer has four gates, each with two matrices and biases.
    assert sum(p.numel() for p in model.parameters()) == 128 * 32 + 2 * 4 * (2 * 32 * 32 + 2 * 32)
    tokens = torch.randint(0, 100, (2, 17))
    start = nn.functional.cross_entropy(Flat(model)(tokens[:, :-1]), tokens[:, 1:].flatten())
    assert start.item() == pytest.approx(4.85, abs=0.1)  # ln 128
    assert overfitted(Flat(model), tokens[:, :-1], tokens[:, 1:].flatten(), 250) < 0.1


def test_the_lstm_sees_no_later_token_and_keeps_every_earlier_one():
    torch.manual_seed(0)
    model = lstm(100, 16, layers=2, width=32)
    tokens = torch.randint(0, 100, (1, 12))
    changed = tokens.clone()
    changed[0, 5] = (tokens[0, 5] + 1) % 100
    with torch.no_grad():
        moved = (model(tokens).logits - model(changed).logits).abs().amax(-1)[0]
    assert (moved[:5] == 0).all()
    assert (moved[5:] > 0).all()
