"""Probes: gradients in closed form against autograd, and grids against a plain loop."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, pad

from noiselab.errors import InputError
from noiselab.measures.probes import fits, heads, penalties
from noiselab.measures.probes.effects import PENALTIES
from noiselab.measures.probes.fits import Items, Setting, fit
from probe_fits import plain_fit

SEEDS, EXAMPLES, FEATURES = 2, 5, 4
RADII = torch.tensor([0.0, 0.01, 0.5], dtype=torch.float64)
NAMES = PENALTIES[1:]


def random_batch(classes: int) -> heads.Batch:
    torch.manual_seed(classes)
    features = torch.randn(SEEDS, EXAMPLES, FEATURES, dtype=torch.float64)
    labels = torch.randint(classes, (SEEDS, EXAMPLES))
    noise = pad(torch.randn_like(features), (0, 1))
    return heads.Batch(heads.with_one(features), labels, noise, RADII)


def random_weights(classes: int, hidden: int | None) -> list[torch.Tensor]:
    shapes = heads.head_shapes(FEATURES, classes, hidden)
    return [torch.randn(SEEDS, len(RADII), *shape, dtype=torch.float64) for shape in shapes]


def automatic(name: str, weights: list, batch: heads.Batch, seed: int, place: int) -> tuple:
    """The penalty of one fit and its gradients, by differentiating twice."""
    own = [weight[seed, place].clone().requires_grad_() for weight in weights]

    def gradient(features):
        outputs = features @ own[0].T
        if len(own) == 2:
            outputs = heads.with_one(outputs.relu()) @ own[1].T
        loss = cross_entropy(outputs, batch.labels[seed])
        found = torch.autograd.grad(loss, own, create_graph=True)
        return torch.cat([part.flatten() for part in found])

    clean = gradient(batch.features[seed])
    noisy = gradient(batch.features[seed] + batch.radius[place] * batch.noise[seed])
    value = {
        "gradient_matching": lambda: (clean - noisy).norm(),
        "gradient_norm": lambda: clean.norm(),
        "gradient_cosine": lambda: 1 - clean @ noisy / (clean.norm() * noisy.norm()),
    }[name]()
    return value.detach(), torch.autograd.grad(value, own)


@pytest.mark.parametrize("hidden", [None, 6])
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("name", NAMES)
def test_a_penalty_and_its_gradient_are_those_of_autograd(name, classes, hidden):
    batch, weights = random_batch(classes), random_weights(classes, hidden)
    found = heads.passes(weights, batch)
    made = heads.layers(batch, found)
    products = heads.gradient_products(made)
    plane = penalties.penalty_plane(name, products)
    changes = heads.penalty_changes(weights, found, made, plane)
    gradients = heads.gradients(batch, found, [changes])
    values = penalties.penalty_value(name, products)
    for seed in range(SEEDS):
        for place in range(1, len(RADII)):
            value, wanted = automatic(name, weights, batch, seed, place)
            torch.testing.assert_close(values[seed, place], value, rtol=0, atol=1e-10)
            for ours, theirs in zip(gradients, wanted, strict=True):
                torch.testing.assert_close(ours[seed, place], theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("hidden", [None, 6])
def test_without_noise_there_is_nothing_to_match(hidden):
    batch, weights = random_batch(3), random_weights(3, hidden)
    found = heads.passes(weights, batch)
    made = heads.layers(batch, found)
    products = heads.gradient_products(made)
    plane = penalties.penalty_plane("gradient_matching", products)
    gradients = heads.gradients(batch, found, [heads.penalty_changes(weights, found, made, plane)])
    assert penalties.penalty_value("gradient_matching", products)[:, 0].tolist() == [0] * SEEDS
    assert all(bool((gradient[:, 0] == 0).all()) for gradient in gradients)
    assert all(bool((gradient[:, 1] != 0).any()) for gradient in gradients)


SETTINGS = [
    Setting(3e-3),
    Setting(3e-3, penalty="gradient_matching", strength=0.15, radius=0.01),
    Setting(3e-3, penalty="gradient_matching", strength=1.0, radius=0.1, noisy_loss=True),
    Setting(3e-3, penalty="gradient_norm", strength=0.3),
    Setting(3e-3, penalty="gradient_cosine", strength=0.3, radius=0.3),
    Setting(1e-2, batch_size=12, weight_decay=0.1, noisy_loss=True, radius=0.5),
    Setting(1e-2, batch_size=12, weight_decay=1.0, penalty="gradient_norm", strength=0.1),
    Setting(1e-2, batch_size=12, dropout=0.3),
]


@pytest.fixture(scope="module")
def clouds() -> Items:
    """90 items of three classes: the last batch of 8 and of 12 is smaller."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(90) % 3
    centres = torch.randn(3, 6, generator=generator)
    return Items(centres[labels] + torch.randn(90, 6, generator=generator), labels)


@pytest.mark.parametrize("hidden", [None, 7])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_grid_has_the_weights_of_a_plain_loop(clouds, hidden, schedule):
    options = {"epochs": 9, "hidden": hidden, "schedule": schedule}  # 108 steps of 8
    found = fit(clouds, {}, SETTINGS, [0, 3], **options)
    for setting, weights in zip(SETTINGS, found.weights, strict=True):
        for place, seed in enumerate((0, 3)):
            layers = plain_fit(clouds, setting, seed, **options)
            for weight, layer in zip(weights, layers, strict=True):
                wanted = torch.cat([layer.weight, layer.bias[:, None]], 1).detach()
                torch.testing.assert_close(weight[place], wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("hidden", [None, 7])
def test_double_precision_is_that_of_a_plain_loop(clouds, hidden):
    exact = Items(clouds.features.double(), clouds.labels)
    found = fit(exact, {"test": exact}, SETTINGS, [3], epochs=3, hidden=hidden)
    assert found.curves["test"].nll.dtype == found.curves["test"].accuracy.dtype == torch.float64
    for setting, weights in zip(SETTINGS, found.weights, strict=True):
        layers = plain_fit(exact, setting, 3, epochs=3, hidden=hidden)
        for weight, layer in zip(weights, layers, strict=True):
            wanted = torch.cat([layer.weight, layer.bias[:, None]], 1).detach()
            torch.testing.assert_close(weight[0], wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "uint64", ">i4"])
def test_arrays_and_labels_of_any_whole_type_give_what_tensors_give(clouds, kind):
    features, labels = clouds.features.numpy(), clouds.labels.numpy()
    arrays = Items(features[:, ::-1][:, ::-1], labels.astype(kind))
    expected = fit(clouds, {"test": clouds}, SETTINGS[:2], [0, 1], epochs=1)
    found = fit(arrays, {"test": (features, labels)}, SETTINGS[:2], np.arange(2), epochs=1)
    torch.testing.assert_close(found.weights, expected.weights, rtol=0, atol=0)
    torch.testing.assert_close(found.curves["test"].nll, expected.curves["test"].nll)
    if kind in ("uint8", "int16", "int32"):
        typed = Items(clouds.features, clouds.labels.to(getattr(torch, kind)))
        torch.testing.assert_close(
            fit(typed, {}, SETTINGS[:2], [0, 1], epochs=1).weights, expected.weights
        )


def test_features_that_still_have_gradients_are_taken_as_they_are(clouds):
    free = Items(clouds.features.clone().requires_grad_(), clouds.labels)
    found = fit(free, {}, SETTINGS[:1], [0], epochs=1)
    assert torch.equal(
        found.weights[0][0], fit(clouds, {}, SETTINGS[:1], [0], epochs=1).weights[0][0]
    )


def test_neighbours_in_a_grid_change_nothing(clouds, monkeypatch):
    together = fit(clouds, {"test": clouds}, SETTINGS, [0, 3], epochs=2)
    monkeypatch.setattr(fits, "WEIGHTS", 1)
    apart = fit(clouds, {"test": clouds}, SETTINGS, [0, 3], epochs=2)
    alone = fit(clouds, {"test": clouds}, SETTINGS[1:2], [3], epochs=2)
    torch.testing.assert_close(apart.weights, together.weights)
    torch.testing.assert_close(alone.weights[0][0][0], together.weights[1][0][1])
    torch.testing.assert_close(alone.curves["test"].nll[0, 0], together.curves["test"].nll[1, 1])


@pytest.mark.parametrize("hidden", [None, 7])
def test_scores_are_those_of_the_weights(clouds, hidden):
    found = fit(clouds, {"train": clouds}, SETTINGS[:2], [0], epochs=30, hidden=hidden)
    curves = found.curves["train"]
    assert curves.accuracy.shape == (1, 2, 30)
    outputs = clouds.features @ found.weights[1][0][0, :, :-1].T + found.weights[1][0][0, :, -1]
    if hidden:
        second = found.weights[1][1][0]
        outputs = outputs.relu() @ second[:, :-1].T + second[:, -1]
    right = (outputs.argmax(1) == clouds.labels).float().mean()
    torch.testing.assert_close(curves.accuracy[0, 1, -1], right)
    torch.testing.assert_close(curves.nll[0, 1, -1], cross_entropy(outputs, clouds.labels))
    assert curves.nll[0, 0, -1] < np.log(3) * 0.7, "it has learned"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": torch.zeros(3, 2)}, "must be"),
        ({"features": torch.zeros(3, 6).half()}, "features are float16, not float32 or float64"),
        ({"features": torch.zeros(3, 6).bfloat16()}, "features are bfloat16, not .* call .float"),
        ({"features": torch.zeros(3, 6).long()}, "features are int64"),
        ({"features": np.zeros((3, 6), bool)}, "features are bool"),
        ({"features": torch.zeros(3, 6).double()}, "dtype torch.float64, those of train"),
        ({"features": torch.zeros(6)}, "must be .items, width., found .6."),
        (
            {"labels": torch.tensor([0.0, 1.0, 2.0])},
            "must be whole numbers .* found float32",
        ),
        (
            {"labels": torch.tensor([False, True, True])},
            "labels: .* of numbers, found bool",
        ),
        ({"labels": torch.tensor([[0], [1], [2]])}, r"found shape \(3, 1\); take \[:, 0\]"),
        ({"labels": torch.eye(3)}, r"one-hot\? Take .argmax"),
        ({"labels": ["a", "b", "c"]}, "labels: names. Number them"),
        ({"features": np.ma.masked_equal(np.zeros((3, 6)), 0)}, "features: 18 of 18 are masked"),
        ({"labels": torch.tensor([0, -1, 1])}, "labels: row 1 has -1, which is no class"),
        ({"labels": torch.tensor([0, 1, 9])}, "labels outside"),
        ({"features": torch.full((3, 6), torch.nan)}, "finite"),
        ({"labels": torch.tensor([0, 1])}, "2 labels"),
    ],
)
def test_wrong_items_are_refused(clouds, change, message):
    wrong = Items(torch.zeros(3, 6), torch.tensor([0, 1, 2]))._replace(**change)
    with pytest.raises(InputError, match=message) as error:
        fit(clouds, {"test": wrong}, SETTINGS[:1], [0], epochs=1)
    assert str(error.value).startswith("test: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"train": Items(torch.zeros(2, 1), torch.tensor([0, 2_000_000_000]))},
            "train: label 2000",
        ),
        ({"train": torch.zeros(2, 1)}, "train: must be Items"),
        ({"scored": [1]}, "scored: must map"),
        ({"settings": []}, "settings: must be a list"),
        ({"settings": SETTINGS[0]}, "settings: must be a list"),
        ({"settings": [{"learning_rate": 1}]}, "settings: must be a list"),
        ({"seeds": []}, "seeds: must be one or more"),
        ({"seeds": 3}, "seeds: must be a list of whole numbers, found 3"),
        ({"seeds": [-1]}, "seeds: must be a whole number, 0 or more, found -1"),
        ({"seeds": [0.5]}, "seeds: must be a whole number, 0 or more, found 0.5"),
        ({"epochs": 0}, "epochs: must be a whole number, 1 or more, found 0"),
        ({"epochs": 1.5}, "epochs: must be"),
        ({"hidden": 0}, "hidden: must be a whole number, 1 or more, found 0"),
        ({"schedule": "cosin"}, "schedule: unknown 'cosin' .did you mean 'cosine'"),
    ],
)
def test_wrong_arguments_of_a_fit_are_refused(clouds, change, message):
    usual = {"train": clouds, "scored": {}, "settings": SETTINGS[:1], "seeds": [0], "epochs": 1}
    with pytest.raises(InputError, match=message) as error:
        fit(**usual | change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": "gradient"}, "penalty: unknown"),
        ({"learning_rate": 0}, "learning_rate: must be above 0"),
        ({"learning_rate": np.inf}, "learning_rate: must be a finite number"),
        ({"learning_rate": "1e-3"}, "learning_rate: must be a finite number.* found '1e-3'"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 8.0}, "batch_size"),
        ({"dropout": 1.0}, "dropout: must be below 1"),
        ({"weight_decay": np.nan}, "weight_decay: must be a finite number"),
        ({"strength": -1}, "strength: must be a finite number, 0 or more"),
        ({"strength": np.nan}, "strength: must be a finite number"),
        ({"strength": np.inf, "penalty": "gradient_norm"}, "strength: must be a finite number"),
        ({"strength": 5}, "strength: 5 of no penalty; choose a penalty: gradient_matching"),
        ({"penalty": "gradient_norm"}, "strength: gradient_norm needs one above 0"),
        ({"penalty": "gradient_matching", "strength": 1}, "radius: gradient_matching needs"),
        ({"noisy_loss": True}, "radius: noisy_loss needs"),
        ({"noisy_loss": "no", "radius": 1}, "noisy_loss: must be True or False"),
        ({"radius": 0.1}, "radius: 0.1 of no noise"),
        ({"radius": 0.1, "penalty": "gradient_norm", "strength": 1}, "radius: 0.1 of no noise"),
    ],
)
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(InputError, match=message) as error:
        Setting(**{"learning_rate": 1e-3} | options)
    assert "\n" not in str(error.value)
