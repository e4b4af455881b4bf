"""Wrong tokens in a decoder's targets: what is drawn, what stays clean, and the floor against sums
over all that a token may become."""

import numpy as np
import pytest
import torch

from noiselab.data.pair_batches import PairBatches
from noiselab.data.pairs import BEGIN, END, PAD
from noiselab.errors import NoiselabError
from noiselab.families.seq2seq import score
from noiselab.families.seq2seq import task as seq2seq
from noiselab.measures.metrics import seq2seq_metrics
from noiselab.noise.corruptions.clean import Clean
from noiselab.noise.corruptions.tokens import (
    SYMBOLS,
    PermutedToken,
    UniformToken,
    UnigramToken,
    derangement,
)
from noiselab.planning import config, runs
from seq2seq_samples import both, random_pairs

torch.set_num_threads(1)
CPU = torch.device("cpu")
KINDS = {"uniform_token": UniformToken, "permuted_token": PermutedToken}
V = 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_pairs(tmp_path_factory.mktemp("pairs"))


def run_of(folder, corruption="permuted_token", ratio=1.0, **changes):
    experiment = {"corruption": corruption, "noise_ratios": [ratio], "datasets": ["name2doc"]}
    experiment |= {"resample": "fresh"} | changes
    settings = config.load({"experiments": {"table9": experiment}}, tier="smoke")
    plan = runs.plan(settings, "r")
    return plan.runs[plan.experiments["table9"][0]] | {"data": str(folder)}


def transitions(name: str, e: float) -> np.ndarray:
    """T[y, z], probability that token y is seen as z, cell by cell: symbols stay."""
    matrix = np.zeros((V, V))
    text = range(SYMBOLS, V)
    for y in range(V):
        for z in range(V):
            if y < SYMBOLS:
                matrix[y, z] = y == z
            elif name == "uniform_token":
                matrix[y, z] = (1 - e) * (y == z) + (e / len(text) if z in text else 0)
            else:
                wrong = SYMBOLS + derangement(V - SYMBOLS)[0][y - SYMBOLS]
                matrix[y, z] = (1 - e) * (y == z) + e * (z == wrong)
    return matrix


# ------------------------------------------------------------------------------ the corruption


def test_symbols_are_those_of_pairs():
    assert sorted((PAD, BEGIN, END)) == list(range(SYMBOLS))
    assert "seq2seq" not in UnigramToken.families  # whose counts pairs do not have


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("e", [0.0, 1 / 3, 0.5, 1.0])
def test_predictions_of_a_calibrated_model_are_sums_over_the_matrix(name, e):
    p = np.random.default_rng(0).dirichlet(np.ones(V), 5)
    expected = p @ transitions(name, e)
    noise = KINDS[name](e, V, SYMBOLS)
    assert noise.observed(p) == pytest.approx(expected)
    tensor = torch.from_numpy(p)
    assert noise.observed(tensor).numpy() == pytest.approx(expected)
    tokens = torch.tensor([[0], [2], [3], [5], [8]])
    chosen = noise.observed_tokens(tensor.log(), tokens).numpy()
    assert chosen == pytest.approx(np.take_along_axis(expected, tokens.numpy(), 1))


@pytest.mark.parametrize("name", KINDS)
def test_draws_have_the_frequencies_of_the_matrix(name):
    rng, e = np.random.default_rng(1), 0.4
    targets = rng.integers(0, V, 400_000)
    drawn, corrupted = KINDS[name](e, V, SYMBOLS).draw(targets, rng.random(len(targets)))
    counted = np.zeros((V, V))
    np.add.at(counted, (targets, drawn), 1)
    share = counted / counted.sum(1, keepdims=True)
    assert abs(share - transitions(name, e)).max() < 0.01
    assert not corrupted[targets < SYMBOLS].any()
    assert corrupted[targets >= SYMBOLS].mean() == pytest.approx(e, abs=0.01)
    noise = KINDS[name](e, V, SYMBOLS)
    differ = (drawn != targets)[targets >= SYMBOLS].mean()
    assert differ == pytest.approx(noise.true_error_rate, abs=0.01)


# ---------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("name", KINDS)
def test_labels_are_wrong_and_what_the_decoder_reads_is_not(folder, name):
    text = both(folder)
    noisy = PairBatches(run_of(folder, name), text, CPU)
    clean = PairBatches(run_of(folder, name, ratio=0), text, CPU)
    for start in (0, 8):
        ours, true = noisy(start, start + 8), clean(start, start + 8)
        assert torch.equal(ours.inputs.source, true.inputs.source)
        assert torch.equal(ours.inputs.decoder_input, true.inputs.decoder_input)
        symbols = true.targets < SYMBOLS
        assert torch.equal(ours.targets[symbols], true.targets[symbols])
        assert (ours.targets[~symbols] >= SYMBOLS).all()
        assert ours.targets.max() < noisy.run.vocabulary
        assert ours.corrupted.shape == ((~symbols).sum(),)
        differ = (ours.targets != true.targets)[~symbols]
        assert (ours.corrupted | ~differ).all()
        assert 0.2 < ours.corrupted.float().mean() < 0.8  # e = 1/2


def test_noise_does_not_depend_on_how_a_batch_is_cut_and_fresh_noise_differs_by_visit(folder):
    text = both(folder)
    for resample in ("fresh", "fixed"):
        batches = PairBatches(run_of(folder, resample=resample), text, CPU)
        whole, parts = batches(8, 16), [batches(8, 11), batches(11, 16)]
        for part, rows in zip(parts, (slice(0, 3), slice(3, 8)), strict=True):
            width = part.targets.shape[1]
            assert torch.equal(part.targets, whole.targets[rows, :width])
        epoch = batches.batches_per_epoch
        seen = [{}, {}]
        for i in range(2 * epoch):
            targets = batches(8 * i, 8 * i + 8).targets.tolist()
            of_epoch = seen[i // epoch]
            for pair, row in zip(batches.indices(i), targets, strict=True):
                of_epoch[pair] = [t for t in row if t != PAD]
        both_epochs = seen[0].keys() & seen[1].keys()
        same = [seen[0][pair] == seen[1][pair] for pair in both_epochs]
        assert all(same) == (resample == "fixed")


# -------------------------------------------------------------------------------- the floor


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_the_floor_is_that_of_the_whole_distributions_mixed_by_the_matrix(folder, name, ratio):
    """Token by token, from a network's softmax over all tokens: no short cut of the scores."""
    run, text = run_of(folder, name, ratio=ratio), both(folder, "validation")
    model = seq2seq.build(run).eval()
    clean_run = run_of(folder, name, ratio=0)
    scored = np.arange(12)
    clean = seq2seq.predictions(model, clean_run, text, scored, CPU)
    noise = KINDS[name](run.error_rate, run.vocabulary, SYMBOLS)
    scores = seq2seq_metrics(clean, clean, np.zeros(12, bool), noise)
    e, count, floors, tokens = run.error_rate, run.vocabulary, [], 0
    wrong = SYMBOLS + derangement(count - SYMBOLS)[0]
    for i in scored:
        row = torch.from_numpy(PairBatches(clean_run, text, CPU).target(np.array([i])))
        row = row[row != PAD][None]
        source = seq2seq.source_rows(clean_run, text.source)(np.array([i]))
        with torch.no_grad():
            logits = model(input_ids=torch.from_numpy(source), decoder_input_ids=row[:, :-1]).logits
        p = logits[0, :, :count].double().softmax(-1).numpy()
        nll = 0.0
        for own, true in zip(p, row[0, 1:].tolist(), strict=True):
            if true < SYMBOLS:
                q = own[true]
            elif name == "uniform_token":
                q = (1 - e) * own[true] + e * own[SYMBOLS:].sum() / (count - SYMBOLS)
            else:
                (source_token,) = np.flatnonzero(wrong == true)
                q = (1 - e) * own[true] + e * own[SYMBOLS + source_token]
            nll -= np.log(q)
        floors.append(nll)
        tokens += row.shape[1] - 1
    assert scores["nll"]["floor"] == pytest.approx(sum(floors) / tokens, rel=1e-5)
    assert scores["sequence_nll"]["floor"] == pytest.approx(np.mean(floors), rel=1e-5)
    assert clean["token_p"].shape == (tokens,)
    kept = -np.log(clean["token_p"].astype(float)).sum()
    assert kept == pytest.approx(clean["nll"].sum(), rel=1e-4)
    plain = seq2seq_metrics(clean, clean, np.zeros(12, bool), Clean())
    assert plain["nll"]["floor"] == pytest.approx(plain["nll"]["value"])


def test_old_predictions_of_a_clean_run_are_told(folder, tmp_path):
    path, kept = tmp_path / "predictions.npz", {"tokens": np.array([2, 3])}
    np.savez(path, **kept)
    with pytest.raises(NoiselabError, match=r"no token_p.*--forcerun train_seq2seq"):
        score.token_probabilities(path, kept, "uniform_token")
    np.savez(path, token_p=np.ones(4), uniform_token_p=np.ones(4), **kept)
    with pytest.raises(NoiselabError, match="token_p"):
        score.token_probabilities(path, kept, "uniform_token")
