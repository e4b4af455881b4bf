"""Algorithmic tasks: their cases, the network, when a rule is found."""

import json

import numpy as np
import pytest
import torch

from noiselab import streams
from noiselab.data import prepared
from noiselab.data.algorithmic import splits
from noiselab.errors import NoiselabError
from noiselab.families.algorithmic import score
from noiselab.families.classifier.task import smoothed_loss
from noiselab.files import save_arrays
from noiselab.models.small_transformer import small_transformer
from noiselab.planning import config, runs
from noiselab.training.loop import Batch

torch.set_num_threads(1)


def planned(experiment="addition", tier="smoke", **changes):
    """The runs of an experiment, and the specification of its data."""
    settings = {"studies": ["noise_stability"], "experiments": {experiment: changes}}
    plan = runs.plan(config.load(settings, tier=tier), "r")
    found = [plan.runs[name] for name in plan.experiments[experiment]]
    return found, plan.datasets[found[0].dataset]


# ---------------------------------------------------------------------------------- the cases


def test_addition_has_every_pair_once_and_the_right_sums():
    _, spec = planned()
    train, test, _ = splits(spec)
    cases = np.concatenate([train.x, test.x])[:, :, 0, 0].astype(int)
    assert len({tuple(pair) for pair in cases[:, :2]}) == 23**2 == len(cases)
    assert (cases[:, 2] == 23).all()
    assert ((cases[:, 0] + cases[:, 1]) % 23 == np.concatenate([train.y, test.y])).all()
    assert len(train.y) == round(0.6 * 23**2)
    assert abs(train.x[:, 0].mean() - 11) < 1  # a random part, not the first rows


def test_parity_is_that_of_few_bits_at_fixed_places():
    _, spec = planned("parity")
    train, test, origin = splits(spec)
    places = [int(word) for word in origin.partition("at ")[2].split(", ")]
    assert len(places) == 3
    for part, size in ((train, spec["train_size"]), (test, spec["test_size"])):
        bits = part.x[:, :, 0, 0]
        assert bits.shape == (size, spec["bits"])
        assert (bits[:, places].sum(1) % 2 == part.y).all()
        assert bits.mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("bits", "train", "test"),
    [(4, 6, 10), (10, 400, 600), (20, 400, 1000), (40, 1000, 1000)],
)
def test_no_case_of_parity_is_there_twice(bits, train, test):
    """The cases are the rows of one stream in their order, without those that came before."""
    spec = {"kind": "sparse_parity", "bits": bits, "relevant": 3}
    parts = splits(spec | {"train_size": train, "test_size": test})[:2]
    cases = [tuple(row) for part in parts for row in part.x[:, :, 0, 0].tolist()]
    assert [len(part.y) for part in parts] == [train, test]
    assert len(set(cases)) == len(cases)
    stream = streams.uniform(0, "parity-bits", 0, 20 * (train + test) * bits) < 0.5
    rows = dict.fromkeys(map(tuple, stream.reshape(-1, bits).astype(int).tolist()))
    assert cases == list(rows)[: train + test]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "sparse_parity", "bits": 4, "relevant": 2}, "bits: 4 bits have 16 cases, but"),
        ({"kind": "sparse_parity", "bits": 4, "relevant": 5}, "relevant: 5 of 4 bits"),
        ({"kind": "modular_addition", "modulus": 300, "train_share": 0.5}, "300 is greater than"),
        ({"kind": "modular_addition", "modulus": 5}, "train_share.*(missing|required)"),
    ],
)
def test_tasks_that_cannot_be_are_answered_in_a_line(spec, message):
    sizes = {} if "modulus" in spec else {"train_size": 10, "test_size": 10}
    settings = {"studies": ["noise_stability"], "datasets": {"mine": spec | sizes}}
    settings["experiments"] = {"addition": {"datasets": ["mine"]}}
    with pytest.raises(NoiselabError, match=message):
        runs.plan(config.load(settings, tier="smoke"), "r")


# -------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("norm", [False, True])
def test_the_network_has_its_parameters_and_reads_every_token(norm):
    torch.manual_seed(0)
    network = small_transformer(24, 3, 23, 2, 2, 8, 16, norm)
    layer = 4 * 8 * 8 + (8 * 16 + 16) + (16 * 8 + 8) + norm * 2 * 2 * 8
    expected = 24 * 8 + 3 * 8 + 2 * layer + norm * 2 * 8 + 8 * 23
    assert sum(p.numel() for p in network.parameters()) == expected
    tokens = torch.randint(0, 24, (5, 3, 1, 1), dtype=torch.uint8)
    logits = network(tokens)
    assert logits.shape == (5, 23)
    for place in range(3):
        changed = tokens.clone()
        changed[:, place] = (changed[:, place] + 1) % 24
        assert ((network(changed) - logits).abs().amax(1) > 1e-6).all()


def layer_and_states(width=8):
    torch.manual_seed(0)
    (layer,) = small_transformer(24, 3, 23, 1, 2, width, 16, True).layers
    return layer, torch.randn(4, 3, width)


def every(states):
    """Which state each token of sequences [n, T, d] has, where all are distinct."""
    return torch.arange(states.shape[0] * states.shape[1]).view(states.shape[:2])


def test_a_last_layer_says_the_same_of_the_last_token_alone():
    layer, states = layer_and_states()
    flat = states.flatten(0, 1)
    whole, last = (layer(flat, every(states), last=last) for last in (False, True))
    torch.testing.assert_close(last[:, 0], whole[:, -1])


def test_a_layer_says_the_same_of_states_that_sequences_share():
    layer, states = layer_and_states()
    shared = states[0]
    index = torch.tensor([[0, 1, 2], [2, 2, 1], [0, 0, 0]])
    found = layer(shared, index, last=False)
    each = shared[index]
    torch.testing.assert_close(found, layer(each.flatten(0, 1), every(each), last=False))


def test_many_sequences_and_each_alone_have_the_same_logits():
    """Of many, a first layer computes its letters once; of one, its tokens."""
    torch.manual_seed(0)
    network = small_transformer(5, 3, 7, 2, 2, 8, 16, True).double()
    tokens = torch.randint(0, 5, (40, 3))
    alone = torch.cat([network(row[None]) for row in tokens])
    torch.testing.assert_close(network(tokens), alone)
    weights, gradients = torch.randn(40, 7).double(), []
    for logits in (network(tokens), torch.cat([network(row[None]) for row in tokens])):
        (logits * weights).sum().backward()
        gradients.append([p.grad.clone() for p in network.parameters()])
        network.zero_grad()
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second)


def test_attention_is_softmax_of_the_products():
    """One layer without its perceptron, against the formula."""
    torch.manual_seed(0)
    (layer,) = small_transformer(24, 3, 23, 1, 2, 8, 16, False).layers
    states = torch.randn(3, 8)
    with torch.no_grad():
        layer.outer.weight.zero_()
        layer.outer.bias.zero_()
        found = layer(states, torch.arange(3)[None], last=False)
        q = layer.queries(states)
        k, v = layer.keys_values(states).chunk(2, -1)
        heads = [slice(0, 4), slice(4, 8)]
        mixed = [(q[:, h] @ k[:, h].T / 2).softmax(-1) @ v[:, h] for h in heads]
        expected = states + layer.mixed(torch.cat(mixed, -1))
    torch.testing.assert_close(found[0], expected)


# --------------------------------------------------------------------------- when it is found


HISTORY = [
    {"step": 5, "loss": 1.0},
    {"step": 10, "train_accuracy": 95.0, "test_accuracy": 5.0},
    {"step": 20, "train_accuracy": 90.0, "test_accuracy": 94.9},
    {"step": 30, "train_accuracy": 100.0, "test_accuracy": 96.0},
]


def scored(tmp_path, rows):
    """Scores of a run with this history."""
    (run, *_), spec = planned()
    run |= {"data": str(tmp_path / "data")}
    train, test, origin = splits(spec)
    sizes = {name: spec[name] for name in ("letters", "noised")}
    prepared.write(tmp_path / "data", spec, train, test, origin, mean=[0.0], std=[1.0], **sizes)
    uniform = np.full((len(test.y), 23), 1 / 23, dtype=np.float32)
    save_arrays(tmp_path / "predictions.npz", {"test": uniform})
    (tmp_path / "history.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    files = {"history": tmp_path / "history.jsonl"}
    files |= dict.fromkeys(("predictions", "clean"), tmp_path / "predictions.npz")
    return score.scores(run, files)


def test_a_rule_is_found_at_the_first_evaluation_that_says_so(tmp_path):
    found = scored(tmp_path, HISTORY)
    assert found["steps_to_memory"]["value"] == 10
    assert found["steps_to_most"]["value"] == 20
    assert found["steps_to_rule"]["value"] == 30


def test_a_rule_that_is_not_found_has_a_reason(tmp_path):
    found = scored(tmp_path, HISTORY[:3])["steps_to_rule"]
    assert found["value"] is None
    assert found["reason"] == "not within 10 steps"


def test_a_loss_that_is_almost_nothing_still_has_a_gradient():
    """Of the right class, too, which in single precision is 1 to the last bit."""
    (run, *_), _ = planned()
    for precision, known in ((torch.float32, False), (torch.float64, True)):
        logits = torch.zeros(1, 23)
        logits[0, 3] = 25.0
        logits.requires_grad_()
        batch = Batch(torch.zeros(1), torch.tensor([3]), torch.zeros(1, dtype=torch.bool))
        smoothed_loss(run, precision)(lambda inputs, logits=logits: logits, batch).backward()
        assert (logits.grad[0, 3] < 0) == known
