"""What the hand study's figures show: crops, samples with their doubt, masks, absent bones."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from lib.data.bone_patches import Patches, absent_bones, read_patches
from lib.data.preprocess import IMAGENET_MEAN, IMAGENET_SD
from lib.data.views import multi_crop
from lib.engine.trials import stored_config
from lib.studies.hand.data import BONES, Data
from lib.studies.hand.figures.crops import Crops
from lib.studies.hand.figures.entropy import Uncertain
from lib.studies.hand.learning import COUNTS
from lib.studies.hand.methods import MIXTURE
from lib.studies.hand.segmentation_scores import pooled

COUNTED = 512  # patches on which the share of empty crops is counted
KINDS = {"conventional": False, "constrained": True}


def folder_of(folders: Iterable[Path], **wanted: Any) -> Path:
    """Folder of the first trial with these values, such as ``method="mose"``.

    Raises:
        LookupError: if there is none.
    """
    for folder in folders:
        trial = stored_config(folder)["trial"]
        if all(trial[key] == value for key, value in wanted.items()):
            return folder
    raise LookupError(f"no trial of {wanted}")


def crop_rows(
    mixture: Path, sizes: tuple[int, int], seed: int
) -> tuple[list[Crops], dict[str, float], int]:
    """What ``figures.crops`` draws: one patch per bone with its views; the shares of empty views,
    and of how many.

    Both kinds start from the same random numbers: they differ only where a box was drawn again.

    Args:
        mixture: folder of the trial that cut the patches.
        sizes: pixels of the global and the local views.
        seed: of the crops.
    """
    patches = read_patches(mixture / "patches.npz")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(patches.images))[:COUNTED])
    shown = [np.flatnonzero(patches.bones == bone)[0] for bone in np.unique(patches.bones)]
    views, shares = {}, {}
    for kind, constrained in KINDS.items():
        shares[kind] = _views(patches.select(chosen), sizes, seed, constrained)[1]
        views[kind] = _views(patches.select(np.array(shown)), sizes, seed, constrained)[0]
    rows = [
        Crops(
            BONES[patches.bones[place]],
            patches.images[place] / 255,
            *([view[n] for view in views[kind]] for kind in KINDS),
        )
        for n, place in enumerate(shown)
    ]
    return rows, shares, len(chosen) * sum(COUNTS)


def _views(
    patches: Patches, sizes: tuple[int, int], seed: int, constrained: bool
) -> tuple[list, float]:
    """Views as pictures in [0, 1], each B x size x size, and the share of empty ones."""
    images = torch.from_numpy(patches.images)[:, None].float() / 255
    random = torch.Generator().manual_seed(seed)
    masks = torch.from_numpy(patches.masks)[:, None]
    views, share = multi_crop(images, masks, random, sizes, COUNTS, constrained)
    grey = [(view[:, 0] * IMAGENET_SD[0] + IMAGENET_MEAN[0]).clamp(0, 1).numpy() for view in views]
    return grey, share


def absent(mixture: Path) -> pd.DataFrame:
    """Of each bone: cases, absent (no patch), absent_share, entropy (mean, nats), side_px."""
    bones, patches = pd.read_csv(mixture / "bones.csv"), read_patches(mixture / "patches.npz")
    cases = bones["row"].nunique()
    table = pd.DataFrame({"bone": BONES, "cases": cases})
    table["absent"] = absent_bones(patches, cases, len(BONES))
    table["absent_share"] = table["absent"] / cases
    table["entropy"] = bones.groupby("bone")["entropy"].mean().reindex(BONES).to_numpy()
    sides = pd.Series(patches.side_px).groupby(patches.bones).median()
    return table.assign(side_px=sides.reindex(range(len(BONES))).to_numpy())


def uncertain(mixture: Path, data: Data, count: int = 3) -> list[Uncertain]:
    """Held-out cases from the surest to the least sure, one sample of each module.

    Sure is said of the mean entropy of the pixels.
    """
    with np.load(mixture / "segmentation.npz") as stored:
        arrays = dict(stored)
    order = arrays["entropy"].mean((1, 2)).argsort()
    places = order[np.unique(np.linspace(0, len(order) - 1, count).round().astype(int))]
    modules = arrays["router"].shape[1]
    first = np.arange(modules) * (arrays["samples"].shape[1] // modules)
    return [
        Uncertain(
            data.cases["case"].iloc[arrays["rows"][n]],
            data.images[arrays["rows"][n]] / 255,
            arrays["samples"][n, first],
            label_map(arrays["masks"][n]),
            arrays["entropy"][n],
            arrays["router"][n],
        )
        for n in places
    ]


def label_map(masks: np.ndarray) -> np.ndarray:
    """bool K x H x W -> uint8 H x W: 0 background, k for mask k - 1; the last one lies on top."""
    return (masks * np.arange(1, len(masks) + 1)[:, None, None]).max(0).astype(np.uint8)


def inset(mixture: Path, data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Radiograph in [0, 1] and predicted label map of the held-out case with most bones found."""
    with np.load(mixture / "segmentation.npz") as stored:
        rows, masks = stored["rows"], stored["masks"]
    best = masks.any((2, 3)).sum(1).argmax()
    return data.images[rows[best]] / 255, label_map(masks[best])


def router_weights(folders: Iterable[Path]) -> pd.DataFrame:
    """What the router gives each noise module over the held-out cases of all mixtures.

    Columns: module, mean, sd, lowest, highest (all fractions), chosen (share of the cases in which
    it weighs most), n.
    """
    routers = []
    for folder in folders:
        if stored_config(folder)["trial"]["method"] == MIXTURE:
            with np.load(folder / "segmentation.npz") as stored:
                routers.append(stored["router"])
    weights = np.concatenate(routers)
    modules = weights.shape[1]
    return pd.DataFrame(
        {
            "module": range(1, modules + 1),
            "mean": weights.mean(0),
            "sd": weights.std(0, ddof=1),
            "lowest": weights.min(0),
            "highest": weights.max(0),
            "chosen": np.bincount(weights.argmax(1), minlength=modules) / len(weights),
            "n": len(weights),
        }
    )


def calibration(folders: Iterable[Path]) -> pd.DataFrame:
    """Reliability of the pixels of each segmenter, all its seeds together, with ``method``."""
    tables: dict[str, list] = {}
    for folder in folders:
        own = tables.setdefault(stored_config(folder)["trial"]["method"], [])
        own.append(pd.read_csv(folder / "reliability.csv"))
    parts = [pooled(own).assign(method=method) for method, own in tables.items()]
    return pd.concat(parts, ignore_index=True)
