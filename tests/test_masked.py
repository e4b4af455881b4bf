"""Masked language models: what is read and predicted, the network, scores and their bound."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats
from transformers import BertForMaskedLM

from noiselab.data import masked as windows
from noiselab.data.stretches import token_batches
from noiselab.errors import NoiselabError
from noiselab.families import work
from noiselab.families.masked_language_model import cost, score, task
from noiselab.models.bert import bert
from noiselab.noise import mixture, registry
from noiselab.planning import config, runs
from noiselab.training import loop
from test_stretches import noise_run

CPU = torch.device("cpu")
VOCABULARY, CONTEXT, SHARE = 60, 20, 0.15
MODEL = {"name": "bert", "layers": 1, "heads": 2, "width": 16, "context": CONTEXT, "dropout": 0.0}


def masked_run(**changes):
    """A masked language model's run with noise text, of no plan."""
    settings = {"model": MODEL, "family": "masked_language_model", "mask_share": SHARE}
    settings |= {"evaluation": {"noise_sequences": 300, "curve_sequences": 5}}
    return noise_run(**(settings | changes))


def clean_run(**changes):
    return masked_run(corruption="none", error_rate=0.0, resample="none", **changes)


@pytest.fixture
def text():
    return np.random.default_rng(0).integers(0, VOCABULARY, 3000).astype(np.uint16)


# ------------------------------------------------------------------------------- masks


def test_of_each_window_so_many_tokens_are_predicted_and_masked_as_bert_does():
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, VOCABULARY, (20_000, CONTEXT))
    found = windows.masked(tokens, rng.random((*tokens.shape, 2)), SHARE, VOCABULARY)
    assert found.places.shape == (20_000, 3)  # 15 % of 20
    assert (np.diff(found.places, axis=1) > 0).all()
    at = np.take_along_axis(found.inputs, found.places, axis=1)
    assert np.array_equal(found.tokens, np.take_along_axis(tokens, found.places, axis=1))
    others = np.ones(tokens.shape, dtype=bool)
    np.put_along_axis(others, found.places, False, axis=1)
    assert np.array_equal(found.inputs[others], tokens[others])
    fates = Counter(np.where(at == VOCABULARY, 0, np.where(at == found.tokens, 2, 1)).ravel())
    same = 0.1 / VOCABULARY  # a token that is drawn may be the true one
    expected = [0.8 * at.size, (0.1 - same) * at.size, (0.1 + same) * at.size]
    assert stats.chisquare([fates[i] for i in range(3)], expected).pvalue > 1e-4
    drawn = at[(at != VOCABULARY) & (at != found.tokens)]
    counts = np.bincount(drawn, minlength=VOCABULARY)
    assert stats.chisquare(counts).pvalue > 1e-4
    places = np.bincount(found.places.ravel(), minlength=CONTEXT)
    assert stats.chisquare(places).pvalue > 1e-4  # any place alike


def test_short_windows_have_one_token_to_predict():
    assert [windows.predicted(length, SHARE) for length in (2, 4, 32, 512)] == [1, 1, 5, 77]


@pytest.mark.parametrize("resample", ["fixed", "fresh"])
def test_windows_are_those_of_a_language_model_with_masks(text, resample):
    """Of noise, too, and however a batch is cut; masks are others at each visit."""
    run = masked_run(resample=resample)
    batches, plain = windows.MaskedBatches(run, text, CPU), token_batches(run, text, CPU)
    whole, first, second = batches(3, 40), batches(3, 18), batches(18, 40)
    for i in range(2):
        assert torch.equal(whole.inputs[i], torch.cat([first.inputs[i], second.inputs[i]]))
    assert torch.equal(whole.targets, torch.cat([first.targets, second.targets]))
    tokens, (inputs, places) = plain(3, 40).targets, whole.inputs
    assert torch.equal(whole.targets, tokens.gather(1, places))
    assert torch.equal(whole.corrupted, plain(3, 40).corrupted.gather(1, places))
    assert whole.corrupted.any(1).equal(whole.corrupted.all(1))
    assert (inputs != tokens).sum() <= places.numel()
    assert len({tuple(row.tolist()) for row in places}) > 30


def test_masks_of_an_evaluation_are_the_same_for_all_runs_of_a_seed(text):
    parts = task.whole_windows(masked_run(), "validation", text)
    assert parts.shape == (150, CONTEXT)
    same = (windows.evaluation_masks(r, "validation", parts) for r in (masked_run(), clean_run()))
    assert all(np.array_equal(a, b) for a, b in zip(*same, strict=True))
    other = windows.evaluation_masks(masked_run(seed=1), "validation", parts)
    assert not np.array_equal(next(iter(other)), parts)


# ------------------------------------------------------------------------------- network


def test_the_network_is_bert_base_but_for_segments():
    """109,514,298 parameters with a vocabulary of 30,522 (Devlin et al. 2019); six rows pad it."""
    with torch.device("meta"):
        model = bert(30_521, 512, 12, 12, 768, 0.1)
    assert isinstance(model, BertForMaskedLM)
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
    count = sum(p.numel() for p in model.parameters())
    assert count == 109_514_298 + 6 * (768 + 1) - 768  # one kind of segment, not two


def test_logits_at_places_are_those_of_the_whole_window_there():
    model = task.build(masked_run()).eval()
    tokens, places = torch.randint(0, 61, (3, CONTEXT)), torch.tensor([[0, 7], [3, 19], [1, 2]])
    found = model(tokens, places)
    whole = model.cls(model.bert(tokens).last_hidden_state)
    assert torch.allclose(found, torch.stack([whole[i, places[i]] for i in range(3)]), atol=1e-6)
    assert model.bert.embeddings.word_embeddings.padding_idx is None
    first, again = (task.build(masked_run(seed=s)).state_dict() for s in (0, 0))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_text_that_both_neighbours_tell_is_learned():
    """Each token is the one before it plus one: only attention to a neighbour says so."""
    text = (np.arange(3000) % 12).astype(np.uint16)
    run = clean_run(model=MODEL | {"initial_std": 0.15, "width": 32})
    batches, network = windows.MaskedBatches(run, text, CPU), task.build(run)
    recipe = {"name": "adamw", "learning_rate": 1e-2, "betas": [0.9, 0.99], "weight_decay": 0.0}
    optimizer = loop.build_optimizer(network, recipe)
    for step in range(240):
        value = task.loss(network, batches(16 * step, 16 * step + 16))
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert value.item() < math.log(12) / 2


def test_nll_is_that_of_a_loop_over_predicted_tokens(text, monkeypatch):
    run = masked_run()
    model = task.build(run).eval()
    parts = windows.evaluation_masks(run, "x", task.whole_windows(run, "x", text[:200]))
    monkeypatch.setattr(task, "EVALUATION_SIZE", 64 * 3 * 4)  # several passes
    found = task.masked_nll(model, parts, CPU)
    for i, (inputs, places, tokens) in enumerate(zip(*parts, strict=True)):
        logits = model(torch.from_numpy(inputs[None]), torch.from_numpy(places[None]))[0].double()
        expected = -logits.log_softmax(-1)[range(3), tokens].detach()
        assert found[i] == pytest.approx(expected.numpy(), abs=1e-5)


def test_curves_are_of_clean_text_and_noise(text, tmp_path, monkeypatch):
    monkeypatch.setattr(task.text, "read", lambda folder: ({}, text, text[:200]))
    np.save(tmp_path / "second_domain.npy", text[:100])
    run = masked_run(data=str(tmp_path), domain_curves=["second_domain"])
    made = task.task(run, CPU)
    found = made.evaluate(made.model.eval())
    assert list(found) == ["validation_nll", "second_domain_nll", "noise_nll"]
    assert all(3 < nll < 6 for nll in found.values())  # near ln 60: it has learned nothing
    np.save(tmp_path / "second_domain.npy", text[:10])
    with pytest.raises(NoiselabError, match=r"20 tokens are more than the 10 of the text second_d"):
        task.task(run, CPU)


# ------------------------------------------------------------------------------- the bound


def sources():
    """All windows of four tokens of three kinds, and their probabilities in a Markov chain and in
    noise."""
    rng = np.random.default_rng(2)
    first, chain, noise = rng.dirichlet([1] * 3), rng.dirichlet([1] * 3, 3), rng.dirichlet([4] * 3)
    parts = np.array(list(itertools.product(range(3), repeat=4)))
    clean = first[parts[:, 0]] * chain[parts[:, :-1], parts[:, 1:]].prod(1)
    return parts, clean, noise[parts].prod(1), noise


@pytest.mark.parametrize("share", [0.05, 0.4])
def test_what_masked_tokens_can_cost_is_bounded_and_the_bound_is_reached(share):
    """By enumeration: with the true likelihoods it is the mean of -log(1 - π), with others more;
    what a calibrated model really loses is less."""
    parts, clean, noise, alone = sources()
    ratio = np.log(clean) - np.log(noise)
    single = np.bincount(parts.ravel(), weights=np.repeat(clean, 4), minlength=3) / 4
    by_frequency = (np.log(single) - np.log(alone))[parts].sum(1)

    def bound(seen) -> float:
        """The mean over clean windows, with samples that are the sources themselves."""
        times = [np.round(p * 200_000).astype(int) for p in (clean, noise)]
        samples = [np.repeat(seen, count) for count in times]
        return mixture.masked_bound(samples[0], *samples, share).mean()

    mixed = share * noise + (1 - share) * clean
    exact = clean @ -np.log((1 - share) * clean / mixed)
    assert bound(ratio) == pytest.approx(exact, abs=1e-3)
    assert exact < bound(by_frequency) < -math.log1p(-share)
    assert bound(np.zeros(len(parts))) == pytest.approx(-math.log1p(-share))  # nothing is seen
    assert mixture.masked_bound(ratio, ratio, ratio, 0.0) == pytest.approx(0)
    # A last token is predicted from the three before it, of which ever more is known.
    lost = _loss_of_the_last(clean, noise, share)
    before = [p.reshape(27, 3).sum(1) for p in (clean, noise)]
    posterior = share * before[1] / (share * before[1] + (1 - share) * before[0])
    assert 0 < lost < before[0] @ -np.log1p(-posterior)


def _loss_of_the_last(clean, noise, share) -> float:
    """What a calibrated model of the mixture loses on the last token of a clean window."""
    p, q = (part.reshape(27, 3) for part in (clean, noise))
    mixed = (1 - share) * p + share * q
    given = [part / part.sum(1, keepdims=True) for part in (p, mixed)]
    return float((p * (np.log(given[0]) - np.log(given[1]))).sum())


# ------------------------------------------------------------------------------- scores


class Frequencies(torch.nn.Module):
    """Predicts the same distribution everywhere."""

    def __init__(self, p: np.ndarray):
        super().__init__()
        self.logits = torch.from_numpy(np.log(p)).float()
        self.config = type("Config", (), {"vocab_size": len(p)})

    def forward(self, inputs, places):
        return self.logits.expand(*places.shape, -1)


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """Scores of a model that knows how frequent tokens are: in clean text (the clean run), or in
    the mixture."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(VOCABULARY, 0.5))
    text = rng.choice(VOCABULARY, 3000, p=p).astype(np.uint16)
    counts = np.bincount(text, minlength=VOCABULARY)
    for split in ("train", "validation"):
        np.save(tmp_path / f"{split}.npy", text)
    np.save(tmp_path / "unigram.npy", counts)
    (tmp_path / "dataset.json").write_text("{}")
    np.save(tmp_path / "second_domain.npy", text[:100])
    run = masked_run(data=str(tmp_path), parents={"clean": "other"}, share=0.2)
    noise = registry.corruption(run).probabilities
    known = {"clean": (counts + 1) / (counts + 1).sum()}
    known["weights"] = 0.8 * known["clean"] + 0.2 * noise
    monkeypatch.setattr(score, "load_weights", lambda path, *a: Frequencies(known[path.name]))
    files = {name: tmp_path / name for name in known}
    files["second_domain"] = tmp_path / "second_domain.npy"
    return run, known, text, files


def test_scores_of_clean_text_and_noise(scored):
    run, known, text, files = scored
    metrics = score.scores(run, files)
    parts = windows.evaluation_masks(run, "validation", text.astype(np.int64).reshape(150, -1))
    own, clean = (-np.log(known[name])[parts.tokens].mean() for name in ("weights", "clean"))
    assert metrics["nll"]["value"] == pytest.approx(own, abs=1e-5)
    assert metrics["nll_rise"]["value"] == pytest.approx(own - clean, abs=1e-5)
    assert metrics["nll_relative_rise"]["value"] == pytest.approx(100 * (own / clean - 1), abs=1e-3)
    # Twenty tokens tell noise from text well, so that hardly anything need be lost.
    assert 0 < metrics["nll_rise"]["floor"] < 0.02 < -math.log1p(-0.2)
    assert metrics["nll"]["floor"] == pytest.approx(clean + metrics["nll_rise"]["floor"], abs=1e-5)
    assert metrics["second_domain_nll_rise"]["value"] is not None
    assert metrics["clean_noise_nll"]["floor"] is None
    assert metrics["nll"]["items"] == parts.tokens.size
    assert "bigram_nll" not in metrics


def test_no_model_predicts_noise_better_than_its_floor_says(scored):
    """The best model knows that a token that is shown may be the true one."""
    run, _, _, files = scored
    floor = score.scores(run, files)["unseen_noise_nll"]["floor"]
    noise = registry.corruption(run)
    p, v = noise.probabilities, VOCABULARY
    hidden = noise.entropy
    joint = 0.5 * p[:, None] * (np.eye(v) + 1 / v)  # true token, what is shown; of the two tenths
    shown = -(joint * np.log(joint / joint.sum(0))).sum()
    assert floor == pytest.approx(0.8 * hidden + 0.2 * shown, abs=0.1)
    assert floor < hidden - 0.2


def test_the_clean_run_has_counts_to_compare_with(scored):
    run, _, _, files = scored
    clean = run | {"corruption": "none", "error_rate": 0.0, "parents": {"clean": run.run_id}}
    metrics = score.scores(clean, files | {"weights": files["clean"]})
    assert metrics["nll_rise"]["value"] == metrics["nll_rise"]["floor"] == 0
    assert metrics["unigram_nll"]["value"] == pytest.approx(metrics["nll"]["value"], abs=0.02)
    assert metrics["bigram_nll"]["value"] == pytest.approx(metrics["nll"]["value"], abs=0.2)
    assert "noise_nll" not in metrics


# ------------------------------------------------------------------------------- the plan


def test_a_run_says_what_is_masked_and_its_scores_what_they_compute():
    settings = {"only": ["masked_stretches"], "studies": ["random_noise"]}
    plan = runs.plan(config.load(settings, tier="paper"), "results/paper")
    clean, noisy = (plan.runs[run] for run in plan.experiments["masked_stretches"])
    assert noisy.run_id.startswith("masked_language_model/openwebtext/uniform_text-fixed-a0.05-")
    assert (noisy.mask_share, noisy.error_rate) == (0.15, 0.05)
    sizes = work.Sizes(clean, work.Data(10**6, 512_000), work.Network(1, 2.0))
    (computing,) = cost.scoring(sizes).computing
    assert computing.flops == 1000 * 2.0
    assert cost.glance(sizes) == 960
    with pytest.raises(NoiselabError, match=r"mask_share: 0 is less than or equal to"):
        config.load({"masked_language_model": {"mask_share": 0}}, tier="smoke")
