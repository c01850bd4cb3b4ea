"""The knee's networks: sizes beside the paper's framework, heads, weights, what they can learn."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, binary_cross_entropy_with_logits, interpolate

from lib.base.errors import OsteoBookError, SettingError
from lib.engine.complexity import gigaflops
from lib.metrics import dice
from lib.models import pretrained
from lib.models.knee_networks import (
    NETWORKS,
    R10,
    R50C,
    WIDTHS,
    Family,
    encoder_of,
    knee_network,
)
from lib.models.knee_parameters import parameter_table
from lib.models.pooling import AveragePool, pool_by_products
from lib.models.pretrained import CLASSIFIERS, imagenet_weights, published_at
from lib.training.loop import mixed_precision

# isort: split
import segmentation_models_pytorch as smp
import timm

LIBRARY = [name for name, family in NETWORKS.items() if family.library is not None]


@pytest.fixture(scope="module")
def paper():
    """The five networks at the paper's size, in evaluation mode."""
    torch.manual_seed(0)
    return {name: knee_network(name).eval() for name in NETWORKS}


# --- size and shape


def test_parameters_differ_from_the_framework_as_stated():
    """What MMSegmentation has more or less, layer by layer."""
    table = parameter_table().set_index("network")
    assert list(table.index) == list(NETWORKS)
    pspnet = [
        (1 - 9) * 4096 * 512,  # joined by 1 x 1
        (9 - 1) * 512 * 4,  # classified by 3 x 3
        512 - 2 * 512,  # bias, no batch norm
    ]
    deeplabv3plus = [
        (1 - 9) * 2560 * 512,  # joined by 1 x 1,
        9 * 512 + 512 * 512 + 2 * 512,  # and a separable 3 x 3
        -(9 * 512 + 512 * 512 + 4 * 512),  # second separable convolution of the decoder
        -3 * 2 * 2048 - 2 * 560,  # batch norm inside separable ones
    ]
    assert table.difference.to_dict() == {
        "fcn_unet": 0,
        "pspnet": sum(pspnet),
        "deeplabv3plus": sum(deeplabv3plus),
        "upernet": 2 * (256 + 512 + 1024 + 2048),  # layer norms
        "segformer": 4 * 256 - 4 * 2 * 256,  # bias, no batch norm
    }
    millions = {"fcn_unet": 29.06, "pspnet": 48.96, "deeplabv3plus": 43.58, "upernet": 66.40}
    for name, value in (millions | {"segformer": 24.72}).items():
        assert table.mmsegmentation[name] / 1e6 == pytest.approx(value, abs=0.01)
    assert (table.quick < 6e6).all()


@pytest.mark.parametrize(
    ("name", "channels", "strides"),
    [
        ("fcn_unet", (1024, 512, 256, 128, 64), (16, 8, 4, 2, 1)),
        ("pspnet", (3, 64, 256, 512, 1024, 2048), (1, 2, 4, 8, 8, 8)),
        ("deeplabv3plus", (3, 64, 256, 512, 1024, 2048), (1, 2, 4, 8, 8, 8)),
        ("upernet", (3, 64, 256, 512, 1024, 2048), (1, 2, 4, 8, 16, 32)),
        ("segformer", (3, 0, 64, 128, 320, 512), (1, 2, 4, 8, 16, 32)),
    ],
)
@torch.no_grad()
def test_levels_of_the_paper(name, channels, strides, paper):
    levels = paper[name].encoder(torch.zeros(1, 3, 64, 64))
    assert tuple(level.shape[1] for level in levels) == channels
    assert tuple(64 // level.shape[-1] for level in levels) == strides
    assert paper[name](torch.zeros(1, 3, 64, 96)).shape == (1, 4, 64, 96)


def test_dilated_stages_begin_with_half_their_dilation(paper):
    """MMSegmentation's contract_dilation; the stem has three convolutions."""
    resnet = paper["deeplabv3plus"].encoder.model
    dilations = [[block.conv2.dilation[0] for block in resnet[f"layer{n}"]] for n in (3, 4)]
    assert dilations == [[1, 2, 2, 2, 2, 2], [2, 4, 4]]
    assert [c.kernel_size[0] for c in resnet.conv1 if isinstance(c, nn.Conv2d)] == [3, 3, 3]


def test_work_of_the_paper_size(paper):
    """Multiplications and additions at 512 x 512; those of the U-Net counted by hand."""

    def at(channels):
        return (512 * 64 / channels) ** 2  # pixels of the level that has so many channels

    widths = (64, 128, 256, 512)
    down = 9 * (3 * 64 + 64 * 64) * at(64)
    down += sum(9 * (w * 2 * w + 2 * w * 2 * w) * at(2 * w) for w in widths)
    up = sum((2 * w * w + 9 * (2 * w * w + w * w)) * at(w) for w in widths)
    head = (9 * 64 * 64 + 64 * 4) * at(64)
    work = {name: gigaflops(network, (3, 512, 512)) for name, network in paper.items()}
    assert work["fcn_unet"] == pytest.approx(2 * (down + up + head) / 1e9)
    assert min(work, key=work.get) == "segformer"


@pytest.mark.parametrize("name", NETWORKS)
def test_heads_have_the_images_size(name):
    network = knee_network(name, "quick", channels_out=5)
    for sides in ((64, 64), (96, 32)):
        x = torch.randn(2, 3, *sides)
        logits, auxiliary = network.forward_with_auxiliary(x)
        assert logits.shape == network(x).shape == (2, 5, *sides)
        assert (auxiliary is None) == (name == "segformer")
        assert auxiliary is None or auxiliary.shape == (2, 5, *sides)
    network.eval()
    assert torch.equal(network(x), network.forward_with_auxiliary(x)[0])


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "segformer"])
def test_auxiliary_head_trains_the_stage_below_it(name):
    network = knee_network(name, "quick")
    x = torch.randn(2, 3, 64, 64)
    network(x).square().mean().backward()
    assert all(p.grad is None for p in network.auxiliary.parameters())
    network.zero_grad()
    network.forward_with_auxiliary(x)[1].square().mean().backward()
    assert all(p.grad is not None for p in network.auxiliary.parameters())
    parts = network.encoder.upward if name == "fcn_unet" else network.encoder.model.children()
    *_, stage, last_stage = parts
    assert all(p.grad is None for p in [*last_stage.parameters(), *network.decoder.parameters()])
    assert sum(p.grad.abs().sum() for p in stage.parameters()) > 0


@pytest.mark.parametrize("name", LIBRARY)
def test_same_logits_as_the_library_with_the_same_weights(name):
    network = knee_network(name, "quick").eval()
    family = NETWORKS[name]
    build, options = family.library, family.options
    theirs = build(encoder_weights=None, classes=4, upsampling=1, **options, **NETWORKS[name].quick)
    theirs.encoder.load_state_dict(network.encoder.state_dict())
    theirs.decoder.load_state_dict(network.decoder.state_dict())
    theirs.segmentation_head.load_state_dict(network.last[1].state_dict())
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(network(x), interpolate(theirs.eval()(x), (64, 64), mode="bilinear"))


@pytest.mark.parametrize("library", [smp.Linknet, smp.Unet, smp.FPN])
def test_a_further_network_of_the_library_is_one_line(library, monkeypatch):
    family = Family({"encoder_name": R50C}, {"encoder_name": R10}, library)
    monkeypatch.setitem(NETWORKS, "further", family)
    network = knee_network("further", "quick")
    logits, auxiliary = network.forward_with_auxiliary(torch.zeros(2, 3, 64, 96))
    assert logits.shape == auxiliary.shape == (2, 4, 64, 96)
    assert "further" not in set(parameter_table()["network"])


def test_impossible_images_and_settings_are_named():
    network = knee_network("deeplabv3plus", "quick")
    with pytest.raises(SettingError, match="found 64 x 48; expected sides that divide by 32"):
        network(torch.zeros(2, 3, 64, 48))
    with pytest.raises(SettingError, match="batch: found 1 image"):
        network(torch.zeros(1, 3, 64, 64))
    assert network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 4, 64, 64)
    with pytest.raises(SettingError, match="found 'fpn'; expected one of fcn_unet, pspnet"):
        knee_network("fpn")
    with pytest.raises(SettingError, match="width: found 'tiny'; expected one of paper, quick"):
        knee_network("pspnet", "tiny")
    with pytest.raises(SettingError, match="for fcn_unet; expected none or imagenet"):
        knee_network("fcn_unet", "quick", weights="some.pth")


# --- training


def shape_batch(seed, images=8):
    """A disc and a rectangle of other grey values in noise, each its own channel."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    place = 18 + 28 * torch.rand(4, images, 1, 1, generator=generator)
    disc = (x - place[0]) ** 2 + (y - place[1]) ** 2 < 12**2
    box = ((x - place[2]).abs() < 8) & ((y - place[3]).abs() < 12)
    masks = torch.stack([disc, box], 1).float()
    noise = 0.3 * torch.randn(images, 1, 64, 64, generator=generator)
    return (masks[:, :1] - 2 * masks[:, 1:] + noise).expand(-1, 3, -1, -1), masks


@pytest.mark.parametrize("name", NETWORKS)
def test_quick_networks_learn_from_random_weights(name):
    """In evaluation mode, so the running statistics of batch normalisation follow too."""
    torch.manual_seed(0)
    network = knee_network(name, "quick", channels_out=2).to(memory_format=torch.channels_last)
    adam = torch.optim.AdamW(network.parameters(), 1e-2, fused=True)
    for step in range(80):
        x, y = shape_batch(step)
        with mixed_precision("cpu"):
            heads = network.forward_with_auxiliary(x.contiguous(memory_format=torch.channels_last))
        main, auxiliary = (h if h is None else h.float() for h in heads)
        loss = binary_cross_entropy_with_logits(main, y)
        if auxiliary is not None:
            loss = loss + 0.4 * binary_cross_entropy_with_logits(auxiliary, y)
        adam.param_groups[0]["lr"] = 1e-2 * min(1, (step + 1) / 10) * (1 - step / 80)
        adam.zero_grad()
        loss.backward()
        adam.step()
    x, y = shape_batch(1000, images=32)
    with torch.no_grad():
        found = network.eval()(x) > 0
    for channel in range(2):
        assert dice(found[:, channel].numpy(), y[:, channel].numpy() > 0) > 0.8


@pytest.mark.parametrize("width", WIDTHS)
def test_batch_norm_follows_short_trainings(width, paper):
    for name in NETWORKS:
        network = paper[name] if width == "paper" else knee_network(name, width)
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        assert {norm.momentum for norm in norms} == {0.1}


# --- pooling


@pytest.mark.parametrize("cells", [1, 2, 3, 6, (2, 5)])
@pytest.mark.parametrize("sides", [(8, 8), (6, 12), (13, 7), (2, 3)])
def test_pooling_by_products_is_torchs(cells, sides):
    x = torch.randn(2, 3, *sides, dtype=torch.float32, requires_grad=True)
    ours, theirs = pool_by_products(x, cells), adaptive_avg_pool2d(x, cells)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn_like(ours)
    gradients = [torch.autograd.grad((p * weight).sum(), x)[0] for p in (ours, theirs)]
    torch.testing.assert_close(*gradients)
    assert pool_by_products(x.bfloat16(), cells).dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["pspnet", "deeplabv3plus", "upernet"])
def test_networks_hold_no_pooling_without_a_deterministic_gradient(name):
    kinds = [type(m) for m in knee_network(name, "quick").modules()]
    assert nn.AdaptiveAvgPool2d not in kinds and AveragePool in kinds


# --- weights


def published(name, width="quick"):
    """A state dict in the form that the encoder's library publishes."""
    encoder = encoder_of(name, width)
    if encoder.startswith("tu-"):
        return timm.create_model(encoder.removeprefix("tu-")).state_dict()
    head = {"head.weight": torch.zeros(1000, 256), "head.bias": torch.zeros(1000)}
    return smp.encoders.get_encoder(encoder, weights=None).state_dict() | head


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("name", LIBRARY)
def test_encoder_takes_published_weights_from_a_file(name, suffix, tmp_path):
    state, path = published(name), tmp_path / f"weights.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    found = knee_network(name, "quick", path).encoder.state_dict()
    for key, value in found.items():
        assert torch.equal(value, state[key.removeprefix("model.")])
    left = {key for key in state if key not in {k.removeprefix("model.") for k in found}}
    short = NETWORKS[name].quick.get("encoder_depth") == 4  # built without the last stage
    assert all(key.startswith(CLASSIFIERS + ("layer4.",) * short) for key in left)


def test_the_papers_encoders_take_their_libraries_weights(paper):
    for name in LIBRARY:
        keys = {key.removeprefix("model.") for key in paper[name].encoder.state_dict()}
        if encoder_of(name).startswith("tu-"):
            keys |= {"fc.weight", "fc.bias"}
            assert keys == set(timm.create_model("resnet50c").state_dict())
        else:
            assert keys == set(smp.encoders.get_encoder("mit_b2", weights=None).state_dict())
        assert published_at(encoder_of(name)).startswith("https://")


@pytest.fixture
def no_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    imagenet_weights.cache_clear()
    yield tmp_path
    imagenet_weights.cache_clear()


def publish(monkeypatch, folder, name, wrong_checksum=False):
    torch.save(published(name), folder / "weights.pth")
    digest = hashlib.sha256((folder / "weights.pth").read_bytes()).hexdigest()
    file = folder / f"net-{'0' * 8 if wrong_checksum else digest[:8]}.pth"
    (folder / "weights.pth").rename(file)
    monkeypatch.setattr(pretrained, "published_at", lambda _: file.as_uri())
    return file


def test_imagenet_weights_are_fetched_once(monkeypatch, no_cache):
    file = publish(monkeypatch, no_cache, "upernet")
    expected = torch.load(file, weights_only=True)["conv1.0.weight"]
    network = knee_network("upernet", "quick", "imagenet")
    assert torch.equal(network.encoder.model.conv1[0].weight, expected)
    file.unlink()
    imagenet_weights.cache_clear()  # another process
    again = knee_network("pspnet", "quick", "imagenet")
    assert torch.equal(again.encoder.model.conv1[0].weight, expected)


@pytest.mark.parametrize("failure", ["checksum", "absent"])
def test_weights_that_cannot_be_had_are_told(failure, monkeypatch, no_cache, capsys):
    file = publish(monkeypatch, no_cache, "upernet", wrong_checksum=failure == "checksum")
    if failure == "absent":
        file.unlink()
    assert imagenet_weights(R10) is None
    assert "training from scratch" in capsys.readouterr().out
    with pytest.raises(OsteoBookError, match="weights=none"):
        knee_network("upernet", "quick", "imagenet")
    assert not list(no_cache.glob("hub/checkpoints/*"))
    knee_network("fcn_unet", "quick", "imagenet")  # starts from random ones in any case


def test_wrong_files_are_one_short_error(tmp_path):
    state = published("upernet")
    del state["layer1.0.conv1.weight"]
    state["conv1.0.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "other.pth")
    (tmp_path / "note.pth").write_text("no weights")
    for file, message in (
        (
            "other.pth",
            r"found 2 layers .* model.conv1.0.weight; expected the state dict of resnet10t",
        ),
        ("note.pth", "note.pth: found UnpicklingError; expected a state dict"),
        ("gone.safetensors", "gone.safetensors: found FileNotFoundError"),
    ):
        with pytest.raises(OsteoBookError, match=message) as caught:
            knee_network("upernet", "quick", tmp_path / file)
        assert len(str(caught.value)) < 400
