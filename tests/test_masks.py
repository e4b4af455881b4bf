"""Masks: what a run is taught, as a table, against the batches that its training draws."""

import json

import numpy as np
import pyarrow.parquet
import pytest

from helpers import random_images, small_run
from noiselab.data import prepared
from noiselab.data.batches import ImageBatches, TokenBatches
from noiselab.measures import masks

ABOUT = {"kind": "digits", "name": "any", "classes": 3, "channels": 1, "size": 4}


def image_run(folder, **changes):
    """A run on 50 random images of 3 classes, 8 steps of 20."""
    train, test = random_images(50, 1, 4, 3), random_images(6, 1, 4, 3)
    prepared.write(folder, ABOUT | {"train_size": 50, "test_size": 6}, train, test, "random")
    run = small_run() | {"data": str(folder), "corruption": "uniform_label", "error_rate": 0.4}
    training = {**run.training, "batch_size": 20, "steps": 8}
    shape = {"classes": 3, "augment": {"crop": 0, "flip": False}, "training": training}
    return run | shape | {"noise_ratio": 2 / 3, "resample": "fresh"} | changes, train


def read(run, limit, folder):
    """The table of a mask, and what its metadata say."""
    masks.write(run, limit, folder / "mask.parquet")
    table = pyarrow.parquet.read_table(folder / "mask.parquet")
    return table.to_pandas(), json.loads(table.schema.metadata[b"noiselab"])


def test_labels_drawn_at_each_visit_are_those_of_the_batches(tmp_path):
    run, train = image_run(tmp_path)
    mask, about = read(run, 10**6, tmp_path)
    assert about["targets"] == about["covered"] == len(mask) == 160
    batches = ImageBatches(run, train, "cpu")
    parts = [batches(start, start + 20) for start in range(0, 160, 20)]
    assert mask["position"].tolist() == list(range(160))
    assert mask["taught"].tolist() == np.concatenate([p.targets for p in parts]).tolist()
    assert mask["corrupted"].tolist() == np.concatenate([p.corrupted for p in parts]).tolist()
    assert np.array_equal(mask["clean"], train.y[mask["example"]])
    assert np.array_equal(mask["wrong"], mask["clean"] != mask["taught"])
    assert np.array_equal(mask["item"], mask["example"].astype(str))
    assert about["run_id"] == run.run_id


def test_a_limit_covers_the_first_targets(tmp_path):
    run, _ = image_run(tmp_path)
    whole, _ = read(run, 10**6, tmp_path)
    part, about = read(run, 33, tmp_path)
    assert part.equals(whole[:33])
    assert (about["targets"], about["covered"]) == (160, 33)
    assert "more" in about


def test_labels_drawn_once_are_covered_whole(tmp_path):
    run, train = image_run(tmp_path, resample="fixed")
    mask, about = read(run, 3, tmp_path)
    assert about["targets"] == about["covered"] == len(mask) == 50
    assert "position" not in mask
    batch = ImageBatches(run, train, "cpu")(0, 160)
    taught = dict(zip(mask["example"], mask["taught"], strict=True))
    order = ImageBatches(run, train, "cpu").indices(0, 160)
    assert batch.targets.tolist() == [taught[i] for i in order]


@pytest.mark.parametrize("resample", ["fixed", "fresh"])
def test_tokens_are_those_of_the_batches(tmp_path, monkeypatch, resample):
    tokens = np.random.default_rng(0).integers(0, 50, 400).astype(np.uint16)
    monkeypatch.setattr(masks.text, "read", lambda folder: ({}, tokens, tokens))
    monkeypatch.setattr(masks, "PIECE", 32)  # several pieces
    run = small_run() | {"corruption": "uniform_token", "vocabulary": 50, "error_rate": 0.3}
    training = {**run.training, "batch_size": 4, "steps": 5}
    run = run | {"model": {"context": 8}, "training": training, "resample": resample}
    mask, about = read(run, 10**6, tmp_path)
    batches = TokenBatches(run, tokens, "cpu")
    batch, places = batches(0, 20), batches.places(0, 20)
    place = places[:, None] + 1 + np.arange(8)
    corrupted = batch.corrupted.numpy()
    drawn = list(zip(place[corrupted], batch.targets.numpy()[corrupted], strict=True))
    if resample == "fresh":
        assert about["targets"] == 160
        assert list(zip(mask["example"], mask["taught"], strict=True)) == drawn
        assert mask["position"].tolist() == np.flatnonzero(corrupted).tolist()
    else:
        assert about["targets"] == 399
        assert set(drawn) <= set(zip(mask["example"], mask["taught"], strict=True))
        assert 0.2 < len(mask) / 399 < 0.4
    assert np.array_equal(mask["clean"], tokens[mask["example"]])
    assert np.array_equal(mask["wrong"], mask["clean"] != mask["taught"])
