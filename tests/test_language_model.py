"""Language models: the network, its noise, and the floors against known distributions."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats
from transformers import GPT2LMHeadModel

from noiselab.data.batches import TokenBatches
from noiselab.families.language_model import task as language_model
from noiselab.families.language_model.score import count_scores, split_windows
from noiselab.measures import statistics as stats
from noiselab.measures.metrics import language_model_metrics
from noiselab.noise.corruptions.clean import Clean
from noiselab.noise.corruptions.tokens import UniformToken
from noiselab.planning import config, runs
from noiselab.training import loop as training

CPU = torch.device("cpu")


def lm_run(noise_ratio=1.0, vocabulary=60, **model) -> dict:
    """A run of the smoke tier's language model."""
    settings = config.load(
        {"experiments": {"table7": {"noise_ratios": [noise_ratio]}}}, tier="smoke"
    )
    plan = runs.plan(settings, "r")
    run = copy.deepcopy(plan.runs[plan.experiments["table7"][0]])
    run |= {"vocabulary": vocabulary}
    run |= {"model": run["model"] | model}
    return run


@pytest.fixture
def tokens():
    return np.random.default_rng(0).integers(0, 60, 3000).astype(np.uint16)


# ------------------------------------------------------------------------------- network


def test_paper_size_is_gpt2_with_124_million_parameters_and_starts_at_ln_v():
    settings = config.load(tier="paper")
    run = next(r for r in runs.plan(settings, "r").runs.values() if r["family"] == "language_model")
    model = language_model.build(run)
    assert type(model) is GPT2LMHeadModel
    assert model.lm_head.weight is model.transformer.wte.weight
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(124.4, abs=0.1)
    text = torch.from_numpy(np.random.default_rng(0).integers(0, 50257, (2, 65)))
    batch = training.Batch(text[:, :-1], text[:, 1:], torch.zeros(2, 64, dtype=torch.bool))
    assert language_model.loss(model, batch).item() == pytest.approx(math.log(50304), abs=0.1)


def test_one_batch_can_be_learned_by_heart(tokens):
    run = lm_run(noise_ratio=0, width=32)
    model = language_model.build(run)
    batch = TokenBatches(run, tokens, CPU)(0, 2)
    recipe = {"name": "adamw", "learning_rate": 1e-2, "betas": [0.9, 0.95], "weight_decay": 0.0}
    optimizer = training.build_optimizer(model, recipe)
    for _ in range(100):
        loss = language_model.loss(model, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.05


def test_weights_are_a_function_of_the_seed():
    first, again = language_model.build(lm_run()), language_model.build(lm_run())
    other = language_model.build(lm_run() | {"seed": 1})
    assert torch.equal(first.transformer.wte.weight, again.transformer.wte.weight)
    assert not torch.equal(first.transformer.wte.weight, other.transformer.wte.weight)


@pytest.mark.parametrize(("model", "std"), [({}, 0.02), ({"initial_std": 0.06}, 0.06)])
def test_first_weights_are_as_wide_as_is_said(model, std):
    """Embeddings are drawn so; the last map of each of the two branches of a layer is narrower."""
    layers = {"layers": 2, "width": 64, "heads": 2}
    network = language_model.build(lm_run(vocabulary=1024, **layers, **model)).transformer
    block = network.h[0]
    for weight in (network.wte.weight, network.wpe.weight, block.mlp.c_fc.weight):
        assert weight.std().item() == pytest.approx(std, rel=0.05)
    for weight in (block.attn.c_proj.weight, block.mlp.c_proj.weight):
        assert weight.std().item() == pytest.approx(std / 2, rel=0.05)


def test_adamw_decays_matrices_only():
    model = language_model.build(lm_run())
    recipe = {"name": "adamw", "learning_rate": 1e-3, "betas": [0.9, 0.95], "weight_decay": 0.1}
    decayed, other = training.build_optimizer(model, recipe).param_groups
    assert {p.dim() for p in decayed["params"]} == {2}
    assert {p.dim() for p in other["params"]} == {1}
    assert (decayed["weight_decay"], other["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(other["params"]) == len(list(model.parameters()))


# --------------------------------------------------------------------------------- noise


def test_clean_targets_are_the_inputs_one_token_later(tokens):
    batch = TokenBatches(lm_run(noise_ratio=0), tokens, CPU)(5, 9)
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    assert not batch.corrupted.any()


def test_noise_is_in_the_targets_only_and_uniform_over_the_vocabulary(tokens):
    clean = TokenBatches(lm_run(noise_ratio=0), tokens, CPU)(0, 4000)
    noisy = TokenBatches(lm_run(noise_ratio=1.0), tokens, CPU)(0, 4000)
    assert torch.equal(clean.inputs, noisy.inputs)
    kept = ~noisy.corrupted
    assert torch.equal(clean.targets[kept], noisy.targets[kept])
    draws = noisy.corrupted.numel()
    assert abs(noisy.corrupted.double().mean() - 0.5) < 4 * 0.5 / math.sqrt(draws)
    counts = torch.bincount(noisy.targets[noisy.corrupted], minlength=60)
    assert scipy_stats.chisquare(counts.numpy()).pvalue > 1e-4
    same = (clean.targets == noisy.targets)[noisy.corrupted].double().mean()
    assert same == pytest.approx(1 / 60, abs=4 * math.sqrt(1 / 60 / (draws / 2)))


def test_sequences_do_not_depend_on_how_a_batch_is_cut(tokens):
    batches = TokenBatches(lm_run(), tokens, CPU)
    whole, first, second = batches(3, 20), batches(3, 8), batches(8, 20)
    for a, b, c in zip(whole, first, second, strict=True):
        assert torch.equal(a, torch.cat([b, c]))


def test_fixed_noise_belongs_to_the_place_in_the_text(tokens):
    run = lm_run() | {"resample": "fixed"}
    batch = TokenBatches(run, tokens[:60], CPU)(0, 300)  # every place many times
    places = TokenBatches(run, tokens[:60], CPU).places(0, 300)
    seen: dict[int, int] = {}
    for place, targets in zip(places, batch.targets.numpy(), strict=True):
        for offset, target in enumerate(targets):
            assert seen.setdefault(place + offset, target) == target


# ---------------------------------------------------------------------------- evaluation


def test_validation_windows_predict_every_token_once(tokens):
    windows = list(language_model.validation_windows(tokens[:101], 16))
    predicted = np.concatenate([w[1:] for w in windows])
    assert np.array_equal(predicted, tokens[1:101])
    assert len(windows[-1]) - 1 == 100 % 16


def test_token_scores_equal_a_loop_over_tokens(tokens):
    run = lm_run()
    model = language_model.build(run).eval()
    windows = list(language_model.validation_windows(tokens[:50], 16))
    noise = UniformToken(0.5, 60)
    scores = language_model.token_scores(model, windows, noise, 60, CPU)
    expected = []
    for window in windows:
        logits = model(torch.from_numpy(window[None, :-1])).logits[0].detach().double()
        for row, token in zip(logits, window[1:], strict=True):
            p = torch.exp(row - torch.logsumexp(row, 0))[:60]
            q = 0.5 * p + 0.5 / 60
            d = torch.clamp(2 * (p - 0.5 / 60), min=1e-8)
            expected.append(
                [
                    p[token],
                    p.log().mean().exp(),
                    q[token],
                    q.log().mean().exp(),
                    (d / d.sum())[token],
                ]
            )
    expected = -np.log(torch.tensor(expected).numpy()).T
    for name, column in zip(language_model.TOKEN_SCORES, expected, strict=True):
        assert scores[name] == pytest.approx(column, abs=1e-9)
        alone = language_model.token_scores(model, windows, noise, 60, CPU, [name])
        assert alone.keys() == {name}
        assert np.array_equal(alone[name], scores[name])
    assert language_model.sequence_nll(model, windows, CPU) == pytest.approx(expected[0], abs=1e-5)


def test_loss_of_sequences_is_the_training_loss(tokens):
    run = lm_run()
    model = language_model.build(run).eval()
    losses = language_model.sequence_losses(model, run, tokens, 7, CPU)
    unseen = TokenBatches(run | {"seed": run["seed"] + 1_000_003}, tokens, CPU)(0, 7)
    assert losses.mean() == pytest.approx(language_model.loss(model, unseen).item(), abs=1e-5)


# -------------------------------------------------------------------------------- floors


@pytest.fixture(scope="module")
def chain():
    """A Markov chain over 8 tokens whose true conditional is known: P [8, 8] and its text."""
    rng = np.random.default_rng(0)
    transition = rng.dirichlet(np.full(8, 0.4), 8)
    u = rng.random(1_000_000)
    steps = transition.cumsum(1)
    steps[:, -1] = 1
    text = np.empty(len(u), dtype=np.int64)
    state = 0
    for i, value in enumerate(u):
        state = int(np.searchsorted(steps[state], value, side="right"))
        text[i] = state
    return transition, text


@pytest.mark.parametrize("error_rate", [1 / 11, 1 / 3, 0.5])
def test_floors_are_reached_by_the_bayes_optimal_predictor_of_noisy_text(chain, error_rate):
    transition, text = chain
    inputs, targets = text[:-1], text[1:]
    u = np.random.default_rng(1).random(len(targets))
    noise = UniformToken(error_rate, 8)
    noisy, _ = noise.draw(targets, u)
    counts = np.zeros((8, 8))
    np.add.at(counts, (inputs, noisy), 1)
    learned = counts / counts.sum(1, keepdims=True)  # optimal, from the noisy text alone

    q = noise.observed(transition)
    clean_nll = -np.log(learned[inputs, targets]).mean()
    assert clean_nll == pytest.approx(-np.log(q[inputs, targets]).mean(), abs=1e-3)
    noisy_nll = -np.log(learned[inputs, noisy]).mean()
    floor = noise.expected_nll(-np.log(q[inputs, targets]), -np.log(q).mean(1)[inputs])
    assert noisy_nll == pytest.approx(floor.mean(), abs=2e-3)
    denoised = noise.denoised(learned)
    true_nll = -np.log(transition[inputs, targets]).mean()
    assert -np.log(denoised[inputs, targets]).mean() == pytest.approx(true_nll, abs=2e-3)


@pytest.mark.parametrize("error_rate", [0.0, 0.1, 0.5])
def test_denoising_undoes_the_noise(error_rate):
    p = np.random.default_rng(0).dirichlet(np.ones(50), 20)
    noise = UniformToken(error_rate, 50)
    q = noise.observed(p)
    assert np.allclose(noise.denoised(q), p, atol=1e-7)
    tensor = noise.denoised(torch.from_numpy(q))
    assert np.allclose(tensor.numpy(), p, atol=1e-7)


@pytest.mark.parametrize("error_rate", [0.1, 0.5])
def test_clean_floor_lies_at_most_minus_log_of_one_minus_e_above_the_clean_nll(error_rate):
    p = np.random.default_rng(0).random(10_000)
    rise = -np.log(UniformToken(error_rate, 50257).observed(p)) + np.log(p)
    assert rise.max() <= -math.log(1 - error_rate)


def test_a_calibrated_noisy_model_has_no_excess():
    """Scores of a model that predicts exactly q, against the clean model that predicts p."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(30), 64)
    true = rng.integers(0, 30, 64)
    rows = np.arange(64)
    noise = UniformToken(0.3, 30)
    q = noise.observed(p)

    def scores(model):
        noisy = noise.observed(model)
        return {
            "nll": -np.log(model[rows, true]),
            "mean_nll": -np.log(model).mean(1),
            "floor_nll": -np.log(noisy[rows, true]),
            "floor_mean_nll": -np.log(noisy).mean(1),
            "denoised_nll": -np.log(noise.denoised(model)[rows, true]),
        }

    splits = ("validation", "train", "out_of_domain")
    own, clean = ({s: scores(m) for s in splits} for m in (q, p))
    metrics = language_model_metrics(own, clean, noise, context=16)
    for score in metrics.values():
        assert score["value"] == pytest.approx(score["floor"], abs=1e-6)
    assert metrics["nll"]["interval"] == "t_sequences"
    base = clean["validation"]["nll"].mean()
    rise = metrics["nll"]["value"] - base
    assert metrics["nll_rise"]["value"] == pytest.approx(rise)
    assert metrics["nll_relative_rise"]["value"] == pytest.approx(100 * rise / base)


def test_text_out_of_domain_is_scored_like_clean_test_text(tokens):
    """Where both are the same text, so are the scores; of the clean run the floor is its own."""
    model = language_model.build(lm_run()).eval()
    other = language_model.build(lm_run() | {"seed": 1}).eval()
    windows = list(language_model.validation_windows(tokens[:500], 16))

    def scores(model, noise, splits):
        scored = language_model.token_scores(model, windows, noise, 60, CPU)
        return dict.fromkeys(splits, scored)

    both = ("validation", "train", "out_of_domain")
    noise = UniformToken(0.5, 60)
    for own, of_run in ((model, Clean()), (other, noise)):
        arguments = scores(own, of_run, both), scores(model, of_run, both), of_run, 16
        metrics = language_model_metrics(*arguments)
        assert metrics["out_of_domain_nll"] == metrics["nll"]
        assert metrics["out_of_domain_nll_rise"] == metrics["nll_rise"]
        if own is model:
            score = metrics["out_of_domain_nll"]
            assert score["floor"] == pytest.approx(score["value"], abs=1e-9)
            assert metrics["out_of_domain_nll_rise"]["value"] == 0
    parts = (scores(m, noise, both[:2]) for m in (other, model))
    without = language_model_metrics(*parts, noise, 16)
    assert without == {k: v for k, v in metrics.items() if not k.startswith("out_of_domain")}


# ----------------------------------------------------------------------------- statistics


def test_interval_over_sequences_covers_when_tokens_depend_on_each_other():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        values = (rng.normal(size=(40, 1)) + rng.normal(size=(40, 8))).ravel()
        interval = stats.sequence_interval(values, 8)
        covered += interval.ci_low <= 0 <= interval.ci_high
    assert 0.91 < covered / 400 < 0.98


def test_spread_over_macro_batches_follows_the_square_root_for_independent_sequences():
    losses = np.random.default_rng(0).normal(3, 1, 64 * 2000)
    spreads = [stats.macro_batch_losses(losses, size, 2000).std(ddof=1) for size in (4, 16, 64)]
    assert spreads[0] / spreads[1] == pytest.approx(2, rel=0.06)
    assert spreads[0] / spreads[2] == pytest.approx(4, rel=0.06)


def test_interval_of_a_standard_deviation_covers():
    rng = np.random.default_rng(0)
    intervals = [stats.std_interval(rng.normal(size=50).std(ddof=1), 50) for _ in range(2000)]
    assert np.mean([i.ci_low <= 1 <= i.ci_high for i in intervals]) == pytest.approx(0.95, abs=0.02)


def test_a_clean_run_reports_counts_of_the_same_tokens(tmp_path, tokens):
    """Against the count models by themselves; a text that repeats itself is bigrams' own."""
    text = np.tile(np.arange(20, dtype=np.uint16), 200)
    for split, part in (("train", text), ("validation", text[:333])):
        np.save(tmp_path / f"{split}.npy", part)
    (tmp_path / "dataset.json").write_text("{}")
    run = lm_run(noise_ratio=0, vocabulary=20) | {"data": str(tmp_path)}
    windows = split_windows(run, {})["validation"]
    scores = count_scores(run, windows)
    assert {s["items"] for s in scores.values()} == {332}
    assert scores["unigram_nll"]["value"] == pytest.approx(np.log(20), abs=0.01)
    assert scores["bigram_nll"]["value"] < 0.01
    model = language_model.build(run).eval()
    own = language_model.sequence_nll(model, windows, CPU)
    assert own.mean() > scores["bigram_nll"]["value"]  # it has learned nothing yet
