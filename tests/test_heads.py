"""What fitted heads do: Proposition 2, decisions on planes, tables and figure of both."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from noiselab.answers import heads as tables
from noiselab.answers.figures import regions
from noiselab.families.probe import heads as chosen_heads
from noiselab.measures.probes import bounds, planes
from noiselab.measures.probes.fits import Items

FLOAT = torch.float64


def problem(classes, scale, items=20, features=3):
    torch.manual_seed(classes)
    x = torch.randn(items, features, dtype=FLOAT)
    weight = scale * torch.randn(classes, features + 1, dtype=FLOAT)
    noise = 0.3 * torch.randn(items, features, dtype=FLOAT)
    return weight, Items(x, torch.arange(items) % classes), noise


def loss(weight, features, label):
    inputs = torch.cat([features, torch.ones(1, dtype=FLOAT)])
    return cross_entropy((weight @ inputs)[None], label[None])


# --------------------------------------------------------------------------------- Proposition 2


@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_smoothness_bounds_every_hessian_and_is_reached_by_two_classes(classes, scale):
    weight, items, noise = problem(classes, scale)
    found = bounds.proposition_2(weight, items, torch.zeros_like(noise))
    largest = 0.0
    for x, label in zip(*items, strict=True):
        hessian = torch.autograd.functional.hessian(lambda w, x=x, y=label: loss(w, x, y), weight)
        largest = max(
            largest, float(torch.linalg.eigvalsh(hessian.reshape(2 * [weight.numel()]))[-1])
        )
    assert largest <= found.smoothness + 1e-9
    if scale == 0 and classes == 2:
        assert largest == pytest.approx(found.smoothness)


def test_l_gm_and_the_loss_are_those_of_autograd():
    weight, items, noise = problem(4, 1.0)
    found = bounds.proposition_2(weight, items, noise)
    gradients = []
    for features in (items.features, items.features + noise):
        own = weight.clone().requires_grad_()
        losses = [loss(own, x, y) for x, y in zip(features, items.labels, strict=True)]
        gradients.append(torch.autograd.grad(torch.stack(losses).mean(), own)[0])
    assert found.gradient_matching == pytest.approx(float((gradients[0] - gradients[1]).norm()))
    losses = [float(loss(weight, x, y)) for x, y in zip(*items, strict=True)]
    assert found.loss == pytest.approx(np.mean(losses))


def test_nothing_in_the_ball_is_worse_where_there_are_two_classes():
    weight, items, _ = problem(2, 1.0)
    worst = bounds.worst_losses(weight, items, 0.5)
    for _ in range(200):
        moves = torch.randn_like(items.features)
        moves = 0.5 * moves / moves.norm(dim=1, keepdim=True)
        for i, (x, y) in enumerate(zip(items.features + moves, items.labels, strict=True)):
            assert float(loss(weight, x, y)) <= float(worst[i]) + 1e-12


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_proposition_holds_and_so_does_its_lemma(classes, scale):
    weight, items, noise = problem(classes, scale)
    found = bounds.proposition_2(weight, items, noise)
    assert found.gradient_matching <= found.right
    assert found.flatness >= 0
    for x, y in zip(*items, strict=True):  # Lemma 2: ‖∇ℓ‖² ≤ 4 β ℓ
        own = weight.clone().requires_grad_()
        value = loss(own, x, y)
        square = float(torch.autograd.grad(value, own)[0].square().sum())
        assert square <= 4 * found.smoothness * value.item() + 1e-12


# --------------------------------------------------------------------------------------- planes


def test_a_plane_has_its_item_in_the_middle_and_two_directions_at_right_angles():
    axes = planes.directions(7, 3)
    torch.testing.assert_close(axes @ axes.mT, torch.eye(2, dtype=FLOAT))
    assert not torch.allclose(axes, planes.directions(7, 4))
    weight = torch.zeros(2, 8, dtype=FLOAT)
    weight[1, :-1] = axes[0]  # the second class where the first axis says more than the point does
    point = torch.randn(7, dtype=FLOAT)
    weight[1, -1] = -(axes[0] @ point)
    found = planes.decisions([weight], point, axes, 2.0, 5)
    assert found.tolist() == [[0] * 5, [0] * 5, found[2].tolist(), [1] * 5, [1] * 5]


def test_the_extent_is_how_far_items_are_from_their_mean():
    x = torch.tensor([[1.0, 5.0], [-1.0, 5.0]])
    assert planes.extent(x) == pytest.approx(1.0)


# --------------------------------------------------------------------------------- tables, figure


def about(**more):
    return {"dataset": "a", "stands_in_for": "sst2", "head": "linear"} | more


def test_each_gamma_and_lambda_has_the_setting_that_validation_chooses():
    rows = []
    for radius, strength, gain in ((0.0, 0.0, 0), (0.1, 0.2, 3), (0.1, 0.4, 5)):
        for rate, validation in ((1e-3, 60.0), (1e-2, 70.0)):
            for seed in (0, 1):
                rows.append(
                    {
                        "method": "gradient_matching" if radius else "plain",
                        "seed": seed,
                        "learning_rate": rate,
                        **{"batch_size": 8, "weight_decay": 0.0, "dropout": 0.0},
                        **{"penalty": "x", "radius": radius, "strength": strength},
                        **{"validation_accuracy": validation, "validation_nll": 0.5},
                        "test_accuracy": 100 * rate * 50 + gain + seed,
                    }
                )
    published = {"rows": [[0.1, 0.2]], "metrics": {"linear": {"sst2": [55.5]}}}
    table = tables.sensitivity_table([about()], [pd.DataFrame(rows)], published)
    assert table["row"].tolist() == ["plain", "γ = 0.1, λ = 0.2", "γ = 0.1, λ = 0.4"]
    assert table["ours"].tolist() == pytest.approx([50.5, 53.5, 55.5])
    assert table["published"].tolist()[1] == 55.5
    assert table["published"].isna().tolist() == [True, False, True]


@pytest.fixture
def run_and_chosen(monkeypatch):
    """Two clouds far from each other, whose heads are fitted once more."""
    torch.manual_seed(0)
    labels = torch.arange(60) % 2
    x = torch.randn(60, 4) + 4 * labels[:, None]
    items = {"train": Items(x[:40], labels[:40]), "test": Items(x[40:], labels[40:])}
    monkeypatch.setattr(chosen_heads.task, "splits", lambda run, arrays: items)
    monkeypatch.setattr(chosen_heads.reading, "arrays", lambda *names: {})
    run = chosen_heads.Run.from_content(
        {
            **dict.fromkeys(("run_id", "family", "tier", "dataset", "stands_in_for", "data"), "a"),
            **dict.fromkeys(("corruption", "resample", "budget", "protocol"), "none"),
            **{"noise_ratio": 0.0, "error_rate": 0.0, "batch_multiplier": 1, "seed": 0},
            **{"parents": {"backbone": "b"}, "head": "linear", "epochs": 20},
            **{"model": {}, "training": {"schedule": "constant"}, "backbone": {"noise": "clean"}},
        }
    )
    row = {"seed": 0, "learning_rate": 0.01, "batch_size": 8, "dropout": 0.0}
    plain = {
        "method": "plain",
        "penalty": "none",
        "strength": 0.0,
        "radius": 0.0,
        "weight_decay": 0.0,
    }
    decayed = plain | {"method": "weight_decay", "weight_decay": 10.0}
    return run, pd.DataFrame([row | plain, row | decayed, row | plain | {"method": "dropout"}])


def test_heads_are_measured_and_shown(run_and_chosen, tmp_path):
    run, chosen = run_and_chosen
    found = chosen_heads.measured(run, tmp_path, chosen)
    assert found["plane"].groupby("method").size().to_dict() == dict.fromkeys(
        ("plain", "weight_decay"), chosen_heads.SIDE**2
    )
    region = tables.regions_table(found["regions"]).set_index("row")
    assert (
        region.loc["clean", "ours"] == found["regions"].query("method == 'plain'")["right"].mean()
    )
    assert region["ours"].between(50, 100).all()
    bound = tables.bound_table(found["bound"])
    sides = bound[bound["row"] == "clean"].set_index("metric")["ours"]
    assert sides["gradient_matching"] <= sides["right"]
    assert sides["right"] == pytest.approx(
        2 * sides["smoothness"] + 2 * sides["loss"] + sides["flatness"]
    )
    unknown = tables.bound_table(found["bound"][:0])
    assert unknown["ours"].isna().tolist() == [True]
    drawn = regions.regions_figure([found["plane"], found["regions"], found["bound"]])
    assert len(drawn.data) == 2
    assert "linear head, weight decay" in drawn.alt


def test_right_decisions_are_green():
    rows = [
        {"row": i, "column": j, "class": j, "right": j == 1} for i in range(3) for j in range(3)
    ]
    picture = regions.sheet(pd.DataFrame(rows))
    assert picture.shape == (15, 15, 3)
    assert tuple(picture[0, 7]) == regions.RIGHT
    assert tuple(picture[0, 0]) == regions.WRONG[0]
    assert tuple(picture[7, 7]) == regions.ITEM
