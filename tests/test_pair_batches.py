"""Batches of pairs: rows, parts and padding, and which pairs have the teacher's target."""

import itertools

import numpy as np
import pytest
import torch

from noiselab.data import pair_batches, pairs
from noiselab.data.pair_batches import PairBatches, by_length, source_rows, target_rows
from noiselab.data.pairs import BEGIN, END, PAD, Pairs
from noiselab.errors import NoiselabError
from noiselab.families.seq2seq import task as seq2seq
from noiselab.noise.registry import corruption
from seq2seq_samples import COUNT, both, random_pairs, run_of

torch.set_num_threads(1)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_pairs(tmp_path_factory.mktemp("pairs"))


# ------------------------------------------------------------------------------ rows and batches


def test_rows_by_hand(folder):
    text, run = both(folder), run_of(folder)
    source, target = text.source.get(5), text.target.get(5)
    assert source_rows(run, text.source)(np.array([5])).tolist() == [[*source, END]]
    assert target_rows(run, text.target)(np.array([5])).tolist() == [[BEGIN, *target, END]]


def test_long_sequences_are_clipped_to_their_limits_symbols_included(folder):
    text, run = both(folder), run_of(folder)
    source = source_rows(run, text.source)(np.array([0]))[0]
    labels = target_rows(run, text.target)(np.array([0]))[0, 1:]
    assert len(source) == run["source_length"]
    assert len(labels) == run["target_length"]
    assert source[-1] == labels[-1] == END
    assert source[:-1].tolist() == text.source.get(0)[: len(source) - 1].tolist()


def test_released_rows_have_no_symbols(folder):
    text, run = both(folder), run_of(folder, protocol="released")
    every = np.arange(COUNT)
    for rows in (source_rows(run, text.source)(every), target_rows(run, text.target)(every)):
        assert not np.isin(rows, [BEGIN, END]).any()
    assert target_rows(run, text.target)(np.array([5]))[0].tolist() == text.target.get(5).tolist()


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_share_of_the_source_cuts_it_to_that_share_of_the_limit(folder, share):
    run = run_of(folder, source_shares=[share])
    rows = source_rows(run, both(folder).source)
    assert rows.lengths.max() == share * run["source_length"]


def test_each_epoch_has_every_pair_once_but_for_the_rest_that_fills_no_batch(folder):
    batches = PairBatches(run_of(folder), both(folder), CPU)
    per_epoch = COUNT // 8
    epochs = []
    for epoch in range(2):
        seen = np.concatenate([batches.indices(epoch * per_epoch + i) for i in range(per_epoch)])
        assert len(set(seen)) == len(seen) == per_epoch * 8
        epochs.append(seen.tolist())
    assert epochs[0] != epochs[1]


def test_a_batch_is_the_same_whole_or_in_parts(folder):
    batches = PairBatches(run_of(folder), both(folder), CPU)
    whole = batches(16, 24)
    parts = [batches(16, 20), batches(20, 24)]
    assert torch.equal(torch.cat([p.corrupted for p in parts]), whole.corrupted)
    for part, rows in zip(parts, (slice(0, 4), slice(4, 8)), strict=True):
        width = part.targets.shape[1]
        assert torch.equal(part.targets, whole.targets[rows, :width])
        assert (whole.targets[rows, width:] == PAD).all()


def test_the_mean_over_parts_is_the_mean_over_the_tokens_of_the_batch(folder):
    run = run_of(folder)
    batches, model = PairBatches(run, both(folder), CPU), seq2seq.build(run).eval()
    whole, parts = batches(8, 16), [batches(8 + i, 10 + i) for i in (0, 2, 4, 6)]
    losses = [seq2seq.loss(model, part).item() for part in parts]
    assert np.mean(losses) == pytest.approx(seq2seq.loss(model, whole).item(), abs=1e-5)
    # Pair by pair, without any padding:
    expected = []
    for i in batches.indices(1):
        source = torch.tensor([[*both(folder).source.get(i)[:15].tolist(), END]])
        row = torch.from_numpy(batches.target(np.array([i])))
        logits = model(input_ids=source, decoder_input_ids=row[:, :-1]).logits[0]
        expected.append(torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="none"))
    mean = torch.cat(expected).mean().item()
    assert (whole.targets != PAD).sum() == len(torch.cat(expected))
    assert seq2seq.loss(model, whole).item() == pytest.approx(mean, abs=1e-5)


def test_padding_is_small():
    """WMT-like lengths: at most a tenth of the positions is padding, against two thirds."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(3.2, 0.6, 50_000), 1, 256).astype(int)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    text = pairs.Sequences(np.full(offsets[-1], 5, np.uint16), offsets)
    run = run_of("unused", ratio=0) | {"source_length": 256, "target_length": 256}
    run |= {"training": run["training"] | {"batch_size": 64}}
    batches = PairBatches(run, Pairs(text, text), CPU)
    real = positions = 0
    for i in range(50):
        source = batches(64 * i, 64 * (i + 1)).inputs.source
        real, positions = real + (source != PAD).sum().item(), positions + source.numel()
    assert real / positions > 0.9
    assert lengths.mean() / 256 < 0.2


def test_too_few_pairs_for_a_batch_is_one_line(folder):
    run = run_of(folder, ratio=0)
    run |= {"training": run["training"] | {"batch_size": COUNT + 1}}
    with pytest.raises(NoiselabError, match="203 training pairs fill no batch of 204"):
        PairBatches(run, both(folder), CPU)


def test_by_length_holds_its_limits():
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, 60, 500)
    parts = list(by_length(lengths, lengths / 100, 7))
    assert sorted(np.concatenate(parts).tolist()) == list(range(500))
    for part in parts:
        assert len(part) <= 7
        assert len(part) * lengths[part].max() <= 100 or len(part) == 1
    assert len(parts) < 500


# ------------------------------------------------------------------------------ noise


def test_exactly_the_share_is_corrupted_and_nested_across_ratios(folder):
    sets = [
        set(np.flatnonzero(corruption(run_of(folder, ratio)).chosen(COUNT)))
        for ratio in (0, 0.1, 0.3, 0.5, 1.0)
    ]
    rates = [r / (1 + r) for r in (0, 0.1, 0.3, 0.5, 1.0)]
    assert [len(s) for s in sets] == [round(e * COUNT) for e in rates]
    assert all(a < b for a, b in itertools.pairwise(sets))


def test_a_batch_of_empty_targets_has_no_loss(folder):
    """Without symbols a teacher may write nothing: nothing is to be predicted, and no error."""
    run = run_of(folder, protocol="released")
    empty = pair_batches.Rows(both(folder).target, 0, [], [])
    rows = torch.from_numpy(empty(np.arange(4)))
    assert (rows == PAD).all()
    source = torch.from_numpy(source_rows(run, both(folder).source)(np.arange(4)))
    model = seq2seq.build(run)
    nll = seq2seq.token_nll(model, source, rows[:, :-1], rows[:, 1:])
    assert nll.sum() == 0
    nll.sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_released_selection_is_by_index_modulo_100(folder):
    shares = []
    for ratio in (0.1, 0.3, 0.5, 1.0):
        run = run_of(folder, ratio, protocol="released")
        corrupted = corruption(run).chosen(1000)
        expected = [i % 100 < 100 * run["error_rate"] for i in range(1000)]
        assert corrupted.tolist() == expected
        shares.append(100 * corrupted.mean())
    assert shares == pytest.approx([10, 24, 34, 50])


def test_corrupted_pairs_have_the_teachers_target_the_others_their_own(folder):
    run, text = run_of(folder), both(folder)
    written = pairs.read_sequences(folder / "targets")
    targets, corrupted = pair_batches.noisy_targets(run, text.target)
    assert 0 < corrupted.sum() < COUNT
    for i in range(COUNT):
        expected = (written if corrupted[i] else text.target).get(i)
        assert np.array_equal(targets.get(i), expected)


def test_targets_of_another_number_of_pairs_are_refused(folder):
    run = run_of(folder) | {"teacher_targets": str(folder / "validation_target")}
    with pytest.raises(NoiselabError, match="30 targets of the teacher for 203 training pairs"):
        pair_batches.noisy_targets(run, both(folder).target)
