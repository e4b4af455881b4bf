"""Mixtures of clean text and noise: floors against a Bayes observer, Proposition 1 by numbers."""

import itertools
import math

import numpy as np
import pytest

from noiselab.noise import mixture, theory

SHARES = [0.01, 0.05, 0.2, 0.5]
WINDOW, TOKENS = 32, 8


@pytest.fixture(scope="module")
def chain():
    """A Markov chain over 8 tokens, its stationary distribution, and 4,000 windows of 33 tokens:
    half of the chain, half of a noise whose tokens are independent and not alike."""
    rng = np.random.default_rng(0)
    transition = rng.dirichlet(np.full(TOKENS, 0.6), TOKENS)
    stationary = np.linalg.matrix_power(transition, 200)[0]
    noise = rng.dirichlet(np.full(TOKENS, 3.0))
    first = rng.choice(TOKENS, 4000, p=stationary)
    windows = [first]
    for _ in range(WINDOW):
        edges, u = transition[windows[-1]].cumsum(1), rng.random((4000, 1))
        windows.append(np.minimum((u > edges).sum(1), TOKENS - 1))
    clean = np.stack(windows, 1)
    noisy = rng.choice(TOKENS, clean.shape, p=noise)
    return transition, stationary, noise, np.concatenate([clean, noisy])


def bayes_nll(chain, share: float) -> np.ndarray:
    """NLL of an observer that holds a belief of which source a window is of, and changes it by
    Bayes' rule after each token: a loop over tokens and windows, in probabilities."""
    transition, stationary, noise, windows = chain
    total = np.zeros(len(windows))
    for i, window in enumerate(windows):
        clean = (1 - share) * stationary[window[0]]
        belief = clean / (clean + share * noise[window[0]])
        for before, token in itertools.pairwise(window):
            of_clean = belief * transition[before, token]
            predicted = of_clean + (1 - belief) * noise[token]
            total[i] -= math.log(predicted)
            belief = of_clean / predicted
    return total


def logs(chain):
    """Log-probabilities of each token under either source, and of the first ones."""
    transition, stationary, noise, windows = chain
    clean = np.log(transition[windows[:, :-1], windows[:, 1:]])
    given = np.log(stationary[windows[:, 0]]), np.log(noise[windows[:, 0]])
    return clean, np.log(noise[windows[:, 1:]]), given


@pytest.mark.parametrize("share", SHARES)
def test_the_floor_is_the_nll_of_a_bayes_observer_of_the_mixture(chain, share):
    clean, noise, given = logs(chain)
    found = mixture.mixture_nll(clean, noise, share, given)
    assert found.shape == clean.shape
    expected = bayes_nll(chain, share)
    assert found.sum(1) == pytest.approx(expected, abs=1e-9)
    assert found.mean() == pytest.approx(expected.mean() / WINDOW, abs=1e-3)


@pytest.mark.parametrize("share", SHARES)
def test_the_bound_of_the_rise_is_per_window(chain, share):
    """-log(1 - α) whatever the noise, where its first token is predicted, too; where it is given,
    the chance that it leaves to the clean source, whose mean is within the bound."""
    clean, noise, given = logs(chain)
    half = len(clean) // 2
    bound = theory.floor_rise_bound(share)
    whole = [np.column_stack(part) for part in zip(given, (clean, noise), strict=True)]
    rise = mixture.mixture_nll(*whole, share).sum(1) + whole[0].sum(1)
    assert rise[:half].max() <= bound + 1e-9
    assert rise[:half].max() > 0.9 * bound  # and some windows come near
    after = (mixture.mixture_nll(clean, noise, share, given) + clean)[:half].sum(1)
    _, stationary, tokens, windows = chain
    belief = (1 - share) * stationary / ((1 - share) * stationary + share * tokens)
    assert np.all(after <= -np.log(belief)[windows[:half, 0]] + 1e-9)
    assert -stationary @ np.log(belief) <= bound


def test_no_noise_costs_nothing_and_certain_noise_the_whole_bound():
    clean, never = np.log([[0.5, 0.25], [0.1, 0.9]]), np.full((2, 2), -np.inf)
    assert mixture.mixture_nll(clean, clean - 1, 0.0) == pytest.approx(-clean)
    apart = mixture.mixture_nll(clean, never, 0.2)
    assert apart.sum(1) + clean.sum(1) == pytest.approx([-math.log(0.8)] * 2)
    assert apart[:, 1] == pytest.approx(-clean[:, 1])  # all of it is paid with the first token


# ------------------------------------------------------------------------------- Proposition 1

P_CLEAN, P_NOISE = math.exp(-2.9), math.exp(-10.8)  # as GPT-2's, and noise of 50,257 tokens
EPSILONS = P_CLEAN * np.linspace(1e-6, 1 - 1e-6, 20_001)
# (share, k): each case of the proposition, near its ends and far from them.
CASES = {
    1: [(0.01, 1e4), (0.05, 1e3), (0.2, 1e3), (0.5, 1e4), (1 / 3, 1400)],
    3: [(0.05, 140), (0.2, 600), (0.2, 670), (0.3, 900), (0.32, 100), (0.6, 2000), (0.9, 20_000)],
}


def gains(share: float, k: float) -> np.ndarray:
    return mixture.advantage(EPSILONS, share, P_CLEAN, P_NOISE, k)


def test_lemma_1_gives_equation_14():
    """From the losses of both models on the mixture."""
    epsilon, share, k = 0.3 * P_CLEAN, 0.2, 50.0
    before = mixture.mixture_loss(share, -math.log(P_NOISE), -math.log(P_CLEAN))
    after = (-math.log(P_NOISE + epsilon / k), -math.log(P_CLEAN - epsilon))
    found = mixture.advantage(epsilon, share, P_CLEAN, P_NOISE, k)
    assert found == pytest.approx(before - mixture.mixture_loss(share, *after))


def test_lemma_1_is_the_mean_over_windows_of_both_sources(chain):
    clean, noise, given = logs(chain)
    nll = mixture.mixture_nll(clean, noise, 0.5, given)
    half = len(nll) // 2
    losses = nll[half:].mean(), nll[:half].mean()
    assert mixture.mixture_loss(0.5, *losses) == pytest.approx(nll.mean())


@pytest.mark.parametrize(("share", "k"), CASES[1])
def test_case_1_no_model_that_learns_noise_is_better(share, k):
    assert share <= mixture.threshold(P_CLEAN, P_NOISE, k)
    assert mixture.eta(share, P_CLEAN, P_NOISE, k) <= 0
    assert gains(share, k).max() <= 0
    assert mixture.largest_effect(share, P_CLEAN, P_NOISE, k) == 0


@pytest.mark.parametrize(("share", "k"), CASES[3])
def test_cases_2_and_3_the_best_model_gives_up_eta_and_none_more_than_the_bound(share, k):
    assert share > mixture.threshold(P_CLEAN, P_NOISE, k)
    eta, bound = (f(share, P_CLEAN, P_NOISE, k) for f in (mixture.eta, mixture.largest_effect))
    found = gains(share, k)
    assert found[eta > EPSILONS].min() > 0  # case 2
    assert EPSILONS[found.argmax()] == pytest.approx(eta, abs=2e-4 * P_CLEAN)
    beyond = min(bound, P_CLEAN)
    assert (found[beyond <= EPSILONS] < 0).all()  # case 3
    assert bound / eta == pytest.approx(3 if share < 1 / 3 else 2)


@pytest.mark.parametrize(("share", "k"), [(0.4, 500), (0.05, 10), (0.2, 150), (0.9, 100)])
def test_the_proposition_says_nothing_elsewhere(share, k):
    """From 1/3 to 1/2, and where k is small: there the bound does not hold, or need not."""
    assert share > mixture.threshold(P_CLEAN, P_NOISE, k)
    assert math.isnan(mixture.largest_effect(share, P_CLEAN, P_NOISE, k))


def test_k_is_what_was_given_up_for_what_was_gained():
    """From four losses, whatever Eq. 12 and 13 print: their numerator has the wrong sign."""
    epsilon, k = 0.1 * P_CLEAN, 1234.5
    losses = -math.log(P_CLEAN), -math.log(P_CLEAN - epsilon)
    losses += -math.log(P_NOISE), -math.log(P_NOISE + epsilon / k)
    assert mixture.exchange(*losses) == pytest.approx(k)
    clean_before, clean_after, noise_before, noise_after = losses
    printed = math.exp(noise_after - clean_after) * math.expm1(clean_after - clean_before)
    printed /= math.expm1(noise_after - noise_before)
    assert printed == pytest.approx(-k)
    assert mixture.exchange(2.9, 3.0, 10.8, 10.8) == np.inf


def test_figure_9_rises_by_more_than_the_text_says():
    """α = 0.55, k = 1, losses 2.9 and 2.8: "no more than 0.1"; at 2 η it is 0.111, at η 0.054."""
    p_clean, p_noise = math.exp(-2.9), math.exp(-2.8)
    bound = mixture.largest_effect(0.55, p_clean, p_noise, 1)
    eta = mixture.eta(0.55, p_clean, p_noise, 1)
    assert bound == pytest.approx(2 * eta)
    rises = [-math.log1p(-epsilon / p_clean) for epsilon in (eta, bound)]
    assert rises == pytest.approx([0.0541, 0.1113], abs=1e-4)
