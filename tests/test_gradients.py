"""Gradients of the token embedding, against torch.func on a GPT-2 small enough to hold them."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from helpers import example_run
from noiselab.data.batches import TokenBatches
from noiselab.measures import gradients

VOCABULARY, PADDED, LENGTH = 97, 104, 12


@pytest.fixture(scope="module")
def gpt2():
    """Two layers in double precision; large weights, so that no term is small."""
    return _gpt2(PADDED).double()


def _gpt2(vocabulary: int):
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": LENGTH}
    sizes |= {"vocab_size": vocabulary, "bos_token_id": None, "eos_token_id": None}
    return GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=0.3))


def _batch(protocol: str, examples: int = 4, error_rate: float = 0.4, seed: int = 0):
    """Random tokens with many repetitions: below 5 in the first half, anything in the second."""
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(VOCABULARY, (examples, LENGTH + 1), generator=rng)
    tokens[:, : LENGTH // 2] %= 5
    tokens[0, -3:] = VOCABULARY - 1  # the last of the rows that occur, as input and as target
    shape = (examples, LENGTH) if protocol == "tokens" else (examples,)
    corrupted = torch.rand(shape, generator=rng) < error_rate
    return tokens[:, :-1], tokens[:, 1:], corrupted


def _gradients(model, inputs, targets, weights) -> torch.Tensor:
    """Gradients of the units' losses, [U, V x d], by automatic differentiation."""
    model = copy.deepcopy(model).eval().requires_grad_(False)
    model.set_attn_implementation("eager")  # the fused one has no rule for vmap
    embedding = model.transformer.wte.weight

    def loss(weight, x, y, w):
        replaced = {"transformer.wte.weight": weight}  # and with it the tied head
        logits = functional_call(model, replaced, (x[None],), {"use_cache": False}).logits[0]
        return (w * cross_entropy(logits, y, reduction="none")).sum()

    per_unit = vmap(grad(loss), in_dims=(None, 0, 0, 0))
    return per_unit(embedding, inputs, targets, weights.to(embedding)).flatten(1)


def _assert_same(gram: torch.Tensor, expected: torch.Tensor, tolerance: float):
    """Equal up to a share of the product of the two gradients' lengths."""
    assert gram.dtype == torch.float64
    length = expected.diagonal().sqrt()
    assert ((gram - expected).abs() / length / length[:, None]).max() < tolerance


@pytest.mark.parametrize("protocol", ["tokens", "sequences"])
def test_gram_matrix_equals_that_of_per_example_gradients(gpt2, protocol):
    *units, _ = gradients.units_of_batch(*_batch(protocol), protocol)
    expected = _gradients(gpt2, *units)
    _assert_same(gradients.embedding_gram(gpt2, *units), expected @ expected.T, 1e-12)


def test_any_weights_are_allowed(gpt2):
    inputs, targets, _ = _batch("tokens")
    weights = torch.rand(inputs.shape, dtype=torch.float64)
    expected = _gradients(gpt2, inputs, targets, weights)
    gram = gradients.embedding_gram(gpt2, inputs, targets, weights)
    _assert_same(gram, expected @ expected.T, 1e-12)


def test_single_precision_is_enough(gpt2):
    *units, _ = gradients.units_of_batch(*_batch("tokens"), "tokens")
    expected = gradients.embedding_gram(gpt2, *units)
    _assert_same(gradients.embedding_gram(_gpt2(PADDED), *units), expected, 1e-5)


@pytest.mark.parametrize(("rows", "units"), [(1, 1), (7, 3), (PADDED, 8), (10 * PADDED, 100)])
def test_sizes_of_chunks_do_not_matter(gpt2, rows, units):
    *batch, _ = gradients.units_of_batch(*_batch("tokens"), "tokens")
    expected = gradients.embedding_gram(gpt2, *batch, rows=32, units=2)
    _assert_same(gradients.embedding_gram(gpt2, *batch, rows=rows, units=units), expected, 1e-12)


def test_the_two_units_of_an_example_sum_to_its_gradient(gpt2):
    batch = _batch("tokens")
    *halves, clean = gradients.units_of_batch(*batch, "tokens")
    assert clean.tolist() == 4 * [True] + 4 * [False]
    *whole, _ = gradients.units_of_batch(*batch[:2], torch.zeros(4, dtype=bool), "sequences")
    both = [torch.cat(pair) for pair in zip(halves, whole, strict=True)]
    k = gradients.embedding_gram(gpt2, *both)
    sums = torch.cat([torch.eye(4), torch.eye(4), -torch.eye(4)]).double()  # 0 if they do
    error = (sums.T @ k @ sums).diagonal()
    assert error.abs().max() < 1e-10 * k.diagonal().min()


def test_no_tensor_is_as_large_as_one_gradient():
    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            output = function(*args, **(kwargs or {}))
            for tensor in output if isinstance(output, (tuple, list)) else [output]:
                if isinstance(tensor, torch.Tensor):
                    self.numel = max(self.numel, tensor.numel())
            return output

    model = _gpt2(1000)
    *units, _ = gradients.units_of_batch(*_batch("tokens"), "tokens")
    with Largest() as largest:
        gradients.embedding_gram(model, *units, rows=1)
    assert 0 < largest.numel < 1000 * 16 / 4


def test_the_model_is_left_as_it_was():
    model = _gpt2(PADDED).train()
    model.transformer.wpe.weight.requires_grad_(False)
    model.transformer.h[0].eval()
    state = [p.requires_grad for p in model.parameters()], [m.training for m in model.modules()]
    *units, _ = gradients.units_of_batch(*_batch("tokens"), "tokens")
    first, second = (gradients.embedding_gram(model, *units) for _ in range(2))
    assert torch.equal(first, second)  # no dropout
    after = [p.requires_grad for p in model.parameters()], [m.training for m in model.modules()]
    assert after == state
    assert all(p.grad is None for p in model.parameters())


def test_units_without_positions_are_dropped():
    inputs, targets, corrupted = _batch("tokens")
    corrupted[0], corrupted[2] = True, False
    x, y, weights, clean = gradients.units_of_batch(inputs, targets, corrupted, "tokens")
    assert clean.tolist() == [True, True, True, False, False, False]
    examples = [1, 2, 3, 0, 1, 3]
    assert torch.equal(x, inputs[examples])
    assert torch.equal(y, targets[examples])
    expected = torch.where(clean[:, None], ~corrupted[examples], corrupted[examples]) / LENGTH
    assert torch.equal(weights, expected)


def test_sequences_are_corrupted_as_a_whole():
    inputs, targets, corrupted = _batch("sequences")
    rows = corrupted[:, None].expand(-1, LENGTH)
    for marks in (corrupted, rows):
        _, _, weights, clean = gradients.units_of_batch(inputs, targets, marks, "sequences")
        assert torch.equal(clean, ~corrupted)
        assert (weights == 1 / LENGTH).all()
    with pytest.raises(ValueError, match="as a whole"):
        gradients.units_of_batch(*_batch("tokens"), "sequences")
    with pytest.raises(ValueError, match="neither"):
        gradients.units_of_batch(inputs, targets, corrupted, "words")


def test_coherence_equals_brute_force():
    rng = np.random.default_rng(0)
    g, clean = rng.normal(0.3, 1, (7, 50)), np.array([1, 0, 1, 1, 0, 0, 1], dtype=bool)
    result = gradients.coherence(torch.from_numpy(g @ g.T), torch.from_numpy(clean))

    def cosines(pairs):
        return [g[i] @ g[j] / np.linalg.norm(g[i]) / np.linalg.norm(g[j]) for i, j in pairs]

    same = [(i, j) for i in range(7) for j in range(i + 1, 7) if clean[i] == clean[j]]
    mixed = [(i, j) for i in range(7) for j in range(i + 1, 7) if clean[i] != clean[j]]
    expected = {
        "cosine_clean_clean": cosines([p for p in same if clean[p[0]]]),
        "cosine_corrupt_corrupt": cosines([p for p in same if not clean[p[0]]]),
        "cosine_clean_corrupt": cosines(mixed),
        "norm_clean": np.linalg.norm(g[clean].sum(0)),
        "norm_corrupt": np.linalg.norm(g[~clean].sum(0)),
    }
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        assert result[name] == pytest.approx(np.array(value)), name


def test_measure_gathers_all_batches(gpt2):
    batches = [_batch("tokens", seed=seed) for seed in range(3)]
    batches.append(_batch("tokens", error_rate=0.0))  # has no corrupt unit
    row = gradients.measure(gpt2, batches, "tokens")

    cosines, signal, noise = [], [], []
    for batch in batches:
        *units, clean = gradients.units_of_batch(*batch, "tokens")
        g = _gradients(gpt2, *units).numpy()
        directions = g / np.linalg.norm(g, axis=1, keepdims=True)
        cosines.extend((directions[clean] @ directions[~clean].T).flat)
        signal.append(np.linalg.norm(g[clean].sum(0)))
        noise.append(np.linalg.norm(g[~clean].sum(0)))
    noise.pop()
    expected = {
        "batches": 4,
        "batches_without_clean": 0,
        "batches_without_corrupt": 1,
        "pairs_clean_clean": 4 * 6,
        "pairs_corrupt_corrupt": 3 * 6,
        "pairs_clean_corrupt": 3 * 16,
        "cosine_clean_corrupt_mean": np.mean(cosines),
        "cosine_clean_corrupt_min": min(cosines),
        "cosine_clean_corrupt_max": max(cosines),
        "norm_clean": np.mean(signal),
        "norm_clean_se": scipy_stats.sem(signal),
        "norm_corrupt": np.mean(noise),
        "norm_corrupt_se": scipy_stats.sem(noise),
        "snr": np.mean(signal) / np.mean(noise),
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    for pair in gradients.PAIRS:
        assert -1 <= row[f"cosine_{pair}_min"] <= row[f"cosine_{pair}_mean"]
        assert row[f"cosine_{pair}_mean"] <= row[f"cosine_{pair}_max"] <= 1


def test_what_was_not_there_is_empty(gpt2):
    row = gradients.measure(gpt2, [_batch("sequences", error_rate=0.0)], "sequences")
    assert row["norm_clean"] > 0
    assert row["pairs_corrupt_corrupt"] == row["pairs_clean_corrupt"] == 0
    for name in ("norm_corrupt", "norm_clean_se", "snr", "cosine_clean_corrupt_mean"):
        assert row[name] is None


# --------------------------------------------------------------------------- Figure 4


def _vectors(clean: np.ndarray, dimensions: int = 200, seed: int = 0) -> np.ndarray:
    """Clean vectors share a direction, corrupt ones do not; all have lengths of their own."""
    rng = np.random.default_rng(seed)
    shared = 1.5 * rng.normal(size=dimensions) / np.sqrt(dimensions)
    own = rng.normal(size=(len(clean), dimensions)) / np.sqrt(dimensions)
    return (clean[:, None] * shared + own) * rng.uniform(0.5, 2, (len(clean), 1))


def _units(vectors: np.ndarray, clean: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(vectors @ vectors.T), torch.from_numpy(clean)


CLEAN = np.arange(30) % 3 > 0


def test_first_axis_is_the_direction_of_the_clean_sum():
    g = _vectors(CLEAN)
    coordinates, _ = gradients.projection(*_units(g, CLEAN))
    total = g[CLEAN].sum(0)
    assert coordinates[:, 0] == pytest.approx(g @ total / np.linalg.norm(total), abs=1e-12)
    assert coordinates[CLEAN, 0].mean() > 3 * abs(coordinates[~CLEAN, 0]).mean()


def test_second_axis_is_the_longest_of_what_is_left():
    g = _vectors(CLEAN)
    coordinates, shares = gradients.projection(*_units(g, CLEAN))
    first = g[CLEAN].sum(0) / np.linalg.norm(g[CLEAN].sum(0))
    rest = g - np.outer(g @ first, first)
    _, length, directions = np.linalg.svd(rest, full_matrices=False)
    expected = rest @ directions[0]
    expected *= np.sign(expected[abs(expected).argmax()])
    assert coordinates[:, 1] == pytest.approx(expected, abs=1e-9)
    squares = (g**2).sum()
    assert shares == pytest.approx([((g @ first) ** 2).sum() / squares, length[0] ** 2 / squares])


def test_a_plane_is_shown_whole():
    """Vectors of two dimensions: the coordinates have their inner products."""
    rng = np.random.default_rng(1)
    g = rng.normal(size=(12, 2)) @ np.linalg.qr(rng.normal(size=(50, 2)))[0].T
    coordinates, shares = gradients.projection(*_units(g, CLEAN[:12]))
    assert coordinates @ coordinates.T == pytest.approx(g @ g.T, abs=1e-10)
    assert shares.sum() == pytest.approx(1)
    assert coordinates[abs(coordinates[:, 1]).argmax(), 1] > 0


def test_known_geometry():
    """Clean along one axis, corrupt along another, and one away from both."""
    g = np.array([[2, 0, 0], [1, 0, 0], [0, 3, 0], [0, -1, 0], [0, 0, 1]], dtype=float)
    clean = np.array([True, True, False, False, False])
    coordinates, shares = gradients.projection(*_units(g, clean))
    assert coordinates == pytest.approx(g[:, :2], abs=1e-12)
    assert shares == pytest.approx([5 / 16, 10 / 16])


def test_there_is_no_axis_without_clean_gradients():
    with pytest.raises(ValueError, match="no clean gradient"):
        gradients.projection(torch.eye(3), torch.zeros(3, dtype=torch.bool))


def test_growth_equals_brute_force():
    cleans = [CLEAN, CLEAN[:20], ~CLEAN]
    vectors = [_vectors(clean, seed=seed) for seed, clean in enumerate(cleans)]
    rows = gradients.growth(list(map(_units, vectors, cleans)))
    numbers = {"clean": [20, 13, 10], "corrupt": [10, 7, 20]}
    assert [row["count"] for row in rows] == [1, 2, 4, 8]  # 16 corrupt ones in one batch only
    for row in rows:
        m = row["count"]
        means = {}
        for kind in ("clean", "corrupt"):
            norms, lengths, cosines = [], [], []
            for g, clean, number in zip(vectors, cleans, numbers[kind], strict=True):
                own = [v for v, c in zip(g, clean, strict=True) if c == (kind == "clean")]
                assert len(own) == number
                for first in range(0, number - m + 1, m):
                    norms.append(np.linalg.norm(sum(own[first : first + m])))
                length = [np.linalg.norm(v) for v in own]
                lengths += length
                for i in range(number):
                    for j in range(i):
                        cosines.append(own[i] @ own[j] / length[i] / length[j])
            assert row[f"norm_{kind}"] == pytest.approx(np.mean(norms))
            assert row[f"norm_{kind}_se"] == pytest.approx(scipy_stats.sem(norms))
            assert row[f"cosine_{kind}"] == pytest.approx(np.mean(cosines))
            equal = np.sqrt(m + m * (m - 1) * np.mean(cosines)) * np.mean(lengths)
            assert row[f"predicted_{kind}"] == pytest.approx(equal)
            means[kind] = np.mean(norms)
        assert row["snr"] == pytest.approx(means["clean"] / means["corrupt"])


def test_coherent_gradients_grow_linearly_and_orthogonal_ones_by_the_root():
    clean = np.arange(64) < 32
    g = np.concatenate([np.ones((32, 33)) * np.eye(1, 33), np.eye(33)[1:]])
    rows = gradients.growth([_units(g, clean)] * 2)
    assert [row["norm_clean"] for row in rows] == pytest.approx([1, 2, 4, 8, 16, 32])
    assert [row["norm_corrupt"] for row in rows] == pytest.approx(np.sqrt([1, 2, 4, 8, 16, 32]))
    for row in rows:
        assert row["predicted_clean"] == pytest.approx(row["norm_clean"])
        assert row["predicted_corrupt"] == pytest.approx(row["norm_corrupt"])


def test_growth_needs_two_sums_of_each_kind():
    clean = np.array([True, True, True, False])
    assert gradients.growth([_units(_vectors(clean), clean)]) == []


RUN = example_run(seed=3, resample="fresh")
RUN |= {"vocabulary": VOCABULARY, "model": {"context": LENGTH}}


@pytest.mark.parametrize("protocol", ["tokens", "sequences"])
def test_noisy_batches_are_the_clean_ones_but_where_they_say(protocol):
    text = np.random.default_rng(0).integers(VOCABULARY, size=5000).astype(np.uint16)
    make = partial(gradients.noisy_batches, RUN, text, protocol, device=torch.device("cpu"))
    noisy = list(make(error_rate=0.25, size=8, count=200))
    clean = TokenBatches(RUN, text, torch.device("cpu"))
    changed, marked = [], []
    for i, (inputs, targets, corrupted) in enumerate(noisy):
        expected = clean(8 * i, 8 * (i + 1))
        assert torch.equal(inputs, expected.inputs)
        marks = corrupted.reshape(8, -1).expand(8, LENGTH)
        assert torch.equal(targets[~marks], expected.targets[~marks])
        changed.append((targets != expected.targets)[marks])
        marked.append(corrupted)
    assert marked[0].shape == ((8, LENGTH) if protocol == "tokens" else (8,))
    marked, changed = torch.cat(marked).double(), torch.cat(changed).double()
    assert marked.mean() == pytest.approx(0.25, abs=4 * 0.43 / np.sqrt(marked.numel()))
    assert changed.mean() > 0.95  # a drawn token is the true one by chance only
    # Batches of another size cut the same stream.
    whole = list(make(error_rate=0.25, size=16, count=2))
    assert torch.equal(whole[1][1][:8], noisy[2][1])
