"""Noise text: its tokens, the windows that are trained on, its floor, and what cannot be."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats

from helpers import example_run
from noiselab.data import stretches as windows
from noiselab.data.batches import TokenBatches
from noiselab.errors import NoiselabError
from noiselab.families import work
from noiselab.families.language_model import cost, score, stretches, task
from noiselab.families.language_model.family import data_mistake
from noiselab.measures import masks
from noiselab.noise import mixture, registry
from noiselab.noise.corruptions.stretches import GaussianText, UniformText
from noiselab.planning import config, project, runs
from noiselab.training import loop
from test_token_corruptions import Fixed

CPU = torch.device("cpu")
VOCABULARY, CONTEXT = 60, 16
BOOST = {"tokens": 4, "among": 20, "factor": 5}
MODEL = {"name": "gpt2", "layers": 1, "heads": 2, "width": 16, "context": CONTEXT}
SHAPES = {"uniform_text": {"boost": BOOST}, "gaussian_text": {"std": 6.0}}
MINE = {"family": "language_model", "datasets": ["docstrings"], "corruption": "uniform_text"}
MINE |= {"resample": "fixed", "budget": "fixed_total", "seeds": [0], "protocol": "text"}
MINE |= {"noise_shares": [0, 0.05, 0.2]}


def noise_run(share=0.2, kind="uniform_text", resample="fixed", tokens=None, **changes):
    """A run with noise text, of no plan."""
    settings = {"noise_text": {"tokens": tokens, **SHAPES[kind]}, "vocabulary": VOCABULARY}
    settings |= {"model": MODEL, "error_rate": share, "corruption": kind}
    settings |= {"training": {"steps": 50, "batch_size": 10}, "resample": resample}
    settings |= {"evaluation": {"crops": None, "train_sequences": 200, "curve_sequences": 5}}
    return example_run(**(settings | changes))


def planned(**changes):
    """The plan of an experiment `mine` alone, at tier smoke."""
    settings = {"experiments": {"mine": MINE | changes}, "only": ["mine"]}
    return runs.plan(config.load(settings, tier="smoke"), "results/smoke")


@pytest.fixture
def text():
    return np.random.default_rng(0).integers(0, VOCABULARY, 3000).astype(np.uint16)


# ------------------------------------------------------------------------------- tokens


@pytest.mark.parametrize("kind", SHAPES)
def test_tokens_are_as_frequent_as_is_said(kind):
    noise = registry.corruption(noise_run(kind=kind))
    p = noise.probabilities
    assert p.shape == (VOCABULARY,)
    assert p.sum() == pytest.approx(1)
    drawn = noise.tokens(np.random.default_rng(1).random(200_000))
    counts = np.bincount(drawn, minlength=VOCABULARY)
    frequent = p * 200_000 > 10
    assert counts[p == 0].sum() == 0
    scale = counts[frequent].sum() / p[frequent].sum()
    assert stats.chisquare(counts[frequent], scale * p[frequent]).pvalue > 1e-4
    assert noise.entropy == pytest.approx(stats.entropy(p))
    assert noise.facts()["noise_entropy"] == noise.entropy
    assert noise.tokens(np.array([0.0, np.nextafter(1, 0)])).max() < VOCABULARY


def test_the_tokens_that_are_more_frequent_are_so_many_of_the_first_ones():
    noise = UniformText(0.2, VOCABULARY, boost=BOOST)
    assert len(noise.boosted) == 4
    assert noise.boosted.max() < 20
    others = np.setdiff1d(np.arange(VOCABULARY), noise.boosted)
    assert np.unique(noise.probabilities[others]).size == 1
    ratio = noise.probabilities[noise.boosted] / noise.probabilities[others[0]]
    assert ratio == pytest.approx([5] * 4)
    assert UniformText(0.2, 50, boost=BOOST | {"tokens": 0}).entropy == pytest.approx(math.log(50))


def test_gaussian_noise_is_a_normal_distribution_around_the_middle():
    """Of GPT-2's vocabulary: mean 25,128 and standard deviation 500, as printed."""
    spec = {"vocabulary": 50_257}
    noise = GaussianText(0.05, 50_257, **GaussianText.shape({}, 50_257))
    tokens = np.arange(50_257)
    mean = noise.probabilities @ tokens
    assert mean == pytest.approx(25_128, abs=0.01)
    assert np.sqrt(noise.probabilities @ (tokens - mean) ** 2) == pytest.approx(500, abs=0.05)
    cdf = stats.norm.cdf(np.array([24_000, 25_128, 26_500]) + 0.5, 25_128, 500)
    assert noise.probabilities.cumsum()[[24_000, 25_128, 26_500]] == pytest.approx(cdf, abs=1e-9)
    small = GaussianText.planned({}, {"vocabulary": 1024})["noise_text"]
    assert small["std"] / 1024 == pytest.approx(500 / 50_257)
    boost = UniformText.planned({}, spec)["noise_text"]["boost"]
    assert (boost["tokens"], boost["among"]) == (100, 1000)


# ------------------------------------------------------------------------------- windows


@pytest.mark.parametrize("resample", ["fixed", "fresh"])
def test_windows_are_clean_ones_but_for_a_share_that_is_noise(text, resample):
    few, many = (
        windows.StretchBatches(noise_run(share, resample=resample), text, CPU)
        for share in (0.05, 0.2)
    )
    clean = TokenBatches(noise_run() | {"corruption": "none"}, text, CPU)(0, 4000)
    noisy = []
    for batches, share in ((few, 0.05), (many, 0.2)):
        batch, (_, chosen) = batches(0, 4000), batches.windows(0, 4000)
        noisy.append(chosen)
        assert abs(chosen.mean() - share) < 4 * math.sqrt(share / 4000)
        kept = torch.from_numpy(~chosen)
        assert torch.equal(batch.inputs[kept], clean.inputs[kept])
        assert torch.equal(batch.targets[kept], clean.targets[kept])
        assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])
        assert torch.equal(batch.corrupted, torch.from_numpy(chosen)[:, None].expand(-1, CONTEXT))
    assert noisy[1][noisy[0]].all()  # what is noise at a small share is so at a larger one


def test_windows_do_not_depend_on_how_a_batch_is_cut(text):
    for resample in ("fixed", "fresh"):
        batches = windows.token_batches(noise_run(resample=resample), text, CPU)
        whole, first, second = batches(3, 40), batches(3, 18), batches(18, 40)
        for a, b, c in zip(whole, first, second, strict=True):
            assert torch.equal(a, torch.cat([b, c]))


def test_noise_that_is_fixed_is_windows_of_one_text(text):
    batches = windows.StretchBatches(noise_run(), text, CPU)
    found, chosen = batches.windows(0, 6000)
    length = round(0.2 / 0.8 * len(text))
    assert batches.stretches.count == length
    whole = batches.stretches.part(0, length)
    there = np.lib.stride_tricks.sliding_window_view(whole, CONTEXT + 1)
    places = {tuple(window): i for i, window in enumerate(there)}
    at = np.array([places[tuple(window)] for window in found[chosen]])
    assert stats.kstest(at / len(there), "uniform").pvalue > 1e-3  # every place alike
    assert len(np.unique(at)) < len(at)  # the same windows come again
    sample = batches.stretches.sample(50)
    assert all(tuple(window) in places for window in sample)
    unseen = batches.stretches.sample(50, unseen=True)
    assert not any(tuple(window) in places for window in unseen)


def test_fresh_noise_never_comes_again(text):
    batches = windows.StretchBatches(noise_run(resample="fresh"), text, CPU)
    found, chosen = batches.windows(0, 6000)
    seen = {tuple(window) for window in found[chosen]}
    assert len(seen) == chosen.sum()
    assert not seen & {tuple(window) for window in batches.stretches.sample(100)}


def test_seeds_have_noise_of_their_own(text):
    first, other = (
        windows.StretchBatches(noise_run(seed=seed), text, CPU).stretches.part(0, 100)
        for seed in (0, 1)
    )
    assert (first == other).mean() < 0.3


def test_a_short_noise_text_is_as_long_as_is_said(text):
    run = noise_run(tokens=40)
    assert windows.StretchBatches(run, text, CPU).stretches.count == 40
    described = {"train_tokens": len(text), "validation_tokens": len(text)}
    assert data_mistake(run, described) is None
    assert "the 16 of the noise text" in data_mistake(noise_run(tokens=16), described)
    small = described | {"train_tokens": 50}
    assert "the 12 of the noise text" in data_mistake(noise_run(), small)


# ------------------------------------------------------------------------------- scores


@pytest.fixture
def scored(tmp_path, text, monkeypatch):
    """Scores of a model that says what both sources say, as far as it can from the last token."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(VOCABULARY, VOCABULARY))
    counts = np.bincount(text, minlength=VOCABULARY)
    for split in ("train", "validation"):
        np.save(tmp_path / f"{split}.npy", text)
    np.save(tmp_path / "unigram.npy", counts)
    (tmp_path / "dataset.json").write_text("{}")
    monkeypatch.setattr(stretches, "load_weights", lambda *a: Fixed(logits))
    run = noise_run(data=str(tmp_path), parents={"clean": "other"})
    parts = score.split_windows(run, {})
    files = {"weights": tmp_path, "clean": tmp_path}
    return run, logits, counts, parts, score.scores(run, files)


def test_floors_are_those_of_a_loop_over_windows(scored):
    run, logits, counts, parts, metrics = scored
    log_p = np.log(torch.from_numpy(logits).softmax(-1).numpy())
    first, noise = (counts + 1) / (counts + 1).sum(), registry.corruption(run).probabilities
    total, clean = 0.0, 0.0
    for window in parts["validation"]:
        likelihoods = 0.8 * first[window[0]], 0.2 * noise[window[0]]
        given = sum(likelihoods)
        for before, token in itertools.pairwise(window):
            clean -= log_p[before, token]
            likelihoods = (
                likelihoods[0] * math.exp(log_p[before, token]),
                likelihoods[1] * noise[token],
            )
        total -= math.log(sum(likelihoods) / given)
    tokens = sum(len(w) - 1 for w in parts["validation"])
    assert metrics["nll"]["value"] == pytest.approx(clean / tokens)
    assert metrics["nll"]["floor"] == pytest.approx(total / tokens)
    assert metrics["nll_rise"]["value"] == 0  # both models are one
    rise = (total - clean) / tokens
    assert metrics["nll_rise"]["floor"] == pytest.approx(rise)
    assert metrics["nll_relative_rise"]["floor"] == pytest.approx(
        100 * rise / (clean / tokens), 1e-2
    )


def test_noise_is_scored_with_and_without_having_been_seen(scored):
    metrics = scored[-1]
    assert metrics["unseen_noise_nll"]["value"] == metrics["clean_noise_nll"]["value"]
    assert metrics["clean_noise_nll"]["floor"] is None
    names = ("noise_nll", "unseen_noise_nll")
    entropy = registry.corruption(scored[0]).entropy
    for name in names:  # calibrated, it is what the noise is, and a little for telling it apart
        assert metrics[name]["floor"] == pytest.approx(entropy, abs=0.2)
    losses = (metrics[name]["value"] for name in ("unseen_noise_nll", "nll"))
    mixed = mixture.mixture_loss(0.2, *losses)
    assert metrics["train_nll"]["value"] == pytest.approx(mixed, abs=0.05)


def test_lemma_1_holds_for_a_model_that_was_trained_on_the_mixture(text):
    """Its loss on windows of the mixture is that on noise and on clean text, by their shares."""
    run = noise_run()
    text = np.arange(len(text)) % VOCABULARY // 2  # easily learned
    batches, network = windows.StretchBatches(run, text, CPU), task.build(run)
    recipe = {"name": "adamw", "learning_rate": 1e-2, "betas": [0.9, 0.95], "weight_decay": 0.0}
    optimizer = loop.build_optimizer(network, recipe)
    for step in range(60):
        task.loss(network, batches(32 * step, 32 * step + 32)).backward()
        optimizer.step()
        optimizer.zero_grad()

    def losses(parts) -> np.ndarray:
        return task.sequence_nll(network, list(parts), CPU).reshape(-1, CONTEXT).mean(1)

    mixed, noisy = batches.windows(windows.UNSEEN, windows.UNSEEN + 2000)
    clean = TokenBatches(run | {"corruption": "none"}, text, CPU)(10**6, 10**6 + 1000)
    whole = torch.cat([clean.inputs, clean.targets[:, -1:]], 1).numpy()
    of_noise, of_clean = losses(batches.stretches.sample(1000)), losses(whole)
    assert of_clean.mean() < of_noise.mean() - 1  # it knows one from the other
    found, expected = losses(mixed), mixture.mixture_loss(0.2, of_noise.mean(), of_clean.mean())
    assert found.mean() == pytest.approx(expected, abs=4 * found.std() / math.sqrt(2000))
    exact = mixture.mixture_loss(noisy.mean(), found[noisy].mean(), found[~noisy].mean())
    assert found.mean() == pytest.approx(exact)


# ------------------------------------------------------------------------------- the plan


def test_ids_say_the_share_and_what_is_not_as_usual():
    clean, few, many = planned().experiments["mine"]
    assert clean == "language_model/docstrings/clean-s0"
    assert few == "language_model/docstrings/uniform_text-fixed-a0.05-fixed_total-s0"
    run = planned().runs[many]
    assert (run.error_rate, run.noise_ratio) == (0.2, 0.25)
    assert run.training == planned().runs[clean].training
    assert run.noise_text == {"tokens": None, "boost": {"tokens": 1, "among": 8, "factor": 10}}
    (short,) = planned(noise_shares=[0.2], noise_tokens=100).experiments["mine"]
    assert short.endswith("uniform_text-n100-fixed-a0.2-fixed_total-s0")
    (other,) = planned(noise_shares=[0.2], boost=BOOST).experiments["mine"]
    assert "uniform_text--" not in other
    assert other not in (many, short)


def test_as_many_clean_tokens_take_more_steps():
    plan = planned(budget="fixed_clean")
    steps = [plan.runs[run].training["steps"] for run in plan.experiments["mine"]]
    assert steps == [math.ceil(steps[0] / (1 - share)) for share in (0, 0.05, 0.2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise_shares": [0, 1]}, r"mine\.noise_shares\[1\]: 1 is greater than or equal to"),
        ({"error_rates": [0.2]}, r"mine\.error_rates: uniform_text has noise_shares instead"),
        (
            {"corruption": "uniform_token"},
            r"mine\.noise_shares: uniform_token has noise_ratios or error_rates instead",
        ),
        ({"std": 3}, r"mine\.std: the standard deviation .*for corruption gaussian_text and no"),
        ({"boost": {"tokens": 3}}, r"mine\.boost\.among: is missing"),
        ({"noise_tokens": 1}, r"mine\.noise_tokens: 1 is not how many tokens the noise text has"),
        ({"family": "classifier"}, r"mine\.corruption: uniform_text is not for a classifier"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(change, message):
    with pytest.raises(NoiselabError, match=message) as error:
        planned(**change)
    assert "\n" not in str(error.value)


def test_no_share_at_all_is_a_mistake():
    without = {k: v for k, v in MINE.items() if k != "noise_shares"}
    settings = config.load({"experiments": {"mine": without}, "only": ["mine"]}, tier="smoke")
    with pytest.raises(NoiselabError, match=r"noise_shares: missing; say noise_shares \(share of"):
        runs.plan(settings, "results/smoke")


def test_texts_out_of_the_domain_have_curves_where_their_data_set_says_so():
    """Then trainings read them; other trainings do not, and need no other files than before."""
    graph = project.plan(config.load({"studies": "all"}, tier="smoke"), "results/smoke").graph
    inputs = {}
    for name in ("stretches", "table7"):
        run = graph.plan.runs[graph.plan.experiments[name][0]]
        job = graph.jobs[f"train/{run.run_id}"].inputs
        inputs[name] = run.get("domain_curves"), job.get("second_domain")
    domains = ["out_of_domain", "second_domain"]
    file = "results/smoke/data/docstrings_apart/second_domain.npy"
    assert inputs == {"stretches": (domains, (file,)), "table7": (None, ())}


def test_a_curve_is_of_the_texts_that_run_json_names(tmp_path, text):
    np.save(tmp_path / "second_domain.npy", text[:40])
    run = noise_run(data=str(tmp_path))
    assert list(task.curve_texts(run, text)) == ["validation"]
    found = task.curve_texts(run | {"domain_curves": ["second_domain"]}, text)
    assert {name: len(tokens) for name, tokens in found.items()} == {
        "validation": len(text),
        "second_domain": 40,
    }
    sizes = work.Sizes(run, work.Data(len(text), len(text)), work.Network(1, 1.0))
    assert cost.glance(sizes) == 10  # five of the validation split, and five of the noise
    more = dataclasses.replace(sizes, run=run | {"domain_curves": ["second_domain"]})
    assert cost.glance(more) == 15


# ------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("resample", ["fixed", "fresh"])
def test_masks_are_the_noise_text(tmp_path, monkeypatch, text, resample):
    monkeypatch.setattr(masks.text, "read", lambda folder: ({}, text, text))
    monkeypatch.setattr(masks, "PIECE", 64)  # several pieces
    run = noise_run(resample=resample)
    masks.write(run, 10**6, tmp_path / "mask.parquet")
    file = pq.read_table(tmp_path / "mask.parquet")
    about = json.loads(file.schema.metadata[b"noiselab"])
    batches = windows.StretchBatches(run, text, CPU)
    assert file["clean"].null_count == len(file)
    if resample == "fresh":
        batch = batches(0, 500)
        assert about["targets"] == about["covered"] == batch.targets.numel()
        position = batch.corrupted.flatten().nonzero().flatten().tolist()
        assert file["position"].to_pylist() == position
        assert file["taught"].to_pylist() == batch.targets[batch.corrupted].tolist()
    else:
        assert about["targets"] == len(file) == batches.stretches.count
        assert np.array_equal(file["taught"], batches.stretches.part(0, len(file)))
