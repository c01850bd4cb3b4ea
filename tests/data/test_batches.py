"""Batches: content, order, determinism, errors, and threads that end."""

import threading
import time

import numpy as np
import pytest
import torch

from lib.data.augmentation import augmenter
from lib.data.batches import Batches, fixed_length
from lib.data.preprocess import finish


def arrays(n=10, side=16):
    """Image i is filled with grey 10 i; its masks are the left half and the pixel (0, i)."""
    images = np.stack([np.full((side, side), 10 * i, np.uint8) for i in range(n)])
    masks = np.zeros((n, 2, side, side), bool)
    masks[:, 0, :, : side // 2] = True
    masks[range(n), 1, 0, range(n)] = True
    return images, masks


def plain(image):
    return image[None] / np.float32(255)


def alive():
    return [thread for thread in threading.enumerate() if thread.name == "batches"]


def collect(batches, epoch):
    return [[part.numpy() for part in batch] for batch in batches(epoch)]


def test_batches_in_order_with_all_that_belongs_together():
    images, masks = arrays()
    batches = Batches(images, masks, 4, finish=plain)
    found = list(batches(0))
    assert len(found) == len(batches) == 3
    x, y, index = found[0]
    assert x.dtype == y.dtype == torch.float32 and index.dtype == torch.int64
    assert x.shape == (4, 1, 16, 16) and y.shape == (4, 2, 16, 16)
    assert torch.cat([batch[2] for batch in found]).tolist() == list(range(10))
    for x, y, index in found:
        np.testing.assert_allclose(x[:, 0, 0, 0], index * 10 / 255)
        np.testing.assert_array_equal(y, masks[index])
    assert found[-1][0].shape[0] == 2


def test_drop_last_and_length():
    images, masks = arrays()
    assert len(Batches(images, masks, 4, drop_last=True)) == 2
    assert len(list(Batches(images, masks, 4, finish=plain, drop_last=True)(0))) == 2
    assert len(Batches(images, masks, 5, drop_last=True)) == len(Batches(images, masks, 5)) == 2
    assert list(Batches(images[:0], masks[:0], 4)(0)) == []


def test_shuffled_epochs_hold_every_image_once_and_differ():
    images, masks = arrays()
    batches = Batches(images, masks, 3, finish=plain, seed=1, shuffle=True)
    orders = [[int(i) for _, _, index in batches(epoch) for i in index] for epoch in range(4)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len(set(map(tuple, orders))) == 4
    for x, y, index in batches(0):
        np.testing.assert_allclose(x[:, 0, 0, 0], index * 10 / 255)
        assert torch.equal(y[:, 1, 0].argmax(1), index)


def test_epoch_depends_on_seed_and_epoch_only():
    images = np.random.default_rng(0).integers(0, 255, (6, 32, 32), dtype=np.uint8)
    masks = images[:, None] > 128

    def batches(seed):
        return Batches(images, masks, 2, augmenter(seed), finish, seed, shuffle=True)

    resumed, continued = batches(5), batches(5)
    for epoch in range(3):
        last = collect(continued, epoch)
    for a, b in zip(collect(resumed, 2), last, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)
    assert any((a[0] != b[0]).any() for a, b in zip(collect(batches(6), 2), last, strict=True))


def test_augmentation_does_not_depend_on_the_batch_size():
    images = np.random.default_rng(0).integers(0, 255, (6, 32, 32), dtype=np.uint8)
    masks = images[:, None] > 128
    one, three = (
        np.concatenate([x for x, _, _ in collect(Batches(images, masks, n, augmenter(0)), 1)])
        for n in (1, 3)
    )
    np.testing.assert_array_equal(one, three)


def test_levels_as_second_channel():
    images = np.random.default_rng(0).integers(0, 255, (2, 32, 32), dtype=np.uint8)
    batches = Batches(images, images[:, None] > 9, 2, finish=lambda x: finish(x, levels=True))
    assert next(iter(batches(0)))[0].shape == (2, 2, 32, 32)


def test_error_in_the_background_reaches_the_consumer():
    images, masks = arrays()

    def broken(image):
        if image[0, 0] == 60:
            raise ValueError("image 6 cannot be finished")
        return plain(image)

    seen = []
    with pytest.raises(ValueError, match="image 6 cannot be finished"):
        for batch in Batches(images, masks, 2, finish=broken)(0):
            seen.append(batch)
    assert len(seen) == 3 and alive() == []


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_abandoned_epoch_leaves_no_thread(taken):
    images, masks = arrays()
    epoch = Batches(images, masks, 1, finish=plain)(0)
    for _ in range(taken):
        next(epoch)
    assert len(alive()) == (taken > 0)
    epoch.close()
    assert alive() == []


def test_consumer_that_fails_leaves_no_thread():
    images, masks = arrays()
    with pytest.raises(RuntimeError, match="consumer"):
        for _ in Batches(images, masks, 1, finish=plain)(0):
            raise RuntimeError("consumer")
    deadline = time.monotonic() + 5
    while alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert alive() == []


def test_at_most_two_batches_wait_ahead():
    images, masks = arrays()
    made = []

    def counted(image):
        made.append(int(image[0, 0]))
        return plain(image)

    epoch = Batches(images, masks, 1, finish=counted)(0)
    next(epoch)
    time.sleep(0.3)
    # one consumed, two waiting, one in the hands of the thread
    assert made == [0, 10, 20, 30]
    epoch.close()


# --- epochs of a fixed length


def rows_of(epoch):
    return [index.tolist() for _, _, index in epoch]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_epochs_of_fixed_length_cut_the_passes_one_after_the_other(count):
    """Three batches a pass: an epoch ends within one, and the next goes on from there."""
    batches = Batches(*arrays(), 4, finish=plain, seed=1, shuffle=True)
    passes = [rows for number in range(12) for rows in rows_of(batches(number))]
    of_epoch = fixed_length(batches, count)
    for epoch in (4, 0, 1, 3, 2):  # each is a function of its number alone
        assert rows_of(of_epoch(epoch)) == passes[epoch * count :][:count]


def test_a_second_pass_within_an_epoch_is_augmented_anew():
    images = np.random.default_rng(0).integers(0, 255, (2, 32, 32), dtype=np.uint8)
    batches = Batches(images, images[:, None] > 128, 2, augmenter(0), plain)
    found = [x.numpy() for x, *_ in fixed_length(batches, 2)(3)]
    for x, number in zip(found, (6, 7), strict=True):
        np.testing.assert_array_equal(x, next(iter(batches(number)))[0])
    assert (found[0] != found[1]).any()


def test_no_full_batch_is_an_empty_epoch():
    batches = Batches(*arrays(3), 4, finish=plain, drop_last=True)
    assert list(fixed_length(batches, 5)(0)) == []


@pytest.mark.parametrize("taken", [1, 2, 4, None])
def test_epochs_of_fixed_length_leave_no_thread(taken):
    epoch = fixed_length(Batches(*arrays(), 4, finish=plain), 5)(0)
    for _ in range(5 if taken is None else taken):
        next(epoch)
    assert len(alive()) <= 1
    epoch.close()
    del epoch
    assert alive() == []
