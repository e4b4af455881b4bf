"""Experiments on images of any form: what is planned, and that both stores agree."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import small_run
from image_samples import (
    FACTS,
    folder,
    parquet,
    pets_to_change,
    pets_tree,
    resolved,
    write_arrays,
    write_encoded,
)
from noiselab import items
from noiselab.data import prepared
from noiselab.data.batches import ImageBatches
from noiselab.data.encoded import square_view, train_view
from noiselab.data.encoded_batches import EncodedBatches, training_batches
from noiselab.data.images.encoding import encode
from noiselab.data.kinds import KINDS
from noiselab.errors import NoiselabError
from noiselab.families import FAMILIES
from noiselab.families.classifier import task as classifier
from noiselab.families.diffusion import task as diffusion
from noiselab.planning import config, image_sets, project

CPU = torch.device("cpu")
tree = pytest.fixture(scope="module")(pets_tree)
pets = pytest.fixture(pets_to_change)

# ------------------------------------------------------------------------------------- planning


def planned(root: Path, family: str, tmp_path: Path, noise=None, **training):
    """The plan of an experiment on `pets`. noise: changes of the experiment."""
    experiment = {"family": family, "datasets": ["pets"], "corruption": "uniform_label"}
    experiment |= {"resample": "fixed", "budget": "fixed_total", "noise_ratios": [0, 0.5]}
    experiment |= {"seeds": [0], "protocol": "text", "training": training} | (noise or {})
    experiment = {key: value for key, value in experiment.items() if value is not None}
    settings = {"datasets": {"pets": {"kind": "images"}}, "experiments": {"mine": experiment}}
    settings |= {"data": {"root": str(root)}, "only": ["mine"]}
    return project.plan(config.load(settings, tier="smoke"), str(tmp_path / "results"))


def test_a_size_that_was_found_is_checked_against_patch_and_levels(pets, tmp_path):
    with pytest.raises(NoiselabError, match=r"model\.patch: patches of 6 pixels do not divide 10"):
        planned(pets.parent, "vision_transformer", tmp_path)
    with pytest.raises(NoiselabError, match=r"levels needs an image size that divides by 4, not"):
        planned(pets.parent, "diffusion", tmp_path, model={"multipliers": [1, 1, 1]})


@pytest.mark.parametrize("family", ["classifier", "vision_transformer", "diffusion"])
def test_two_words_are_a_data_set_of_each_family_of_images(family, pets, tmp_path):
    training = {"model": {"patch": 5}} if family == "vision_transformer" else {}
    plan = planned(pets.parent, family, tmp_path, **training).graph.plan
    (spec,) = plan.datasets.values()
    assert {key: spec[key] for key in FACTS} == FACTS
    assert (spec["kind"], spec["crop"], spec["flip"]) == ("images", 1, False)
    assert {run.channels for run in plan.runs.values()} == {3}


@pytest.mark.parametrize("store", ["arrays", "files"])
def test_given_labels_are_matched_by_file(store, pets, tmp_path):
    """Where the classes of train/ are the clean ones, and a file has those of an annotator."""
    given = tmp_path / "given.csv"
    rows = [f"cat/{i}.png,{'dog' if i == 2 else 'cat'}" for i in range(3)]
    rows += [f"dog/{i}.png,dog" for i in range(3)]
    given.write_text("file,label\n" + "\n".join(rows) + "\n")
    spec = resolved(pets.parent, store=store)
    (write_arrays if store == "arrays" else write_encoded)(spec, pets, tmp_path / "out")
    noise = {"corruption": "given_labels", "labels": str(given), "noise_ratios": None}
    plan = planned(pets.parent, "classifier", tmp_path, noise).graph.plan
    (run,) = (run for run in plan.runs.values() if run.corruption == "given_labels")
    run |= {"data": str(tmp_path / "out")}
    _, train, _ = prepared.read_run(run)
    batch = training_batches(run, train, CPU)(0, 6)
    by_image = dict(zip((image.tobytes() for image in train.x[:]), range(6), strict=True))
    assert len(by_image) == 6
    assert int(batch.corrupted.sum()) == 1
    assert sorted(batch.targets.tolist()) == [0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("store", "kind"), [("auto", "images"), ("arrays", "images"), ("files", "encoded_images")]
)
def test_stores(store, kind, pets, monkeypatch):
    assert resolved(pets.parent, store=store)["kind"] == kind
    monkeypatch.setattr(image_sets, "MOST_BYTES", 10 * 3 * 100 - 1)  # a byte less than they take
    assert resolved(pets.parent, store=store)["kind"] == (kind if store != "auto" else FILES)


FILES = "encoded_images"


def test_every_family_of_images_takes_every_kind_of_them():
    kinds = {name for name, kind in KINDS.items() if kind.rule.startswith("prepare_image")}
    users = [family for family in FAMILIES.values() if set(family.kinds) & kinds]
    assert len(users) >= 3
    for family in users:
        assert kinds <= set(family.kinds)


# ----------------------------------------------------------------------- arrays and files agree


def both(tmp_path: Path, source: Path, **entry):
    """A data set as arrays and encoded: descriptions and splits."""
    spec = resolved(source.parent, **entry)
    made = {}
    for name, write in (("arrays", write_arrays), ("files", write_encoded)):
        write(spec, source, tmp_path / name)
        run = image_run(tmp_path / name)
        made[name] = prepared.read_run(run)
    return made


def image_run(data: Path, **changes):
    own = {"data": str(data), "augment": {"crop": 2, "flip": True}, "classes": 2}
    return small_run(noise_ratio=0.5) | own | changes


SOURCES = {
    "as they are": ({}, {}),
    "grey": ({"mode": "L"}, {}),
    "brought to a size": ({"size": (40, 30)}, {"size": 10}),
    "enlarged": ({"size": (8, 7)}, {"size": 10}),
}


@pytest.mark.parametrize("case", SOURCES)
@pytest.mark.parametrize("form", ["folders", "parquet"])
def test_arrays_and_files_give_the_same_batches(case, form, tmp_path):
    options, entry = SOURCES[case]
    source = folder(tmp_path / "root" / "pets", **options)
    if form == "parquet":
        source = parquet(tmp_path / "rows" / "pets", source)
    made = both(tmp_path, source, **entry)
    (ours, *_), (theirs, *_) = made["arrays"], made["files"]
    for key in ("mean", "std", "shape", "class_names", "train_size", "test_size"):
        assert ours[key] == theirs[key]
    assert items.read(tmp_path / "arrays") == items.read(tmp_path / "files")
    run = image_run(tmp_path)
    batches = {name: training_batches(run, split[1], CPU) for name, split in made.items()}
    assert isinstance(batches["arrays"], ImageBatches)
    assert isinstance(batches["files"], EncodedBatches)
    for start, stop in ((0, 4), (4, 8), (5, 12), (0, 4)):
        for one, other in zip(*(b(start, stop) for b in batches.values()), strict=True):
            assert torch.equal(one, other)
    for one, other in zip(made["arrays"][1:], made["files"][1:], strict=True):
        assert np.array_equal(one.y, other.y)
        assert np.array_equal(one.x, other.x[:])
        assert one.x.shape == other.x.shape
        assert np.array_equal(one.x[1:3], other.x[1:3])
        assert other.x[:0].shape == (0, *other.x.shape[1:])


def test_predictions_of_arrays_and_files_are_the_same(tmp_path):
    made = both(tmp_path, folder(tmp_path / "root" / "pets"))
    run = image_run(tmp_path, channels=3, model={"name": "resnet", "width": 8, "blocks": [1, 1]})
    for name in made:
        model = classifier.build(run, made[name][0]).eval()
        made[name] = classifier.predict(model, made[name][2].x, CPU)
    assert np.array_equal(made["arrays"], made["files"])


def test_diffusion_trains_on_the_same_inputs(tmp_path):
    made = both(tmp_path, folder(tmp_path / "root" / "pets"))
    run = image_run(tmp_path)
    run |= {"training": {**run.training, "batch_size": 4}}
    inputs = []
    for _, train, test in made.values():
        batch = diffusion.DiffusionBatches(run, train, CPU)(4, 8)
        glance = diffusion.held_out_batch(run, test, 3, CPU)
        inputs.append([*batch.inputs, *batch[1:], *glance.inputs])
    for one, other in zip(*inputs, strict=True):
        assert torch.equal(one, other)


def test_smaller_copies_are_made_once_where_they_are_asked_for(tmp_path):
    source = folder(tmp_path / "root" / "pets", size=(40, 30))
    spec = resolved(source.parent, size=10, resize=20, store="files")
    description, train, _ = write_encoded(spec, source, tmp_path / "out")
    assert (description["storage"], description["resize"]) == ("packed", 20)
    views = np.stack([square_view(train.x[i], 10) for i in range(6)])
    assert {train.x[i].size for i in range(6)} == {(26, 20)}
    assert description["mean"] == pytest.approx((views / 255).mean((0, 2, 3)))


def test_the_number_of_processes_changes_nothing(tree, tmp_path):
    spec = resolved(tree.parent, store="files")
    for threads in (1, 2):
        encode(spec, tree, threads, tmp_path / str(threads))
    for file in (tmp_path / "1").iterdir():
        assert file.read_bytes() == (tmp_path / "2" / file.name).read_bytes()


def test_random_parts_of_grey_images_are_grey(tmp_path):
    """RandAugment, which knows colours only, sees three equal channels."""
    source = folder(tmp_path / "root" / "pets", mode="L")
    _, train, _ = write_encoded(resolved(source.parent), source, tmp_path / "out")
    augment = {"flip": True, "crop_scale": [0.5, 1.0], "randaugment": "rand-m9-n2-mstd0.5"}
    images = EncodedBatches(image_run(tmp_path) | {"augment": augment}, train, CPU)(0, 6).inputs
    assert images.shape == (6, 1, 10, 10)
    assert len(images.unique(dim=0)) == 6
    settings = augment | {"size": 10}
    for seed in range(20):
        view, colour = (
            train_view(train.x[0].convert(mode), settings, seed) for mode in ("L", "RGB")
        )
        grey = Image.fromarray(colour.transpose(1, 2, 0)).convert("L")
        assert np.array_equal(view[0], np.asarray(grey))
