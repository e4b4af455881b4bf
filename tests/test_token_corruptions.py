"""Wrong tokens: how they are drawn, and floors against explicit matrices."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from commands import run
from helpers import example_run
from noiselab.data.batches import TokenBatches
from noiselab.errors import NoiselabError
from noiselab.families.language_model import task as language_model
from noiselab.measures.metrics import language_model_metrics
from noiselab.noise import registry
from noiselab.noise.corruptions.clean import Clean
from noiselab.noise.corruptions.tokens import (
    PermutedToken,
    UniformToken,
    UnigramToken,
    derangement,
    read_counts,
)
from noiselab.planning import config, entries
from noiselab.planning.artefacts import FAMILY_TITLES

CPU = torch.device("cpu")
SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"
VOCABULARY = 9
COUNTS = np.array([40, 1, 0, 7, 120, 3, 3, 0, 26])
KINDS = {
    "uniform": lambda e: UniformToken(e, VOCABULARY),
    "unigram": lambda e: UnigramToken(e, COUNTS),
    "permuted": lambda e: PermutedToken(e, VOCABULARY),
}
RATES = [0.0, 1 / 11, 1 / 3, 0.49, 0.5, 0.7, 1.0]


def transitions(name: str, e: float, vocabulary: int = VOCABULARY) -> np.ndarray:
    """T[y, z], probability that token y is seen as z, written out cell by cell."""
    wrong = np.zeros((vocabulary, vocabulary))
    for y in range(vocabulary):
        if name == "permuted":
            wrong[y, derangement(vocabulary)[0][y]] = 1
        else:
            wrong[y] = COUNTS / COUNTS.sum() if name == "unigram" else 1 / vocabulary
    return (1 - e) * np.eye(vocabulary) + e * wrong


class Fixed(torch.nn.Module):
    """A network whose prediction depends on the last token alone; its vocabulary is padded."""

    def __init__(self, logits: np.ndarray):
        super().__init__()
        self.logits = torch.from_numpy(logits)
        self.config = type("Config", (), {"vocab_size": logits.shape[1]})

    def forward(self, tokens):
        return type("Output", (), {"logits": self.logits[tokens]})


@pytest.fixture
def network():
    """Logits, [V, V + 3], and p, [V, V], of a network after each token."""
    logits = np.random.default_rng(3).normal(0, 2, (VOCABULARY, VOCABULARY + 3))
    logits[:, VOCABULARY:] = -60  # the padding, which has learned that it never comes
    p = np.exp(logits - np.log(np.exp(logits).sum(1, keepdims=True)))
    return Fixed(logits), p[:, :VOCABULARY]


# ---------------------------------------------------------------------------------- drawing


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("e", [1 / 11, 0.5, 1.0])
def test_a_million_draws_have_the_frequencies_of_the_matrix(name, e):
    matrix, rng = transitions(name, e), np.random.default_rng(5)
    targets = rng.integers(0, VOCABULARY, 1_000_000)
    drawn, corrupted = KINDS[name](e).draw(targets, rng.random(len(targets)))
    counted = np.zeros_like(matrix)
    np.add.at(counted, (targets, drawn), 1)
    expected = matrix * counted.sum(1, keepdims=True)
    assert counted[expected == 0].sum() == 0
    possible = expected > 0
    statistic = ((counted - expected)[possible] ** 2 / expected[possible]).sum()
    freedom = possible.sum() - VOCABULARY
    assert freedom == 0 or stats.chi2.sf(statistic, freedom) > 1e-4
    assert abs(corrupted.mean() - e) <= 4 * np.sqrt(e * (1 - e) / len(targets))


def test_frequent_tokens_of_a_large_vocabulary_are_drawn_as_often_as_they_are_in_the_text():
    counts = np.floor(1e7 / np.arange(1, 50_258)).astype(np.int64)  # Zipf's law
    counts[100:200] = 0
    rng = np.random.default_rng(0)
    drawn, _ = UnigramToken(1.0, counts).draw(np.zeros(1_000_000, int), rng.random(1_000_000))
    found = np.bincount(drawn, minlength=len(counts))
    assert found[100:200].sum() == 0
    large = counts / counts.sum() * 1e6 >= 5
    ours = np.append(found[large], found[~large].sum())
    theirs = np.append(counts[large], counts[~large].sum()) / counts.sum() * 1e6
    assert stats.chisquare(ours, theirs).pvalue > 1e-4


@pytest.mark.parametrize("name", KINDS)
def test_true_error_rate_is_the_share_of_tokens_that_differ(name):
    """In a text whose tokens are as frequent as counted (of the uniform kind: whatever text)."""
    rng = np.random.default_rng(1)
    targets = rng.choice(VOCABULARY, 500_000, p=COUNTS / COUNTS.sum())
    noise = KINDS[name](0.4)
    drawn, corrupted = noise.draw(targets, rng.random(len(targets)))
    share = (drawn != targets).mean()
    assert share == pytest.approx(noise.true_error_rate, abs=4 * np.sqrt(0.25 / len(targets)))
    assert corrupted.mean() == pytest.approx(0.4, abs=4 * np.sqrt(0.25 / len(targets)))
    assert (noise.true_error_rate < 0.4) == (name != "permuted")
    if name == "unigram":  # the closed form, in whole numbers
        same = sum(int(c) ** 2 for c in COUNTS) / int(COUNTS.sum()) ** 2
        assert noise.true_error_rate == pytest.approx(0.4 * (1 - same), abs=1e-12)


@pytest.mark.parametrize("size", [2, 3, 4, 9, 1024, 50_257])
def test_the_permutation_moves_every_token_and_is_undone_by_its_inverse(size):
    wrong, right = derangement(size)
    assert np.array_equal(np.sort(wrong), np.arange(size))
    assert not (wrong == np.arange(size)).any()
    assert np.array_equal(right[wrong], np.arange(size))


def test_the_permutation_is_the_same_for_all_seeds_and_in_all_processes():
    of_seeds = [
        example_run(corruption="permuted_token", error_rate=e, seed=seed, vocabulary=60)
        for seed, e in ((0, 0.1), (7, 0.5))
    ]
    first, second = (registry.corruption(r).wrong for r in of_seeds)
    assert np.array_equal(first, second)
    code = "from noiselab.noise.corruptions.tokens import derangement as d; print(*d(60)[0])"
    done = run([sys.executable, "-c", code], check=True, cwd=SCRIPTS)
    assert done.stdout.split() == list(map(str, first))


@pytest.mark.parametrize("name", ["unigram", "permuted"])
@pytest.mark.parametrize("resample", ["fresh", "fixed"])
def test_batches_are_taught_the_noise_whatever_their_cut(name, resample, tmp_path):
    np.save(tmp_path / "unigram.npy", COUNTS)
    content = {"error_rate": 0.5, "vocabulary": VOCABULARY, "model": {"context": 8}}
    content |= {"corruption": f"{name}_token", "resample": resample, "data": str(tmp_path)}
    noisy = example_run(**content)
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, 500).astype(np.uint16)
    batches = TokenBatches(noisy, tokens, CPU)
    whole = batches(0, 100)
    cut = [torch.cat(parts) for parts in zip(batches(0, 33), batches(33, 100), strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(whole, cut, strict=True))
    clean = TokenBatches(
        example_run(**content | {"corruption": "none", "resample": "none"}), tokens, CPU
    )
    true, kept = clean(0, 100).targets, ~whole.corrupted
    assert torch.equal(whole.targets[kept], true[kept])
    assert 0.4 < whole.corrupted.double().mean() < 0.6
    if name == "permuted":
        wrong = torch.from_numpy(derangement(VOCABULARY)[0])
        assert torch.equal(whole.targets[~kept], wrong[true[~kept]])


# ----------------------------------------------------------------------------------- floors


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("e", RATES)
def test_scores_equal_an_explicit_sum_over_the_matrix(network, name, e):
    """Every score of every token against T written out, to 1e-9."""
    model, p = network
    noise, matrix = KINDS[name](e), transitions(name, e)
    window = np.random.default_rng(1).integers(0, VOCABULARY, 200)
    q = p @ matrix
    names = [n for n in language_model.TOKEN_SCORES if n != "denoised_nll"]
    found = language_model.token_scores(model, [window], noise, VOCABULARY, CPU, names)
    for i, (before, true) in enumerate(itertools.pairwise(window)):
        assert found["nll"][i] == pytest.approx(-np.log(p[before, true]), abs=1e-9)
        if q[before, true] == 0:  # a token that is never taught
            assert found["floor_nll"][i] == np.inf
        else:
            assert found["floor_nll"][i] == pytest.approx(-np.log(q[before, true]), abs=1e-9)
        for prefix, predicted in (("", p), ("floor_", q)):
            expected = 0.0  # over every token that this target may become
            for seen in range(VOCABULARY):
                if matrix[true, seen] > 0:
                    expected -= matrix[true, seen] * np.log(predicted[before, seen])
            ours = noise.expected_nll(found[f"{prefix}nll"][i], found[f"{prefix}mean_nll"][i])
            assert ours == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("e", [e for e in RATES if e < 1 and e != 0.5])
def test_denoising_solves_for_the_clean_distribution(name, e):
    p = np.random.default_rng(0).dirichlet(np.ones(VOCABULARY), 20)
    matrix = transitions(name, e)
    q = p @ matrix
    noise = KINDS[name](e)
    assert noise.why_not_denoised is None
    assert np.allclose(noise.denoised(q), p, atol=1e-7)
    assert np.allclose(noise.denoised(torch.from_numpy(q)).numpy(), p, atol=1e-7)
    assert np.allclose(np.linalg.solve(matrix.T, q.T).T, p, atol=1e-9)


def test_denoising_a_permutation_of_a_large_vocabulary_is_exact():
    size = 4096
    p = np.random.default_rng(0).dirichlet(np.ones(size), 3)
    for e in (0.1, 0.49, 0.51, 0.9, 1.0 - 1e-9):
        noise = PermutedToken(e, size)
        back = noise.denoised(noise.observed(p))
        assert np.allclose(back, p.clip(min=1e-8), atol=1e-7)


def test_at_one_half_a_permutation_hides_which_token_was_true():
    """Two clean distributions are seen as the same: nothing can tell them apart."""
    size, noise = 8, PermutedToken(0.5, 8)
    order = [0]
    for _ in range(size - 1):
        order.append(int(derangement(size)[0][order[-1]]))
    first, second = np.zeros(size), np.zeros(size)
    first[order[::2]], second[order[1::2]] = 0.25, 0.25
    assert np.array_equal(noise.observed(first), noise.observed(second))
    assert "error rate 1/2" in noise.why_not_denoised


@pytest.mark.parametrize(
    ("name", "e"), [("uniform", 1.0), ("unigram", 1.0), ("permuted", 0.5), ("permuted", 0.49996)]
)
def test_what_cannot_be_denoised_has_a_reason_and_no_value(network, name, e):
    model, _ = network
    noise = KINDS[name](e)
    windows = [np.random.default_rng(1).integers(0, VOCABULARY, 101)]
    scores = language_model.token_scores(
        model, windows, noise, VOCABULARY, CPU, language_model.TOKEN_SCORES[:4]
    )
    splits = dict.fromkeys(("validation", "train"), scores)
    metrics = language_model_metrics(splits, splits, noise, context=10)
    cell = metrics["denoised_nll"]
    assert (cell["value"], cell["floor"], cell["ci_low"]) == (None, None, None)
    assert cell["reason"] == noise.why_not_denoised
    assert metrics["nll"]["reason"] is None
    assert metrics["nll"]["value"] is not None


def test_a_floor_that_is_infinite_says_so(network):
    """At e = 1, of tokens that the training text does not have."""
    model, _ = network
    noise, window = UnigramToken(1.0, COUNTS), np.arange(VOCABULARY)
    scores = language_model.token_scores(
        model, [window], noise, VOCABULARY, CPU, language_model.TOKEN_SCORES[:4]
    )
    splits = dict.fromkeys(("validation", "train"), scores)
    metrics = language_model_metrics(splits, splits, noise, context=4)
    for name in ("nll", "nll_rise", "nll_relative_rise"):
        assert (metrics[name]["floor"], metrics[name]["reason"]) == (None, None)
        assert "infinite" in metrics[name]["floor_reason"]
        assert metrics[name]["value"] is not None
    assert metrics["train_nll"]["floor"] > 0
    assert "floor_reason" not in metrics["train_nll"]


@pytest.mark.parametrize("name", ["unigram", "permuted"])
@pytest.mark.parametrize("e", [1 / 11, 1 / 3])
def test_a_calibrated_noisy_model_is_on_its_floors(network, name, e):
    """A network that predicts exactly q, beside the clean one that predicts p."""
    clean_model, p = network
    noise = KINDS[name](e)
    with np.errstate(divide="ignore"):
        logits = np.log(np.hstack([p @ transitions(name, e), np.zeros((VOCABULARY, 3))]))
    noisy_model = Fixed(logits)
    windows = [np.random.default_rng(2).integers(0, VOCABULARY, 161)]

    def scored(model) -> dict:
        scores = language_model.token_scores(model, windows, noise, VOCABULARY, CPU)
        return dict.fromkeys(("validation", "train"), scores)

    metrics = language_model_metrics(scored(noisy_model), scored(clean_model), noise, context=16)
    for metric, score in metrics.items():
        assert score["value"] == pytest.approx(score["floor"], abs=1e-6), metric


def test_uniform_noise_is_unigram_noise_of_a_flat_text(network):
    model, _ = network
    windows = [np.random.default_rng(4).integers(0, VOCABULARY, 60)]
    flat = UnigramToken(1 / 3, np.full(VOCABULARY, 17))
    for e_noise in (flat, UniformToken(1 / 3, VOCABULARY)):
        scores = language_model.token_scores(model, windows, e_noise, VOCABULARY, CPU)
        if e_noise is flat:
            expected = scores
    for name, values in scores.items():
        assert values == pytest.approx(expected[name], abs=1e-12)
    assert flat.true_error_rate == pytest.approx(UniformToken(1 / 3, VOCABULARY).true_error_rate)


def test_of_a_clean_run_nothing_changes(network):
    model, p = network
    window = np.random.default_rng(4).integers(0, VOCABULARY, 60)
    scores = language_model.token_scores(model, [window], Clean(), VOCABULARY, CPU)
    expected = -np.log(p[window[:-1], window[1:]])
    for name in ("nll", "mean_nll", "floor_nll", "floor_mean_nll"):
        assert scores[name] == pytest.approx(expected, abs=1e-12)


# ------------------------------------------------------------------ analyses of uniform noise


@pytest.mark.parametrize("analysis", ["gradient_coherence", "loss_stability"])
def test_analyses_of_uniform_noise_take_no_experiment_with_another(analysis):
    """Gradients are measured under uniform noise, whatever the runs'; Table 11 of the paper is."""
    experiment = {"family": "language_model", "datasets": ["docstrings"], "resample": "fresh"}
    experiment |= {"corruption": "permuted_token", "budget": "fixed_total", "seeds": [0]}
    experiment |= {"noise_ratios": [0, 0.5], "protocol": "text"}
    changes = {"experiments": {"mine": experiment}, "analyses": {analysis: {"experiment": "mine"}}}
    settings = config.load(changes, tier="smoke")
    with pytest.raises(NoiselabError, match=f"{analysis}.experiment: mine has permuted_token"):
        entries.check(settings, FAMILY_TITLES)
    uniform = {"experiments": {"mine": experiment | {"corruption": "uniform_token"}}}
    settings = config.load(changes | uniform, tier="smoke")
    entries.check(settings, FAMILY_TITLES)


# ----------------------------------------------------------------------------------- counts

BROKEN = {
    "missing": None,
    "empty": b"",
    "float": np.ones(VOCABULARY),
    "short": np.ones(VOCABULARY - 1, np.int64),
    "negative": -COUNTS,
    "nothing": np.zeros(VOCABULARY, np.int64),
    "object": np.array([{}] * VOCABULARY),
}


@pytest.mark.parametrize("case", BROKEN)
def test_counts_that_are_none_are_one_line(tmp_path, case):
    path, content = tmp_path / "unigram.npy", BROKEN[case]
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(NoiselabError, match=r"unigram\.npy: ") as error:
        read_counts(path, VOCABULARY)
    assert "\n" not in str(error.value)
