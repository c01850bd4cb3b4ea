"""What the thin library loads: people import it without installing the studies' libraries."""

import json
import subprocess
import sys

import pytest

STEPS = {
    "plain": "import lib.losses, lib.metrics, lib.models",
    "networks": """from lib.models import (
        CodeDiscriminator, DeterministicSegmenter, MaskDiscriminator, MixtureSegmenter,
        ShapeAutoencoder, UNet, ViewEncoder, count_parameters, mobilenet_segmenter,
        pediatric_network,
    )""",
    "evidence": "import lib.evidence.claims, lib.evidence.ranking, lib.evidence.statistics",
}
HEAVY = {"PIL", "albumentations", "cv2", "matplotlib", "nibabel", "ot", "pandas", "pydicom"}
HEAVY |= {"segmentation_models_pytorch", "skimage", "sklearn", "timm", "torchvision"}
EXPECTED = {
    "plain": [],
    "networks": ["PIL", "cv2", "torchvision"],  # torchvision loads PIL
    "evidence": ["PIL", "cv2", "pandas", "torchvision"],
}


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """Heavy libraries that are loaded after each step, all in one fresh process."""
    lines = ["import json, sys", f"heavy, loaded = {HEAVY!r}, {{}}"]
    for name, step in STEPS.items():
        lines += [step, f"loaded[{name!r}] = sorted(heavy & set(sys.modules))"]
    script = "\n".join([*lines, "print(json.dumps(loaded))"])
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout)


@pytest.mark.parametrize("step", STEPS)
def test_no_other_library_is_loaded(loaded, step):
    assert loaded[step] == EXPECTED[step]
