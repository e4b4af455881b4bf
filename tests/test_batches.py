"""Training batches: every example once an epoch, crops and mirror images as defined."""

import numpy as np

from helpers import random_images, small_run
from noiselab import streams
from noiselab.data.batches import ImageBatches


def test_each_epoch_visits_every_example_once():
    batches = ImageBatches(small_run(), random_images(130, 1, 8, 10), "cpu")
    for epoch in range(3):
        index = batches.indices(130 * epoch, 130 * (epoch + 1))
        assert sorted(index) == list(range(130))


def test_batches_run_over_the_end_of_an_epoch():
    batches = ImageBatches(small_run(), random_images(50, 1, 8, 10), "cpu")
    whole = batches.indices(0, 200)
    assert np.array_equal(batches.indices(30, 170), whole[30:170])


def test_augmentation_equals_a_crop_and_flip_image_by_image():
    run = small_run() | {"augment": {"crop": 2, "flip": True}}
    train = random_images(40, 3, 8, 10)
    batches = ImageBatches(run, train, "cpu")
    images = batches(80, 120).inputs.numpy()
    index = batches.indices(80, 120)
    u = streams.uniform(run["seed"], "augment", 240, 360).reshape(-1, 3)
    for image, i, (down, right, mirror) in zip(images, index, u, strict=True):
        padded = np.pad(train.x[i], [(0, 0), (2, 2), (2, 2)])
        row, column = int(down * 5), int(right * 5)
        expected = padded[:, row : row + 8, column : column + 8]
        if mirror < 0.5:
            expected = expected[:, :, ::-1]
        assert np.array_equal(image, expected)


def test_all_offsets_and_both_directions_occur():
    run = small_run() | {"augment": {"crop": 1, "flip": True}}
    train = random_images(1, 1, 4, 10)
    images = ImageBatches(run, train, "cpu")(0, 500).inputs.numpy()
    assert len(np.unique(images, axis=0)) == 3 * 3 * 2


def test_alternating_flips_mirror_each_image_in_every_other_epoch():
    run = small_run() | {"augment": {"crop": 0, "flip": "alternating"}}
    train = random_images(60, 1, 8, 10)
    batches = ImageBatches(run, train, "cpu")
    mirrored = np.zeros((4, 60), bool)
    for epoch in range(4):
        start, stop = 60 * epoch, 60 * (epoch + 1)
        images = batches(start, stop).inputs.numpy()
        for image, i in zip(images, batches.indices(start, stop), strict=True):
            mirrored[epoch, i] = np.array_equal(image, train.x[i][:, :, ::-1])
            assert mirrored[epoch, i] or np.array_equal(image, train.x[i])
    assert np.array_equal(mirrored[0], ~mirrored[1])
    assert np.array_equal(mirrored[:2], mirrored[2:])
    assert 15 < mirrored[0].sum() < 45  # which come first is random
    # A batch over the end of an epoch is its parts.
    whole = batches(30, 90).inputs
    assert np.array_equal(whole[:30], batches(30, 60).inputs)
    assert np.array_equal(whole[30:], batches(60, 90).inputs)
