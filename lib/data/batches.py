"""Batches of tensors from arrays in memory, made in the background while the model computes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from queue import Full, Queue
from threading import Event, Thread

import cv2
import numpy as np
import torch

from lib.data.preprocess import finish as finish_radiograph

Batch = tuple[torch.Tensor, ...]
DEPTH = 2  # batches made ahead


@dataclass(frozen=True)
class Batches:
    """Call with an epoch for an iterator of (x, y, index) that depends only on (seed, epoch).

    images uint8 N x H x W and masks bool N x K x H x W are the prepared ones, ``augment``
    is what ``augmenter`` makes, ``finish`` maps an image uint8 H x W to float32 C x H x W.
    x is float32 B x C x H x W, y float32 B x K x H x W, index int64 B (rows of ``images``).
    ``annotate`` maps augmented masks (bool K x H x W) to a float32 array of the same shape, which
    follows as a fourth tensor. ``sampling``, asked at the start of an epoch, gives the probability
    of each row; the rows of a shuffled epoch are then drawn with replacement.
    An error in the background is raised where the batches are consumed.
    """

    images: np.ndarray
    masks: np.ndarray
    batch_size: int
    augment: Callable[..., dict[str, np.ndarray]] | None = None
    finish: Callable[[np.ndarray], np.ndarray] = finish_radiograph
    seed: int = 42
    shuffle: bool = False
    drop_last: bool = False
    annotate: Callable[[np.ndarray], np.ndarray] | None = None
    sampling: Callable[[], np.ndarray] | None = None

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        whole, rest = divmod(len(self.images), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __call__(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from number ``first`` on; may be abandoned at any time."""
        order = np.arange(len(self.images))
        if self.shuffle:
            rng = np.random.default_rng([self.seed, epoch])
            chances = self.sampling() if self.sampling else None
            order = rng.choice(order, len(order), replace=chances is not None, p=chances)
        parts = [order[n * self.batch_size :][: self.batch_size] for n in range(first, len(self))]
        return _ahead(self._batch(part, epoch) for part in parts)

    def _batch(self, indices: np.ndarray, epoch: int) -> Batch:
        samples = [self._sample(index, epoch) for index in indices]
        x, y, *rest = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*samples, strict=True))
        return x, y, torch.from_numpy(indices), *rest

    def _sample(self, index: int, epoch: int) -> tuple[np.ndarray, ...]:
        image, masks = self.images[index], self.masks[index]
        if self.augment is not None:
            changed = self.augment(epoch, int(index), image=image, masks=masks)
            image, masks = changed["image"], changed["masks"]
        rest = () if self.annotate is None else (self.annotate(masks),)
        return self.finish(image), masks.astype(np.float32), *rest


def fixed_length(batches: Batches, count: int) -> Callable[[int], Iterator[Batch]]:
    """Epochs of ``count`` batches: each continues the passes over the data where the last ended."""

    def of_epoch(epoch: int) -> Iterator[Batch]:
        done, todo = divmod(epoch * count, max(len(batches), 1)), count
        number, first = done
        while todo and len(batches):
            part = batches(number, first)
            taken = 0
            for taken, batch in enumerate(islice(part, todo), start=1):  # noqa: B007
                yield batch
            todo, number, first = todo - taken, number + 1, 0

    return of_epoch


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, made up to ``DEPTH`` ahead by a thread that ends with this iterator."""
    ready: Queue = Queue(DEPTH)
    abandoned = Event()

    def hand_over(item: object) -> None:
        while not abandoned.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except Full:
                pass

    def make() -> None:
        cv2.setNumThreads(1)  # its own threads would take cores from the model
        try:
            for batch in batches:
                hand_over(batch)
                if abandoned.is_set():
                    return
            hand_over(None)
        except Exception as error:
            hand_over(error)

    thread = Thread(target=make, name="batches", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        abandoned.set()
        thread.join()
