"""What survives noise of layers at their first weights: theory against simulation."""

import numpy as np
import pandas as pd
import pytest
import torch

import measure_layer_stability as script
from noiselab.measures.stability import forms
from noiselab.measures.stability.estimates import gaussian_stability

torch.set_num_threads(1)


@pytest.mark.parametrize("rho", [0.3, 0.8])
@pytest.mark.parametrize("variance", [0.0, 0.3, 1.0])
def test_attention_survives_as_simulated(rho, variance):
    """Scores by a vector `a` of that squared length, values that keep lengths: no network."""
    rng, width, tokens, times = np.random.default_rng(0), 12, 400, 300
    products = squares = 0.0
    for _ in range(times):
        x, noise = rng.normal(size=(2, tokens, width))
        y = rho * x + np.sqrt(1 - rho**2) * noise
        a, other = rng.normal(size=(2, width)) * np.sqrt(variance / width)
        b = rho * a + np.sqrt(1 - rho**2) * other
        first, second = (_mean(np.exp(t @ v), t) for t, v in ((x, a), (y, b)))
        products += first @ second
        squares += (first @ first + second @ second) / 2
    expected = forms.attention(rho, variance, width, tokens)
    assert products / squares == pytest.approx(expected, abs=0.03)


def _mean(weights, tokens):
    return weights @ tokens / weights.sum()


def test_attention_has_its_limits():
    rho = np.linspace(0, 1, 5)
    assert forms.attention(rho, 0.0, 8, 100) == pytest.approx(rho)  # a plain mean is linear
    assert forms.attention(rho, 1.0, 8, 10**9) == pytest.approx(rho, abs=1e-6)
    assert forms.attention(1.0, 2.0, 8, 100) == pytest.approx(1)
    sharper = [forms.attention(0.5, variance, 8, 8) for variance in (0.1, 1, 2)]
    assert sharper == sorted(sharper, reverse=True)


@pytest.mark.parametrize("layers", [1, 3])
def test_residual_layers_survive_as_wide_ones_do(layers):
    generator = torch.Generator().manual_seed(0)
    network = script.stack(256, layers, residual=True)(generator)
    found = gaussian_stability(network, (256,), 0.3, 200, generator).share
    assert found.value == pytest.approx(forms.residual_layers(0.3, layers), abs=0.03)


def test_a_branch_without_weight_changes_nothing():
    assert forms.residual_layers(0.3, 4, branch=0.0) == pytest.approx(0.3)
    assert forms.residual_layers(0.3, 1, branch=1e9) == pytest.approx(forms.arc_cosine(0.3))


def test_the_scores_of_an_attention_layer_have_the_variance_that_is_asked_for():
    """One token sees itself alone, so that what it says is its value."""
    layer = script.attention_layer(64, 2.0)(torch.Generator().manual_seed(0))
    closure = {
        name: cell.cell_contents
        for name, cell in zip(layer.__code__.co_freevars, layer.__closure__, strict=True)
    }
    x, y = torch.randn(2, 4000, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    scores = ((x @ closure["queries"]) * (y @ closure["keys"])).sum(1) / 8
    assert scores.var().item() == pytest.approx(2.0, rel=0.15)
    alone = layer(x[:5, None])
    torch.testing.assert_close(alone[:, 0], x[:5] @ closure["values"])


def test_the_script_has_a_row_per_layer_and_correlation(tmp_path, monkeypatch):
    out = tmp_path / "layers.csv"
    sizes = ["--widths", "8", "16", "--variances", "0.5", "--tokens", "64", "--layers", "2"]
    rho = ["--correlations", "0.2", "0.9"]
    argv = [script.__file__, *rho, *sizes, "--networks", "4", "--out", str(out)]
    monkeypatch.setattr("sys.argv", argv)
    script.main()
    table = pd.read_csv(out)
    assert table.groupby("part").size().to_dict() == {
        "relu": 4,
        "attention": 2,
        "stack": 4,
        "residual_stack": 4,
    }
    assert (table["ci_low"] <= table["measured"]).all()
    assert (table["measured"] <= table["ci_high"]).all()
    assert (table["measured"] - table["theory"]).abs().max() < 0.25
    near = (table["ci_low"] <= table["theory"]) & (table["theory"] <= table["ci_high"])
    assert near.mean() > 0.6
