"""Fine-tuning of whole models: regularisers by their definitions, and the way of a fit."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div
from transformers import BertConfig, BertModel

from helpers import example_run
from noiselab import streams
from noiselab.answers import competence
from noiselab.answers.heads import fine_tuning_table
from noiselab.errors import NoiselabError
from noiselab.families.fine_tuning import regularisers, targets, task
from noiselab.families.fine_tuning.cost import fits
from noiselab.families.fine_tuning.network import Tuned, loaded, padded
from noiselab.families.fine_tuning.score import scores
from noiselab.families.language_model import backbone as language_model
from noiselab.models.gpt2 import gpt2
from noiselab.models.lstm import lstm
from noiselab.planning import config, runs

CPU = torch.device("cpu")
TOKENS = [[1, 2, 3], [4], [5, 6, 7, 1, 2], [3, 3]]
LABELS = np.array([0, 1, 2, 1])


def decoder():
    torch.manual_seed(0)
    return gpt2(9, context=8, layers=2, heads=2, width=8, initial_std=0.5).transformer.double()


def encoder():
    torch.manual_seed(0)
    settings = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    return BertModel(BertConfig(**settings, intermediate_size=8, initializer_range=0.5)).double()


@pytest.fixture(params=[decoder, encoder])
def model(request):
    return Tuned(request.param(), 3, seed=0)


def seen_by(model):
    tokens, mask = padded(TOKENS, CPU)
    embeddings = model.embeddings(tokens)
    return embeddings, mask, model(embeddings, mask)


# -------------------------------------------------------------------------------- the network


def test_a_text_is_seen_alike_alone_and_among_longer_ones(model):
    _, _, seen = seen_by(model)
    for i, own in enumerate(TOKENS):
        alone = model.backbone(torch.tensor([own])).last_hidden_state[0, -1]
        torch.testing.assert_close(seen.features[i], alone)
    torch.testing.assert_close(seen.outputs, model.head(seen.features))
    assert len(seen.states) == 2
    last = model.backbone(torch.tensor([TOKENS[2]])).last_hidden_state[0]
    torch.testing.assert_close(seen.states[-1][2], last)


def test_a_recurrent_network_is_refused(monkeypatch):
    made = lstm(9, context=8, layers=1, width=8)
    monkeypatch.setattr(language_model, "text_model", lambda *arguments: (None, made))
    run = example_run(family="language_model", run_id="language_model/mine")
    with pytest.raises(NoiselabError, match=r"^language_model/mine: .* of transformers only$"):
        loaded(run, None, CPU)


# ------------------------------------------------------------------------------- regularisers


def test_l2_sp_pulls_to_the_start_and_the_head_to_0(model):
    started = [own.detach().clone() for own in model.backbone.parameters()]
    with torch.no_grad():
        for own in model.backbone.parameters():
            own += 0.1
    pairs = list(zip(model.backbone.parameters(), started, strict=True))
    found = regularisers.l2_sp(pairs, model.head.parameters(), 0.3)
    count = sum(own.numel() for own in started)
    new = sum(float(own.detach().square().sum()) for own in model.head.parameters())
    assert found.item() == pytest.approx(0.15 * count * 0.01 + 0.015 * new)


def test_a_symmetric_divergence_is_that_of_both_directions():
    torch.manual_seed(0)
    p, q = (torch.randn(5, 3, dtype=torch.float64).log_softmax(-1) for _ in range(2))
    wanted = sum(kl_div(a, b, log_target=True, reduction="batchmean") for a, b in ((p, q), (q, p)))
    assert float(regularisers.symmetric_kl(p + 1, q - 2)) == pytest.approx(float(wanted))


@pytest.mark.parametrize("target", [targets.CLASS, targets.NUMBER])
def test_smart_goes_one_step_up_from_where_it_begins(model, target):
    embeddings, mask, seen = seen_by(model)
    torch.manual_seed(1)
    noise = 1e-2 * torch.randn_like(embeddings)
    visited = []

    def forward(moved):
        visited.append((moved - embeddings).detach())
        return model(moved, mask)

    found = regularisers.smart(forward, embeddings, seen, noise, target.divergence)
    begin, end = visited
    torch.testing.assert_close(begin, noise)
    step = (end - begin).abs().amax((1, 2))
    torch.testing.assert_close(step, torch.full_like(step, regularisers.STEP))
    rise = [
        target.divergence(seen.outputs, model(embeddings + place, mask).outputs).item()
        for place in visited
    ]
    assert rise[1] > rise[0]
    assert found.item() == pytest.approx(rise[1])
    found.backward()
    assert all(own.grad is not None for own in model.head.parameters())


def test_lnsr_sums_all_layers_over_real_tokens(model):
    embeddings, mask, seen = seen_by(model)
    noise = 0.1 * torch.randn_like(embeddings)
    found = regularisers.lnsr(lambda moved: model(moved, mask), embeddings, seen, noise, mask)
    total, tokens = 0.0, 0
    for i, own in enumerate(TOKENS):
        alone = embeddings[i : i + 1, : len(own)]
        parts = [
            model(moved, torch.ones(1, len(own), dtype=torch.long)).states
            for moved in (alone, alone + noise[i : i + 1, : len(own)])
        ]
        total += sum(float((a - b).square().sum()) for a, b in zip(*parts, strict=True))
        tokens += len(own)
    assert float(found) == pytest.approx(total / tokens)


NUMBERS = np.array([0.0, 5.0, 2.5, 3.8])


def mean_square(outputs, numbers):
    """The squared error as it is written down."""
    return sum((own - y) ** 2 for own, y in zip(outputs[:, 0], numbers, strict=True)) / len(numbers)


@pytest.mark.parametrize(
    ("target", "count", "wanted", "loss"),
    [(targets.CLASS, 3, LABELS, cross_entropy), (targets.NUMBER, 1, NUMBERS, mean_square)],
)
def test_gradient_matching_is_that_of_autograd_and_reaches_the_features(
    target, count, wanted, loss
):
    torch.manual_seed(0)
    head = nn.Linear(5, count).double()
    features = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    right, noise = torch.from_numpy(wanted), 0.2 * torch.randn(4, 5, dtype=torch.float64)
    found = regularisers.gradient_matching(
        head, features, noise, lambda outputs: target.slopes(outputs, right)
    )
    parts = [
        torch.autograd.grad(loss(head(t), right), list(head.parameters()), create_graph=True)
        for t in (features, features + noise)
    ]
    norm = torch.cat([(a - b).flatten() for a, b in zip(*parts, strict=True)]).norm()
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(found, norm, **close)
    torch.testing.assert_close(target.loss(head(features), right), loss(head(features), right))
    variables = [features, *head.parameters()]
    both = (torch.autograd.grad(value, variables) for value in (found, norm))
    for ours, theirs in zip(*both, strict=True):
        torch.testing.assert_close(ours, theirs, **close)


def test_gradient_matching_of_a_squared_error_has_a_form_for_one_text():
    """With one text, y = 1, w = (2, 0), b = 0.5, t = (3, 0) and noise (-1, 0): ŷ is 6.5, then 4.5,
    so the gradients are 11 (3, 0, 1) and 7 (2, 0, 1)."""
    head = nn.Linear(2, 1).double()
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[2.0, 0.0]]))
        head.bias.fill_(0.5)
    t, noise = (torch.tensor([[x, 0.0]], dtype=torch.float64) for x in (3, -1))
    found = regularisers.gradient_matching(
        head, t, noise, lambda outputs: targets.NUMBER.slopes(outputs, torch.tensor([1.0]))
    )
    assert float(found.detach()) == pytest.approx(np.hypot(33 - 14, 11 - 7))


def test_the_divergence_of_numbers_is_their_mean_squared_difference():
    first, second = (torch.randn(6, 1, dtype=torch.float64) for _ in range(2))
    wanted = np.mean((first.numpy() - second.numpy()) ** 2)
    for pair in ((first, second), (second, first)):
        assert float(targets.NUMBER.divergence(*pair)) == pytest.approx(wanted)
    assert float(targets.NUMBER.divergence(first, first)) == 0


# -------------------------------------------------------------------------------------- a fit

METHODS = {
    "plain": {},
    "lnsr_gm": {"regulariser": "lnsr", "noise": [0.1], "radius": [0.1], "strength": [0.1, 0.2]},
}
RUN = {
    "run_id": "fine_tuning/t/x-linear",
    "classes": 3,
    "epochs": 1,
    "validation_share": 0.25,
    "head": "linear",
    "grid": {"learning_rate": [1e-2], "batch_size": [2]},
    "methods": METHODS,
    "seeds": [0, 1],
    "backbone": {"run_id": "b", "noise": "clean", "error_rate": 0.0, "model": {"width": 8}},
    "training": {"optimizer": {"weight_decay": 0.0}},
}
ITEMS = {
    "train": task.Texts(TOKENS * 4, np.tile(LABELS, 4)),
    "test": task.Texts(TOKENS, LABELS),
}


def test_attempts_are_the_combinations_of_values_with_seeds():
    run = example_run(**RUN)
    found = task.attempts(run)
    assert [(m, s.strength, seed) for m, s, seed in found] == [
        ("plain", 0.0, 0),
        ("plain", 0.0, 1),
        *(("lnsr_gm", strength, seed) for strength in (0.1, 0.2) for seed in (0, 1)),
    ]
    assert found[-1][1].weight == task.USUAL["lnsr"]
    assert fits(run) == {"plain": 2, "lnsr_gm": 4}


def test_a_fit_repeats_itself_and_leaves_the_backbone_as_it_was():
    run, backbone = example_run(**RUN), decoder().float()
    items = task.splits(run, ITEMS)
    assert [len(items[split].targets) for split in ("train", "validation", "test")] == [12, 4, 4]
    before = copy.deepcopy(backbone.state_dict())
    setting = task.Setting(1e-2, 2, "lnsr", 1.0, 0.1, 0.1, 0.1)
    first, again = (task.tuned(backbone, items, run, setting, 0) for _ in range(2))
    assert first == again != task.tuned(backbone, items, run, setting, 1)
    torch.testing.assert_close(backbone.state_dict(), before)


def test_a_model_learns_its_task():
    setting = task.Setting(1e-2, 4)
    run = example_run(**RUN | {"epochs": 20})
    found = task.tuned(decoder().float(), ITEMS | {"validation": ITEMS["test"]}, run, setting, 0)
    assert found["test_accuracy"] == 100
    assert found["test_matthews"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("target", "count", "wanted"), [(targets.CLASS, 3, LABELS), (targets.NUMBER, 1, NUMBERS)]
)
def test_scores_do_not_depend_on_the_size_of_a_batch(monkeypatch, target, count, wanted):
    model = Tuned(decoder().float(), count, seed=0)
    texts = task.Texts(TOKENS * 4, np.tile(wanted, 4))
    whole = task.scores(model, target, texts)
    monkeypatch.setattr(task, "TOKENS", 6)
    assert task.scores(model, target, texts) == pytest.approx(whole, rel=1e-5)


# ---------------------------------------------------------------------------- of a number

NUMERIC = {key: value for key, value in RUN.items() if key != "classes"} | {"target_range": [0, 5]}
OF_NUMBERS = {
    "train": task.Texts(TOKENS * 4, np.tile(NUMBERS, 4)),
    "test": task.Texts(TOKENS, NUMBERS),
}


def test_a_model_learns_numbers():
    run, items = example_run(**NUMERIC | {"epochs": 60}), OF_NUMBERS
    items = items | {"validation": items["test"]}
    found = task.tuned(decoder().float(), items, run, task.Setting(1e-2, 4), 0)
    assert found["test_pearson"] > 99
    assert found["test_spearman"] == pytest.approx(100)
    assert found["test_squared_error"] < 0.1 < NUMBERS.var()


@pytest.mark.parametrize("regulariser", ["l2_sp", "smart", "lnsr"])
def test_numbers_are_tuned_under_each_regulariser_with_l_gm(regulariser):
    run, backbone = example_run(**NUMERIC), decoder().float()
    items = task.splits(run, OF_NUMBERS)
    plain = task.Setting(1e-2, 4, regulariser, 1.0, 0.1)
    matched = task.Setting(1e-2, 4, regulariser, 1.0, 0.1, 0.15, 0.1)
    first, again, other = (
        task.tuned(backbone, items, run, setting, 0) for setting in (matched, matched, plain)
    )
    assert first == again
    assert first["test_squared_error"] != other["test_squared_error"], "L_gm changes something"
    assert np.isfinite(list(first.values())).all()


def test_a_step_of_a_number_is_the_gradient_of_its_whole_loss():
    """Squared error, plus SMART, plus λ L_gm, each computed once more from its definition."""
    model = Tuned(decoder(), 1, seed=0)
    setting = task.Setting(1e-2, 4, "smart", 2.0, 0.1, 0.5, 0.1)
    started = [own.detach().clone() for own in model.backbone.parameters()]
    found = task.objective(
        model, targets.NUMBER, started, task.Texts(TOKENS, NUMBERS), setting, 0, 7
    )
    plain, regulariser = (
        task.objective(model, targets.NUMBER, started, task.Texts(TOKENS, NUMBERS), part, 0, 7)
        for part in (task.Setting(1e-2, 4), task.Setting(1e-2, 4, "smart", 1.0, 0.1))
    )
    _, _, seen = seen_by(model)
    assert plain.item() == pytest.approx(np.mean((seen.outputs[:, 0].tolist() - NUMBERS) ** 2))
    generator = torch.Generator().manual_seed(streams.integer(0, "probe-noise", 7))
    noise = 0.1 * torch.randn(seen.features.shape, generator=generator).double()
    numbers = torch.from_numpy(NUMBERS)
    parts = [
        torch.autograd.grad(mean_square(model.head(t), numbers), list(model.head.parameters()))
        for t in (seen.features.detach(), seen.features.detach() + noise)
    ]
    matching = torch.cat([(a - b).flatten() for a, b in zip(*parts, strict=True)]).norm()
    wanted = plain + 2 * (regulariser - plain) + 0.5 * matching
    assert found.item() == pytest.approx(wanted.item(), rel=1e-9)


def test_validation_chooses_by_correlation_and_then_by_the_squared_error(tmp_path):
    run = example_run(**NUMERIC | {"dataset": "t", "stands_in_for": "stsb"})
    found = [
        {"validation_correlation": v, "validation_squared_error": e, "test_correlation": t}
        | {"test_pearson": t + 1, "test_spearman": t - 1, "test_squared_error": e}
        for v, e, t in (
            *((50, 1.0, 60), (50, 1.0, 62)),  # plain
            *((70, 2.0, 80), (70, 2.0, 80)),  # L_gm, λ = 0.1
            *((70, 1.5, 75), (70, 1.5, 73)),  # as good, with a smaller error
        )
    ]
    _, chosen = task.tables(run, found, OF_NUMBERS)
    assert chosen.groupby("method")["strength"].first().to_dict() == {"plain": 0.0, "lnsr_gm": 0.2}
    assert "majority" not in chosen
    chosen.to_csv(tmp_path / "chosen.csv", index=False)
    made = scores(run, {"chosen": tmp_path / "chosen.csv"})
    values = {name: score["value"] for name, score in made.items()}
    assert values == {
        "correlation": 61,
        "correlation_lnsr_gm": 74,
        "gain_lnsr_gm": 13,
        **{"pearson_plain": 62, "spearman_plain": 60},
        **{"pearson_lnsr_gm": 75, "spearman_lnsr_gm": 73},
    }
    assert made["gain_lnsr_gm"]["by_seed"] == "15 11"
    rows = [
        {"family": "fine_tuning", "dataset": "t", "stands_in_for": "stsb", "metric": name} | score
        for name, score in made.items()
    ]
    table = fine_tuning_table(pd.DataFrame(rows), config.published()["fine_tuning"])
    table = table.set_index("row")
    assert table["metric"].unique().tolist() == ["correlation"]
    assert table["family"].unique().tolist() == ["fine_tuning"]
    assert table["ours"].to_dict() == {"plain": 61, "LNSR + L_gm": 74}
    assert table.loc["LNSR + L_gm", "published"] == 90.47
    assert np.isnan(table.loc["plain", "published"])


@pytest.mark.parametrize(("correlation", "passes"), [(1.9, False), (2.0, True), (60.0, True)])
def test_a_correlation_is_competent_above_that_of_a_constant(correlation, passes):
    score = {"metric": "correlation", "value": correlation, "family": "fine_tuning", "dataset": "t"}
    rows = pd.DataFrame([score | {"noise_ratio": 0.0, "source_share": None, "batch_multiplier": 1}])
    why = competence.weaknesses(rows, {"majority": 2})
    assert why == ([] if passes else ["t: its correlation, 1.9 %, is not 2 points above 0"])


def test_from_fits_to_a_table(tmp_path):
    run = example_run(**RUN | {"dataset": "t", "stands_in_for": "cola"})
    found = [
        {"validation_accuracy": v, "validation_nll": 1.0, "test_accuracy": a, "test_nll": 1.0}
        | {"test_matthews": a / 2}
        for v, a in ((50, 60), (50, 62), (40, 50), (40, 50), (45, 70), (45, 74))
    ]
    tried, chosen = task.tables(run, found, ITEMS)
    assert len(tried) == 6
    assert chosen.groupby("method")["strength"].first().to_dict() == {"plain": 0.0, "lnsr_gm": 0.2}
    assert set(chosen["majority"]) == {50.0}
    chosen.to_csv(tmp_path / "chosen.csv", index=False)
    rows = [
        {"family": "fine_tuning", "dataset": "t", "stands_in_for": "cola", "metric": name} | score
        for name, score in scores(run, {"chosen": tmp_path / "chosen.csv"}).items()
    ]
    published = {"rows": ["lnsr_gm"], "scores": {"cola": [63.82]}}
    table = fine_tuning_table(pd.DataFrame(rows), published).set_index("row")
    assert table["metric"].unique().tolist() == ["matthews"]
    assert table["ours"].to_dict() == pytest.approx({"plain": 30.5, "LNSR + L_gm": 36.0})
    assert table.loc["LNSR + L_gm", "published"] == 63.82


# ----------------------------------------------------------------------------------- planning


def planned(**changes):
    experiment = {"family": "fine_tuning", "backbone": {"experiment": "table7"}, "seeds": [0]}
    experiment |= {"datasets": ["docstring_package"]} | changes
    return runs.plan(config.load({"experiments": {"tuned": experiment}}, tier="smoke"), "r")


def test_each_backbone_is_tuned_once():
    plan = planned()
    found = [plan.runs[name] for name in plan.experiments["tuned"]]
    assert [run.parents["backbone"] for run in found] == plan.experiments["table7"]
    assert {run.head for run in found} == {"linear"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": ["mlp"]}, "tuned.heads: not of a fine_tuning"),
        ({"datasets": ["digits"]}, "digits is not for a fine_tuning"),
        ({"backbone": {"experiment": "table2"}}, "no experiment 'table2' whose models"),
        ({"training": {"methods": {"plain": {"penalty": "x"}}}}, "unknown key"),
    ],
)
def test_a_mistake_is_one_line(changes, message):
    with pytest.raises(NoiselabError, match=message):
        planned(**changes)
