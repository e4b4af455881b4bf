"""Encoded images: decoding, views against the libraries', and batches made by other processes."""

import os
import pickle
import random
import shutil
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from encoded_samples import VIEW, encoded_run, packed_photos
from helpers import random_images, small_run
from image_folders import CLASSES, image_folder, image_spec, picture
from noiselab.data import encoded, encoded_batches, image_files, prepared
from noiselab.data.batches import ImageBatches
from noiselab.data.encoded_batches import EncodedBatches, views
from noiselab.errors import NoiselabError
from noiselab.training import distributed
from noiselab.training import loop as training


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return image_folder(tmp_path_factory.mktemp("tree") / "photos")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tree):
    """Prepared in place: 20 training and 8 test images."""
    folder = tmp_path_factory.mktemp("prepared")
    image_files.prepare(image_spec(), tree, 1, folder)
    return folder


@pytest.fixture(scope="module")
def packed(tmp_path_factory, tree):
    return packed_photos(tmp_path_factory.mktemp("packed"), tree)


@pytest.fixture
def broken(packed, tmp_path):
    """A copy of the packed folder to break."""
    return Path(shutil.copytree(packed, tmp_path / "broken"))


# ------------------------------------------------------------------------------- reading


def test_images_are_those_of_the_files_in_both_storages(folder, packed, tree):
    _, in_place, _ = prepared.read(folder)
    _, copies, _ = prepared.read(packed)
    files = sorted((tree / "train").rglob("*.JPEG"))
    assert len(in_place.x) == len(copies.x) == 20
    for i, file in enumerate(files):
        expected = np.asarray(Image.open(file))
        assert np.array_equal(np.asarray(in_place.x[i]), expected)
        assert np.array_equal(np.asarray(copies.x[i]), expected)


def test_reading_starts_late_and_travels_as_paths(packed):
    _, train, _ = prepared.read(packed)
    assert train.x[0].size == (30, 40)
    content = pickle.dumps(train.x)
    assert len(content) < 1000
    assert np.array_equal(np.asarray(pickle.loads(content)[3]), np.asarray(train.x[3]))


def test_a_broken_image_is_named(broken):
    offsets = np.load(broken / "test_offsets.npy")
    content = bytearray((broken / "test.bin").read_bytes())
    content[offsets[3] : offsets[4]] = bytes(offsets[4] - offsets[3])
    (broken / "test.bin").write_bytes(content)
    _, _, test = prepared.read(broken)
    assert test.x[2].size
    message = "^data set photos: test image 3: not an image of a known format; save it as PNG$"
    for workers in (0, 1):
        with pytest.raises(NoiselabError, match=message):
            list(views(test.x, range(8), 2, workers))


def test_a_file_that_is_gone_is_named(tmp_path):
    source = image_folder(tmp_path / "photos")
    image_files.prepare(image_spec(), source, 1, tmp_path / "out")
    _, train, _ = prepared.read(tmp_path / "out")
    file = source / "train" / CLASSES[0] / f"{CLASSES[0]}_0.JPEG"
    file.write_bytes(b"x")
    with pytest.raises(NoiselabError, match=f"photos: train image 0 .*{file.name}"):
        train.x[0]
    file.unlink()
    with pytest.raises(NoiselabError, match=f"cannot read {file}"):
        train.x[0]
    source.rename(tmp_path / "elsewhere")
    with pytest.raises(NoiselabError, match="no longer in"):
        prepared.read(tmp_path / "out")


@pytest.mark.parametrize("name", ["test.bin", "test_offsets.npy", "test_y.npy"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty"])
def test_damaged_folders_are_refused_in_one_line(broken, name, damage):
    content = (broken / name).read_bytes()
    (broken / name).unlink()
    if damage != "missing":
        (broken / name).write_bytes(content[:-9] if damage == "truncated" else b"")
    with pytest.raises(NoiselabError, match=name) as error:
        prepared.read(broken)
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------- views


def through_timm(image, seed, size, randaugment):
    """Crop and RandAugment as timm.data.create_transform puts them together."""
    from timm.data import create_transform

    options = {"interpolation": "bicubic", "hflip": 0.0, "auto_augment": randaugment}
    first, second, _ = create_transform(size, True, separate=True, **options)
    random.seed(seed)
    np.random.seed([seed >> 32, seed & 0xFFFFFFFF])
    image = first(image)
    if randaugment is None:  # timm would change the colours instead
        return np.asarray(image).transpose(2, 0, 1)
    return np.asarray(second(image)).transpose(2, 0, 1)


@pytest.mark.parametrize("randaugment", [None, "rand-m9-n2-mstd0.5", "rand-m7-n3-mstd0.5-inc1"])
def test_training_views_are_timms(randaugment):
    settings = VIEW | {"size": 24, "flip": False, "randaugment": randaugment}
    for i in range(60):
        image, seed = picture(i, (50 + i, 40)), 10**15 * i + i
        ours = encoded.train_view(image, settings, seed)
        assert ours.dtype == np.uint8
        assert ours.shape == (3, 24, 24)
        assert np.array_equal(ours, through_timm(image, seed, 24, randaugment))


def test_a_view_is_a_function_of_image_and_seed_and_leaves_the_global_generators_alone():
    image = picture(0)
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    first = [encoded.train_view(image, VIEW, seed) for seed in range(5)]
    assert (random.random(), np.random.random()) == expected
    again = [encoded.train_view(image, VIEW, seed) for seed in range(5)]
    assert np.array_equal(first, again)
    assert len(np.unique(first, axis=0)) == 5


def test_half_of_the_views_are_mirrored():
    image, settings = picture(0), VIEW | {"randaugment": None}
    straight, mirrored = 0, 0
    for seed in range(400):
        plain = encoded.train_view(image, settings | {"flip": False}, seed)
        view = encoded.train_view(image, settings, seed)
        straight += np.array_equal(view, plain)
        mirrored += np.array_equal(view, plain[:, :, ::-1])
    assert straight + mirrored == 400
    assert 150 < mirrored < 250  # 200 +- 5 standard deviations


def test_crop_scale_is_the_share_of_the_area():
    rows = np.arange(0, 200, dtype=np.uint8)[:, None]  # so that a view shows how much it spans
    image = Image.fromarray(np.broadcast_to(rows, (200, 200)).copy()).convert("RGB")
    settings = VIEW | {"flip": False, "randaugment": None}
    for scale, low, high in (([0.5, 0.5], 0.55, 0.9), ([0.01, 0.02], 0.05, 0.2)):
        for seed in range(50):
            view = encoded.train_view(image, settings | {"crop_scale": scale}, seed)
            assert low < np.ptp(view.astype(int)) / 200 < high  # sqrt(share), times 0.87 to 1.15


def test_a_wrong_randaugment_is_named():
    with pytest.raises(NoiselabError, match="randaugment: timm does not know 'rand-x9'"):
        encoded.train_transforms(VIEW | {"randaugment": "rand-x9"})


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (73, 73), (40, 31), (341, 256), (9, 300)])
@pytest.mark.parametrize("target", [64, 224, 17])
def test_test_views_are_torchvisions(size, target):
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

    resize = Resize(round(target * 256 / 224), InterpolationMode.BICUBIC)
    image = picture(1, size)
    expected = np.asarray(Compose([resize, CenterCrop(target)])(image)).transpose(2, 0, 1)
    assert np.array_equal(encoded.test_view(image, target), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_test_views_come_in_the_order_of_the_rows(packed, workers):
    _, _, test = prepared.read(packed)
    rows = np.array([5, 0, 7, 7, 1])
    batches = list(views(test.x, rows, 2, workers))
    assert [tuple(b.shape) for b in batches] == [(2, 3, 16, 16)] * 2 + [(1, 3, 16, 16)]
    expected = [encoded.test_view(test.x[i], 16) for i in rows]
    assert np.array_equal(torch.cat(batches).numpy(), expected)


# ------------------------------------------------------------------------------- batches


def requests(run):
    """What the training loop asks for."""
    settings = training.Settings(**run["training"])
    shares = training.micro_batches(settings)
    for step in range(settings.steps):
        for first, last in shares:
            yield step * settings.batch_size + first, step * settings.batch_size + last


def assert_equal(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)


def reference(run, train, start, stop):
    """Views one after the other."""
    batches = EncodedBatches(run, train, "cpu", workers=0)
    index = batches.indices(start, stop)
    at = partial(encoded_batches._view_at, batches.views.view.args[0], run["seed"])
    return np.stack([at(train.x[i], p) for i, p in zip(index, range(start, stop), strict=True)])


@pytest.mark.parametrize("randaugment", [None, "rand-m9-n2-mstd0.5"])
def test_any_number_of_processes_makes_the_same_batches(packed, randaugment):
    run = encoded_run(micro_batch_size=5, randaugment=randaugment)
    _, train, _ = prepared.read(packed)
    alone, helped = (EncodedBatches(run, train, "cpu", workers=n) for n in (0, 2))
    for start, stop in requests(run):
        ours = alone(start, stop)
        assert ours.inputs.shape == (5, 3, 16, 16)
        assert ours.inputs.dtype == torch.uint8
        assert_equal(ours, helped(start, stop))
        assert np.array_equal(ours.inputs.numpy(), reference(run, train, start, stop))


@pytest.mark.parametrize("workers", [0, 1])
def test_how_batches_are_divided_changes_nothing(packed, workers, monkeypatch):
    monkeypatch.setattr(encoded_batches, "PIECE", 3)
    _, train, _ = prepared.read(packed)
    run = encoded_run()
    batches = EncodedBatches(run, train, "cpu", workers)
    whole = batches(0, 60)
    for division in ([0, 60], [0, 7, 8, 31, 60]):
        parts = [batches(a, b) for a, b in pairwise(division)]
        for i in range(3):
            assert torch.equal(torch.cat([part[i] for part in parts]), whole[i])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_restart_in_the_midst_goes_on_alike(packed, workers):
    _, train, _ = prepared.read(packed)
    run = encoded_run()
    batches = EncodedBatches(run, train, "cpu", workers)
    first = [batches(*request) for request in requests(run)]
    after = EncodedBatches(run, train, "cpu", workers)
    for request, expected in list(zip(requests(run), first, strict=True))[7:]:
        assert_equal(after(*request), expected)
    assert_equal(after(20, 30), first[2])  # and back again
    assert_equal(after(30, 40), first[3])


@pytest.mark.parametrize("workers", [0, 1])
def test_two_training_processes_see_what_one_sees(packed, monkeypatch, workers):
    _, train, _ = prepared.read(packed)
    run = encoded_run(batch_size=12, micro_batch_size=3, steps=4)
    alone = EncodedBatches(run, train, "cpu", 0)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    seen = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        batches = EncodedBatches(run, train, "cpu", workers)
        for request in requests(run):
            seen.append(request)
            assert_equal(batches(*request), alone(*request))
    assert sorted(seen) == [(i, i + 3) for i in range(0, 48, 3)]


def test_the_training_loop_never_waits_for_a_new_start(packed, monkeypatch):
    starts = []
    original = EncodedBatches._look_ahead
    monkeypatch.setattr(
        EncodedBatches, "_look_ahead", lambda self, *r: (starts.append(r), original(self, *r))
    )
    _, train, _ = prepared.read(packed)
    run = encoded_run(micro_batch_size=2)
    batches = EncodedBatches(run, train, "cpu", 1)
    for request in list(requests(run))[13:]:
        batches(*request)
    assert starts == [(26, 28)]


@pytest.mark.parametrize("experiment", [{}, {"resample": "fixed"}, {"corruption": "shift_label"}])
def test_labels_and_noise_are_those_of_images_on_the_device(packed, experiment):
    run = small_run(**experiment) | {"classes": 4}
    _, train, _ = prepared.read(packed)
    images = random_images(20, 3, 16, 4)._replace(y=np.array(train.y))
    augment = {"crop": 1, "flip": True}
    ours = EncodedBatches(run | {"augment": VIEW, "size": 16}, train, "cpu", 0)
    theirs = ImageBatches(run | {"augment": augment}, images, "cpu")
    assert np.array_equal(ours.indices(3, 50), theirs.indices(3, 50))
    a, b = ours(3, 50), theirs(3, 50)
    assert torch.equal(a.targets, b.targets)
    assert torch.equal(a.corrupted, b.corrupted)
    assert a.corrupted.any()


def test_loading_leaves_torchs_generator_alone(packed):
    _, train, test = prepared.read(packed)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    EncodedBatches(encoded_run(), train, "cpu", 1)(0, 10)
    list(views(test.x, range(4), 2, 1))
    assert torch.equal(torch.get_rng_state(), before)


def test_processes_follow_from_torchs_threads(packed, monkeypatch):
    _, train, _ = prepared.read(packed)
    monkeypatch.delenv("THREADS", raising=False)
    for threads, workers in ((1, 0), (4, 3)):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert EncodedBatches(encoded_run(), train, "cpu").workers == workers
    monkeypatch.setenv("THREADS", "8")  # of the job, whatever torch computes with
    assert EncodedBatches(encoded_run(), train, "cpu").workers == 7


# ------------------------------------------------------------------------------- real data


@pytest.mark.skipif("NOISELAB_DATA" not in os.environ, reason="set NOISELAB_DATA to a data.root")
def test_real_images_train_in_batches(tmp_path):
    source = Path(os.environ["NOISELAB_DATA"]) / "tiny_imagenet_50"
    sizes = {"classes": 3, "size": 64, "train_size": 1500, "test_size": 150}
    image_files.prepare(image_spec(**sizes), source, 2, tmp_path)
    _, train, test = prepared.read(tmp_path)
    run = encoded_run(batch_size=100, randaugment="rand-m9-n2-mstd0.5", size=64, classes=3)
    batches = EncodedBatches(run, train, "cpu", 2)
    seen = torch.cat([batches(*request).inputs for request in requests(run)]) / 255
    assert seen.shape == (1200, 3, 64, 64)
    # RandAugment and crops change the mean of the pixels little.
    assert seen.mean((0, 2, 3)) == pytest.approx(encoded.MEAN, abs=0.1)
    whole = torch.cat(list(views(test.x, range(150), 64, 2)))
    assert whole.shape == (150, 3, 64, 64)
