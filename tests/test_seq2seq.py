"""The sequence-to-sequence family: its model, scores and decoding against brute force."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from noiselab.data import pairs
from noiselab.data.pair_batches import PairBatches, source_rows, target_rows
from noiselab.data.pairs import BEGIN, END, PAD
from noiselab.families.seq2seq import score, teacher
from noiselab.families.seq2seq import task as seq2seq
from noiselab.files import write_json
from noiselab.planning import config, runs
from noiselab.training import loop as training
from seq2seq_samples import COUNT, both, random_pairs, run_of

torch.set_num_threads(1)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_pairs(tmp_path_factory.mktemp("pairs"))


# ------------------------------------------------------------------------------ model and scores


@pytest.fixture(scope="module")
def model(folder):
    return seq2seq.build(run_of(folder)).eval()


def test_the_model_is_the_papers():
    settings = config.load(tier="paper")
    plan = runs.plan(settings, "r")
    with torch.device("meta"):
        model = seq2seq.build(plan.runs["seq2seq/wmt14/clean-s0"])
    encoder, decoder = model.model.encoder, model.model.decoder
    assert (len(encoder.layers), len(decoder.layers)) == (6, 6)
    assert encoder.layers[0].fc1.out_features == 2048
    assert encoder.layers[0].self_attn.num_heads == 8
    embeddings = 3 * 32000 * 512
    attention, feedforward, norm = 4 * 512 * 513, 2 * 2048 * 512 + 2048 + 512, 2 * 512
    layers = 6 * (attention + feedforward + 2 * norm)
    layers += 6 * (2 * attention + feedforward + 3 * norm)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == embeddings + layers


def test_positions_are_sinusoidal(model):
    table = model.model.encoder.embed_positions.weight
    width = table.shape[1]
    angles = np.arange(len(table))[:, None] / 10000 ** (np.arange(0, width, 2) / width)
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    assert np.allclose(table.numpy(), expected, atol=1e-6)
    assert not table.requires_grad


NORMS = ({}, {"norm": "pre"})


def normed(folder, model):
    return seq2seq.build(run_of(folder, training={"model": model})).eval()


@pytest.mark.parametrize("setting", NORMS)
def test_layers_are_normalised_where_it_is_said(folder, setting):
    """The encoder, by hand: one sentence, gains and offsets of their own for each norm."""
    encoder = normed(folder, setting).model.encoder
    torch.manual_seed(0)
    norms = [m for m in encoder.modules() if isinstance(m, torch.nn.LayerNorm)]
    with torch.no_grad():
        for values in (p for norm in norms for p in norm.parameters()):
            values.add_(0.3 * torch.randn_like(values))

    def attention(layer, x):
        part = layer.self_attn
        q, k, v = (
            f(x).view(len(x), part.num_heads, -1).transpose(0, 1)
            for f in (part.q_proj, part.k_proj, part.v_proj)
        )
        weights = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
        return part.out_proj((weights @ v).transpose(0, 1).flatten(1))

    tokens = torch.tensor([5, 6, 7])
    x = encoder.embed_tokens.weight[tokens]
    x = x * x.shape[-1] ** 0.5 + encoder.embed_positions.weight[:3]
    for layer in encoder.layers:
        first, second = layer.self_attn_layer_norm, layer.final_layer_norm
        if setting:
            x = x + attention(layer, first(x))
            x = x + layer.fc2(layer.fc1(second(x)).relu())
        else:
            x = first(x + attention(layer, x))
            x = second(x + layer.fc2(layer.fc1(x).relu()))
    expected = encoder.layer_norm(x) if setting else x
    assert torch.allclose(encoder(tokens[None]).last_hidden_state[0], expected, atol=1e-5)


@pytest.mark.parametrize("setting", NORMS)
def test_all_weights_have_gradients(folder, setting):
    """Several processes wait for those of each."""
    model = normed(folder, setting)
    batch = PairBatches(run_of(folder), both(folder), CPU)(0, 8)
    seq2seq.loss(model, batch).backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained)


@pytest.mark.parametrize("setting", NORMS)
def test_embeddings_are_separate(folder, setting):
    model = normed(folder, setting)
    tables = [
        model.model.encoder.embed_tokens.weight,
        model.model.decoder.embed_tokens.weight,
        model.lm_head.weight,
    ]
    assert len({t.data_ptr() for t in tables}) == 3


@pytest.mark.parametrize("setting", NORMS)
def test_shared_embeddings_are_one_tensor(folder, setting):
    model = normed(folder, {"shared_embeddings": True} | setting)
    for side in (model.model.encoder, model.model.decoder):
        assert model.lm_head.weight is side.embed_tokens.weight


def test_sequence_nll_equals_pair_by_pair(folder, model):
    run, text = run_of(folder), both(folder, "validation")
    index = np.random.default_rng(0).permutation(30)
    nll, tokens = seq2seq.sequence_nll(model, run, text, index, CPU)
    for i, value, count in zip(index, nll, tokens, strict=True):
        source = torch.tensor([[*text.source.get(i)[:15].tolist(), END]])
        target = [*text.target.get(i)[:11].tolist(), END]
        logits = model(
            input_ids=source, decoder_input_ids=torch.tensor([[BEGIN, *target[:-1]]])
        ).logits[0]
        log_p = logits.double().log_softmax(-1)[range(len(target)), target]
        assert value == pytest.approx(-log_p.sum().item(), abs=1e-4)
        assert value / count == pytest.approx(-log_p.mean().item(), abs=1e-5)
        assert count == len(target)


def uncached_greedy(model, source, limit):
    """The plainest decoder: one sequence, no padding, everything computed anew at each step."""
    tokens = [BEGIN]
    while len(tokens) <= limit and tokens[-1] != END:
        decoder_input = torch.tensor([tokens])
        logits = model(input_ids=torch.tensor([source]), decoder_input_ids=decoder_input).logits
        logits[0, -1, [PAD, BEGIN]] = -torch.inf
        tokens.append(int(logits[0, -1].argmax()))
    return [t for t in tokens[1:] if t != END], tokens[-1] == END


@pytest.mark.parametrize("setting", NORMS)
def test_decoding_equals_the_plain_loop(folder, setting):
    text, run = both(folder), run_of(folder)
    index, model = np.arange(40), normed(folder, setting)
    # Large weights: decided outputs that depend on the source, of which some end early.
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2 and weight.requires_grad:
                weight.normal_(0, 0.5)
        model.final_logits_bias[0, END] += 2
    targets, ended = seq2seq.decode(model, source_rows(run, text.source), index, 9, CPU)
    with torch.no_grad():
        expected = [
            uncached_greedy(model, [*text.source.get(i)[:15].tolist(), END], 9) for i in index
        ]
    assert [t.tolist() for t in targets] == [tokens for tokens, _ in expected]
    assert ended.tolist() == [stopped for _, stopped in expected]
    assert 0 < ended.sum() < 40
    assert len({tuple(t) for t in targets}) > 10


# ------------------------------------------------------------------------------ the teacher


class StoppedError(Exception):
    pass


def decoded(folder, model, shards, text, monkeypatch, stop_after=None):
    run = run_of(folder)
    weights = folder / "weights"
    weights.write_bytes(b"weights")
    monkeypatch.setattr(teacher, "SHARD", 50)
    calls = []

    def counted(*arguments):
        if len(calls) == stop_after:
            raise StoppedError
        calls.append(arguments)
        return seq2seq.decode(*arguments)

    monkeypatch.setattr(teacher, "decode", counted)
    return teacher.decode_all(model, run, weights, text, shards, CPU), len(calls)


def test_a_decoding_that_was_stopped_goes_on_and_gives_the_same(
    folder, model, tmp_path, monkeypatch
):
    text = both(folder)
    arguments = (text, monkeypatch)
    (reference, ended), shards = decoded(folder, model, tmp_path / "whole", *arguments)
    assert shards == 5
    with pytest.raises(StoppedError):
        decoded(folder, model, tmp_path / "stopped", *arguments, stop_after=2)
    first = min((tmp_path / "stopped").rglob("*.npz"))
    first.write_bytes(first.read_bytes()[:100])  # damaged: made again
    (resumed, again), shards = decoded(folder, model, tmp_path / "stopped", *arguments)
    assert shards == 4
    assert all(np.array_equal(a, b) for a, b in zip(reference, resumed, strict=True))
    assert np.array_equal(ended, again)
    plain, _ = seq2seq.decode(
        model, source_rows(run_of(folder), text.source), np.arange(COUNT), 12, CPU
    )
    assert all(np.array_equal(a, b) for a, b in zip(reference, plain, strict=True))


def test_shards_of_other_weights_are_not_used(folder, model, tmp_path, monkeypatch):
    text = both(folder)
    decoded(folder, model, tmp_path, text, monkeypatch)
    other = seq2seq.build(run_of(folder) | {"seed": 7}).eval()
    run = run_of(folder)
    (folder / "other").write_bytes(b"other weights")
    targets, _ = teacher.decode_all(other, run, folder / "other", text, tmp_path, CPU)
    rows = source_rows(run, text.source)
    expected, _ = seq2seq.decode(other, rows, np.arange(COUNT), 12, CPU)
    assert all(np.array_equal(a, b) for a, b in zip(targets, expected, strict=True))


def test_a_trained_run_keeps_what_the_evaluation_needs(folder, model):
    write_json(folder / "dataset.json", {})
    run, text = run_of(folder), both(folder, "validation")
    kept = seq2seq.predictions(model, run, text, np.arange(30), CPU)
    assert len(kept["nll"]) == len(kept["tokens"]) == 30
    assert len(kept["generated_index"]) == 8
    assert kept["generated_offsets"][-1] == len(kept["generated"])
    again = seq2seq.generation_subset(run | {"seed": 9}, 30)
    assert np.array_equal(kept["generated_index"], again)


def test_other_sources_are_a_derangement_that_does_not_depend_on_the_run():
    index = np.array([3, 9, 27, 81, 5, 0])
    others = seq2seq.other_sources(index)
    assert sorted(others) == sorted(index)
    assert (others != index).all()
    assert np.array_equal(others, seq2seq.other_sources(index))


def test_targets_with_other_sources_equal_pair_by_pair(folder, model):
    run, text, index = run_of(folder, ratio=0), both(folder, "validation"), np.arange(12)
    others = seq2seq.other_sources(index)
    nll, _ = seq2seq.sequence_nll(model, run, text, index, CPU, others)
    source, target = source_rows(run, text.source), target_rows(run, text.target)
    for i, other in zip(index, others, strict=True):
        row = torch.from_numpy(target(index[i : i + 1]))
        read = torch.from_numpy(source(np.array([other])))
        alone = seq2seq.token_nll(model, read, row[:, :-1], row[:, 1:]).sum().item()
        assert nll[i] == pytest.approx(alone, rel=1e-4)


def test_only_a_clean_run_is_asked_what_another_source_costs(folder, model):
    write_json(folder / "dataset.json", {})
    text, scored = both(folder, "validation"), np.arange(30)
    noisy = seq2seq.predictions(model, run_of(folder), text, scored, CPU)
    assert score.source_score(noisy) == {}
    clean = seq2seq.predictions(model, run_of(folder, ratio=0), text, scored, CPU)
    cost = score.source_score(clean)["shuffled_source_cost"]
    by_hand = (clean["shuffled_nll"].sum() - clean["nll"].sum()) / clean["tokens"].sum()
    assert cost["value"] == pytest.approx(by_hand)
    assert (cost["unit"], cost["floor"]) == ("nats/token", None)


def test_a_model_that_ignores_its_source_loses_nothing_by_another(folder, model):
    """Encoders whose output is the same for every source."""
    deaf = copy.deepcopy(model)
    for layer in deaf.model.decoder.layers:
        torch.nn.init.zeros_(layer.encoder_attn.out_proj.weight)
        torch.nn.init.zeros_(layer.encoder_attn.out_proj.bias)
    write_json(folder / "dataset.json", {})
    run, text = run_of(folder, ratio=0), both(folder, "validation")
    for network, ignores in ((deaf, True), (model, False)):
        kept = seq2seq.predictions(network, run, text, np.arange(30), CPU)
        cost = score.source_score(kept)["shuffled_source_cost"]["value"]
        assert (abs(cost) < 1e-6) is ignores


REAL = {  # folder of the real data -> what it is at paper size, and the files it has
    "wmt14_en_de": ("wmt14", {"train_files": "train_news*", "validation_files": "newstest2013*"}),
    "cnn_dailymail": ("cnn_dailymail", {}),
}


@pytest.mark.skipif("NOISELAB_DATA" not in os.environ, reason="set NOISELAB_DATA to a data.root")
@pytest.mark.parametrize("name", REAL)
def test_real_pairs_train_a_few_steps_at_paper_settings(tmp_path, name):
    """Vocabulary 32,000, 512 wide, 6 + 6 layers, sources of up to 256 and 2,048 tokens; only the
    batch is small."""
    dataset, files = REAL[name]
    changes = {"batch_size": 2, "steps": 3}
    experiment = {"datasets": [dataset], "noise_ratios": [0], "training": changes}
    settings = config.load({"experiments": {"table9": experiment}}, tier="paper")
    plan = runs.plan(settings, "r")
    spec = plan.datasets[dataset] | files
    pairs.prepare(spec, Path(os.environ["NOISELAB_DATA"]) / name, tmp_path / "data")
    run = plan.runs[plan.experiments["table9"][0]] | {"data": str(tmp_path / "data")}
    task = seq2seq.task(run, CPU)
    model, summary = training.train(
        task.model,
        task.batch,
        task.loss,
        training.Settings(**run["training"]),
        seed=0,
        run_digest="",
        folder=tmp_path,
        device=CPU,
    )
    assert summary["steps"] == 3
    assert summary["diverged_at"] is None
    index = np.arange(4)
    _, _, validation = pairs.read(tmp_path / "data")
    nll, tokens = seq2seq.sequence_nll(model.eval(), run, validation, index, CPU)
    assert nll.sum() / tokens.sum() < np.log(32000) + 2  # near the initial loss, and finite
