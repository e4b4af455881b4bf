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
from noiselab.answers.heads import fine_tuning_table
from noiselab.errors import NoiselabError
from noiselab.families.fine_tuning import regularisers, task
from noiselab.families.fine_tuning.cost import fits
from noiselab.families.fine_tuning.network import Tuned, padded
from noiselab.families.fine_tuning.score import scores
from noiselab.models.gpt2 import gpt2
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
    torch.testing.assert_close(seen.logits, model.head(seen.features))
    assert len(seen.states) == 2
    last = model.backbone(torch.tensor([TOKENS[2]])).last_hidden_state[0]
    torch.testing.assert_close(seen.states[-1][2], last)


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


def test_smart_goes_one_step_up_from_where_it_begins(model):
    embeddings, mask, seen = seen_by(model)
    torch.manual_seed(1)
    noise = 1e-2 * torch.randn_like(embeddings)
    visited = []

    def forward(moved):
        visited.append((moved - embeddings).detach())
        return model(moved, mask)

    found = regularisers.smart(forward, embeddings, seen, noise)
    begin, end = visited
    torch.testing.assert_close(begin, noise)
    step = (end - begin).abs().amax((1, 2))
    torch.testing.assert_close(step, torch.full_like(step, regularisers.STEP))
    rise = [
        regularisers.symmetric_kl(seen.logits, model(embeddings + place, mask).logits).item()
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


def test_gradient_matching_is_that_of_autograd_and_reaches_the_features():
    torch.manual_seed(0)
    head = nn.Linear(5, 3).double()
    features = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    labels, noise = torch.from_numpy(LABELS), 0.2 * torch.randn(4, 5, dtype=torch.float64)
    found = regularisers.gradient_matching(head, features, labels, noise)
    parts = [
        torch.autograd.grad(
            cross_entropy(head(t), labels), list(head.parameters()), create_graph=True
        )
        for t in (features, features + noise)
    ]
    wanted = torch.cat([(a - b).flatten() for a, b in zip(*parts, strict=True)]).norm()
    assert float(found) == pytest.approx(float(wanted))
    variables = [features, *head.parameters()]
    both = (torch.autograd.grad(value, variables) for value in (found, wanted))
    for ours, theirs in zip(*both, strict=True):
        torch.testing.assert_close(ours, theirs)


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
    assert [len(items[split].labels) for split in ("train", "validation", "test")] == [12, 4, 4]
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


def test_scores_do_not_depend_on_the_size_of_a_batch(monkeypatch):
    model = Tuned(decoder().float(), 3, seed=0)
    whole = task.scores(model, ITEMS["train"])
    monkeypatch.setattr(task, "TOKENS", 6)
    assert task.scores(model, ITEMS["train"]) == pytest.approx(whole, rel=1e-5)


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
