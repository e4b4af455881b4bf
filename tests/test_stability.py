"""Noise stability: closed forms against brute force, estimates against closed forms."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from noiselab.measures.stability import estimates, forms

torch.set_num_threads(1)
RHOS = [-0.7, 0.0, 0.25, 0.6, 0.95]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def bits(values):
    """0 and 1 as -1 and 1, float64."""
    return 2.0 * values.double() - 1


FUNCTIONS = {
    "parity": lambda x: bits(x)[:, :3].prod(1),
    "dictator": lambda x: bits(x)[:, 1],
    "majority": lambda x: bits(x).sum(1).sign(),
}
FORMS = {
    "parity": lambda rho: forms.parity(rho, 3),
    "dictator": lambda rho: forms.parity(rho, 1),
    "majority": lambda rho: forms.majority(rho, 5),
}
CUBE = torch.tensor(list(product([0, 1], repeat=5)))


def brute_force(function, rho):
    """The mean over all pairs of inputs, weighted by how probable they are."""
    values = function(CUBE).numpy()
    same = (CUBE[:, None] == CUBE[None]).sum(-1).numpy()
    weights = ((1 + rho) / 2) ** same * ((1 - rho) / 2) ** (5 - same) / 2**5
    return values @ weights @ values


# ------------------------------------------------------------------------------ closed forms


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("rho", RHOS)
def test_boolean_forms_are_the_sum_over_all_pairs(name, rho):
    assert FORMS[name](rho) == pytest.approx(brute_force(FUNCTIONS[name], rho), abs=1e-12)


def test_a_majority_of_many_bits_has_the_form_of_sheppard():
    assert forms.majority(0.6, 1001) == pytest.approx(2 / np.pi * np.arcsin(0.6), abs=1e-3)
    assert forms.majority([0.2, 0.4], 3).shape == (2,)
    with pytest.raises(ValueError, match="a tie"):
        forms.majority(0.5, 4)


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.6, 0.95])
def test_relu_is_the_integral_over_the_plane(rho):
    density = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).pdf
    found, _ = integrate.dblquad(lambda y, x: x * y * density((x, y)), 0, 9, 0, 9, epsabs=1e-8)
    assert forms.relu(rho, np.array([1.0])) == pytest.approx(found, abs=1e-6)
    assert forms.relu(rho, np.array([3.0, 4.0])) == pytest.approx(25 * found, abs=1e-4)


def test_layers_make_inputs_alike():
    assert forms.through_layers(0.3, 0) == 0.3
    found = [forms.through_layers(0.3, layers) for layers in range(200)]
    assert (np.diff(found) > 0).all()
    assert found[-1] == pytest.approx(1, abs=1e-3)
    assert forms.arc_cosine(1.0) == 1
    assert forms.arc_cosine(-1.0) == pytest.approx(0, abs=1e-12)


# --------------------------------------------------------------------------------- estimates


def near(estimate, truth):
    """Within 3 standard errors; a half-width of the interval is about 2."""
    half = (estimate.ci_high - estimate.ci_low) / 2
    return abs(estimate.value - truth) <= 1.55 * half + 1e-12


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("rho", [0.0, 0.25, 0.6, 0.95])
def test_discrete_estimates_are_near_the_closed_forms(name, rho):
    inputs = torch.randint(2, (20_000, 5), generator=generator(1))
    found = estimates.discrete_stability(FUNCTIONS[name], inputs, rho, 2, generator(2))
    assert near(found.raw, FORMS[name](rho))
    assert near(found.share, FORMS[name](rho))  # E[f^2] is 1


WEIGHTS = np.array([1.0, -2.0, 0.5])


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.6])
def test_gaussian_estimates_are_near_the_closed_forms(rho):
    weights = torch.from_numpy(WEIGHTS)
    functions = {
        "linear": (lambda x: x @ weights + 2.0, forms.linear(rho, WEIGHTS, 2.0)),
        "relu": (lambda x: (x @ weights).relu(), forms.relu(rho, WEIGHTS)),
        "two": (lambda x: torch.stack([x @ weights, x[:, 0]], 1), rho * (WEIGHTS @ WEIGHTS + 1)),
    }
    for function, truth in functions.values():
        found = estimates.gaussian_stability(function, (3,), rho, 5000, generator(3), batch=999)
        assert near(found.raw, truth)
    share = estimates.gaussian_stability(functions["relu"][0], (3,), rho, 5000, generator(3)).share
    assert near(share, forms.arc_cosine(rho))


def test_a_wide_network_has_the_correlation_of_its_depth():
    torch.manual_seed(0)
    layers = [torch.randn(8 if i == 0 else 2000, 2000).double() for i in range(2)]

    def network(x):
        for weights in layers:
            x = (x @ weights * (2 / len(weights)) ** 0.5).relu()
        return x

    found = estimates.gaussian_stability(network, (8,), 0.4, 500, generator(4)).share
    assert found.value == pytest.approx(forms.through_layers(0.4, 2), abs=0.03)


def test_signs_take_the_variance_of_linear_functions_away():
    found = estimates.gaussian_stability(lambda x: x[:, :1], (1,), 0.0, 100, generator(5))
    assert found.raw.value == pytest.approx(0, abs=1e-12)


def test_intervals_cover():
    """200 studies of a majority with 300 inputs each: 95 % of the intervals, give or take 4.6
    points, three standard errors."""
    truth, hits = forms.majority(0.6, 5), 0
    for seed in range(200):
        inputs = torch.randint(2, (300, 5), generator=generator(seed))
        found = estimates.discrete_stability(
            FUNCTIONS["majority"], inputs, 0.6, 2, generator(1000 + seed)
        ).raw
        hits += found.ci_low <= truth <= found.ci_high
    assert 0.904 <= hits / 200 <= 0.996


def test_letters_that_are_drawn_anew_may_be_the_same():
    """Of 3 letters: <f(X), f(Y)> of the one-hot letter is keep + (1 - keep) / 3."""
    inputs = torch.randint(3, (20_000, 1), generator=generator(6))
    one_hot = lambda x: torch.eye(3)[x[:, 0]]  # noqa: E731
    found = estimates.discrete_stability(one_hot, inputs, 0.4, 3, generator(7))
    assert near(found.raw, 0.4 + 0.6 / 3)


# -------------------------------------------------------------------- influences, sensitivity


@pytest.mark.parametrize("name", FUNCTIONS)
def test_influences_are_how_often_a_bit_alone_changes_the_output(name):
    function = FUNCTIONS[name]
    pivotal = []
    for place in range(5):
        turned = CUBE.clone()
        turned[:, place] = 1 - turned[:, place]
        pivotal.append((function(CUBE) != function(turned)).double().mean().item())
    inputs = torch.randint(2, (20_000, 5), generator=generator(8))
    found = estimates.influences(function, inputs, 2, generator(9))
    assert found.mean(0) == pytest.approx(pivotal, abs=0.025)
    sensitivity = estimates.average_sensitivity(found)
    assert near(sensitivity, sum(pivotal))
    slope = (FORMS[name](1.0) - FORMS[name](1 - 1e-6)) / 1e-6
    assert slope == pytest.approx(sum(pivotal), abs=1e-4)


def test_a_junta_has_all_influence_in_few_coordinates():
    inputs = torch.randint(2, (2000, 5), generator=generator(10))
    of_three = estimates.influences(FUNCTIONS["parity"], inputs, 2, generator(11))
    assert estimates.junta_share(of_three, 3) == 1
    assert estimates.junta_share(of_three, 1) == pytest.approx(1 / 3, abs=0.02)
    constant = estimates.influences(lambda x: torch.ones(len(x)), inputs, 2, generator(12))
    assert estimates.junta_share(constant, 1) == 1
