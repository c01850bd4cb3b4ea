"""Networks of the pediatric study: parameter counts, peers of torchvision, shapes, training."""

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from lib.base.errors import OsteoBookError, SettingError
from lib.models import count_parameters, pediatric_encoders, pediatric_networks
from lib.models.discriminator import CodeDiscriminator, MaskDiscriminator
from lib.models.pediatric_networks import NETWORKS, class_probabilities, pediatric_network
from lib.models.shape_autoencoder import ShapeAutoencoder, frozen, pooled_codes

# isort: split
from torchvision.models import densenet121, resnet50
from torchvision.models.vgg import cfgs, make_layers

PRETRAINED = tuple(pediatric_encoders.IMAGENET)


def slices(height, width):
    """Four images that show two rectangles, and their one-hot masks of 3 classes."""
    generator = torch.Generator().manual_seed(height)
    labels = torch.zeros(4, height, width, dtype=torch.long)
    for n in range(4):
        labels[n, 4 + 2 * n : 14 + 2 * n, 3:12] = 1
        labels[n, 8:20, 16 + n : 26 + n] = 2
    noise = 0.3 * torch.randn(4, 1, height, width, generator=generator)
    return labels[:, None] + noise, nn.functional.one_hot(labels, 3).movedim(-1, 1).float()


# --- number of parameters: section 3.3


@pytest.mark.parametrize(
    ("backbone", "expected", "paper"),
    [
        ("att_unet", 7_854_240, 7.9),
        ("vgg_unet", 34_710_404, 34.7),
        ("res_unet", 13_597_636, 13.6),
        ("dense_unet", 18_506_180, 18.5),
    ],
)
def test_networks_have_the_parameters_of_the_paper(backbone, expected, paper):
    found = count_parameters(pediatric_network(backbone, 4))
    assert found == expected
    assert round(found / 1e6, 1) == paper


def test_autoencoder_and_discriminators_have_the_parameters_of_the_paper():
    assert count_parameters(ShapeAutoencoder(4)) == 3_139_140
    assert count_parameters(ShapeAutoencoder(1)) == 3_138_177
    assert count_parameters(MaskDiscriminator(4)) == 696_161
    assert count_parameters(MaskDiscriminator(1)) == 694_625
    assert count_parameters(CodeDiscriminator()) == 330_241


def test_autoencoder_by_hand():
    """A 3 x 3 convolution has 9 weights a pair of channels and 1 bias; a batch norm has 2."""
    pairs = [(4, 32), (32, 64), (64, 128), (128, 256), (256, 512)]
    pairs += [(b, a) for a, b in pairs[:0:-1]]
    assert count_parameters(ShapeAutoencoder(4)) == sum(9 * a * b + 3 * b for a, b in pairs) + 4 * (
        32 + 1
    )


# --- encoders against torchvision


def reference(backbone):
    """torchvision's layers to the last that we use, their levels, and the classifier's names."""
    torch.manual_seed(3)
    if backbone == "vgg_unet":
        layers = make_layers(cfgs["E"])
        return layers, ["3", "8", "17", "26", "35"], "features."
    if backbone == "res_unet":
        return resnet50(weights=None), ["relu", "layer1", "layer2", "layer3"], ""
    names = ["relu0", "denseblock1", "denseblock2", "denseblock3"]
    return densenet121(weights=None).features, names, "features."


def published(backbone):
    layers, names, prefix = reference(backbone)
    state = {prefix + name: value for name, value in layers.state_dict().items()}
    return layers, names, state | {"classifier.bias": torch.zeros(1000)}


@pytest.mark.parametrize("backbone", PRETRAINED)
def test_encoders_with_weights_give_the_levels_of_torchvision(backbone, monkeypatch):
    layers, names, state = published(backbone)
    monkeypatch.setattr(pediatric_encoders, "imagenet_weights", lambda _: state)
    ours = pediatric_network(backbone, 4, weights="imagenet").eval()
    image, theirs = torch.randn(1, 1, 32, 48), {}
    x = image.repeat(1, 3, 1, 1)
    with torch.no_grad():
        for name, layer in layers.eval().named_children():
            x = layer(x)
            if name in names:
                theirs[name] = x.clone()  # the next layer may work in place
            if name == names[-1]:
                break
        levels = ours.encoder(image.repeat(1, 3, 1, 1))
    assert list(levels) == names
    for name, level in levels.items():
        torch.testing.assert_close(level, theirs[name])
    assert levels[names[-1]].shape[-2:] == (2, 3)


def test_old_files_of_densenet_fit(tmp_path):
    """They write norm.1 for norm1 and lack the counters of batch norm."""
    layers, _, state = published("dense_unet")
    old = {
        name.replace("norm1", "norm.1").replace("conv2", "conv.2"): value
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "dense.pth")
    ours = pediatric_network("dense_unet", 4, weights=str(tmp_path / "dense.pth"))
    theirs = layers.state_dict()
    for name, value in ours.encoder.state_dict().items():
        assert torch.equal(value, theirs[name])


def test_weights_of_another_network_and_absent_ones_are_errors(monkeypatch, capsys):
    _, _, state = published("dense_unet")
    monkeypatch.setattr(pediatric_encoders, "imagenet_weights", lambda _: state)
    with pytest.raises(OsteoBookError, match="expected the state dict of the classifier of res_"):
        pediatric_network("res_unet", 4, weights="imagenet")
    monkeypatch.undo()

    def refuse(*_, **__):
        raise OSError("no network")

    pediatric_encoders.imagenet_weights.cache_clear()
    weights = type(pediatric_encoders.IMAGENET["res_unet"])
    monkeypatch.setattr(weights, "get_state_dict", refuse)
    with pytest.raises(OsteoBookError, match="weights=none"):
        pediatric_network("res_unet", 4, weights="imagenet")
    assert "res_unet could not be had (no network)" in capsys.readouterr().out
    pediatric_encoders.imagenet_weights.cache_clear()


@pytest.mark.parametrize("backbone", PRETRAINED)
def test_random_encoders_neither_lose_nor_enlarge_the_signal(backbone):
    """VGG19 has no batch norm: with torch's own initialisation nothing reaches its end."""
    torch.manual_seed(0)
    network = pediatric_network(backbone, 4, width=16)
    levels = list(network.encoder(torch.randn(2, 3, 64, 64)).values())
    for level in levels:
        assert 0.05 < level.std() < 20


# --- form


@pytest.mark.parametrize("backbone", NETWORKS)
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_keep_the_size_and_train_every_parameter(backbone, channels):
    torch.manual_seed(0)
    network = pediatric_network(backbone, channels, width=8)
    logits = network(torch.randn(2, 1, 48, 32))
    assert logits.shape == (2, channels, 48, 32)
    logits.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
    with pytest.raises(ValueError, match="found \\(40, 32\\); expected multiples of 16"):
        network(torch.randn(2, 1, 40, 32))


@pytest.mark.parametrize("backbone", NETWORKS)
def test_skips_reach_the_output(backbone):
    """Another image's level in one place changes the logits."""
    torch.manual_seed(0)
    network = pediatric_network(backbone, 1, width=8)
    levels = network.encoder(torch.randn(2, 1, 32, 32).expand(-1, network.copies, -1, -1))
    *skips, deepest = levels.values()
    for n in range(len(skips)):
        changed = [skip.flip(0) if n == m else skip for m, skip in enumerate(skips)]
        outputs = []
        for given in (list(skips), changed):
            x = deepest
            for step in network.steps:
                x = step(x, given.pop() if given else None)
            outputs.append(network.head(x))
        assert (outputs[0] - outputs[1]).abs().max() > 1e-4


def test_attention_gate_by_hand():
    """A gate of one half by zero weights; a gate that is shut leaves nothing of the level."""
    step = pediatric_networks.AttentionStep(nn.Identity(), nn.Identity(), 4).eval()
    convolution = step.weight[0]
    nn.init.zeros_(convolution.weight)
    x, skip = torch.randn(2, 1, 4, 3, 3)
    for bias, gate in ((0.0, 0.5), (-100.0, 0.0), (100.0, 1.0)):
        nn.init.constant_(convolution.bias, bias)
        expected = torch.cat([gate * skip, x], 1)
        torch.testing.assert_close(step(x, skip), expected, atol=1e-5, rtol=1e-5)


def test_settings_that_cannot_be_are_named():
    with pytest.raises(SettingError, match="expected one of att_unet, vgg_unet"):
        pediatric_network("unet", 4)
    with pytest.raises(SettingError, match="found 12; expected a multiple of 8"):
        pediatric_network("res_unet", 4, width=12)
    for backbone, width in (("att_unet", None), ("vgg_unet", 16)):
        with pytest.raises(SettingError, match="weights: found imagenet"):
            pediatric_network(backbone, 4, width, weights="imagenet")


def test_probabilities_by_hand():
    logits = torch.tensor([0.0, 1.0, 2.0]).reshape(1, 3, 1, 1).bfloat16()
    exponents = logits.float().exp()
    torch.testing.assert_close(class_probabilities(logits), exponents / exponents.sum())
    assert class_probabilities(torch.zeros(1, 1, 2, 2)).unique().tolist() == [0.5]


# --- auto-encoder and discriminators


def test_codes_have_512_maps_of_16_by_16():
    code = ShapeAutoencoder(4).eval().encode(torch.rand(1, 4, 256, 256))
    assert code.shape == (1, 512, 16, 16)
    assert code.numel() == 131_072


def test_autoencoder_gives_masks_back_and_its_pooled_codes():
    autoencoder = ShapeAutoencoder(3, width=8).eval()
    _, masks = slices(32, 48)
    assert autoencoder(masks).shape == masks.shape
    code = autoencoder.encode(masks)
    assert code.shape == (4, 128, 2, 3)
    assert torch.equal(pooled_codes(autoencoder, masks), code.detach().flatten(2).max(2).values)
    with pytest.raises(ValueError, match="multiples of 16"):
        autoencoder(masks[..., :40])


def test_frozen_encoder_passes_the_gradient_and_does_not_change():
    torch.manual_seed(0)
    autoencoder = frozen(ShapeAutoencoder(3, width=8))
    before = {name: value.clone() for name, value in autoencoder.state_dict().items()}
    soft = torch.rand(2, 3, 32, 32, requires_grad=True)
    autoencoder.encode(soft).square().sum().backward()
    assert soft.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in autoencoder.parameters())
    assert all(torch.equal(value, before[n]) for n, value in autoencoder.state_dict().items())


def test_autoencoder_learns_to_reconstruct():
    torch.manual_seed(0)
    autoencoder, (_, masks) = ShapeAutoencoder(3, width=8), slices(32, 32)
    adam = torch.optim.Adam(autoencoder.parameters(), 1e-2)
    for _ in range(60):
        loss = cross_entropy(autoencoder(masks), masks.argmax(1))
        adam.zero_grad()
        loss.backward()
        adam.step()
    right = autoencoder(masks).argmax(1) == masks.argmax(1)
    assert right.float().mean() > 0.97


@pytest.mark.parametrize(("side", "cells"), [(256, 15), (96, 5)])
def test_likelihood_map(side, cells):
    discriminator = MaskDiscriminator(4, width=8)
    found = discriminator(torch.rand(2, 4, side, side), torch.randn(2, 1, side, side))
    assert found.shape == (2, 1, cells, cells)


def test_a_cell_of_the_map_sees_94_pixels():
    """Last layer 4, then stride 2 and 4 more: 4, 10, 22, 46, 94."""
    discriminator = MaskDiscriminator(1, width=8).eval()
    image = torch.randn(1, 1, 256, 256, requires_grad=True)
    discriminator(torch.zeros(1, 1, 256, 256), image)[0, 0, 7, 7].backward()
    rows = image.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == 94


def test_image_and_mask_both_count():
    torch.manual_seed(0)
    discriminator = MaskDiscriminator(3, width=8).eval()
    image, mask = slices(32, 32)
    found = discriminator(mask, image)
    assert not torch.allclose(found, discriminator(mask.flip(1), image))
    assert not torch.allclose(found, discriminator(mask, image.flip(0)))


@pytest.mark.parametrize(("grid", "cells"), [(16, 7), (6, 2), (4, 1)])
def test_discriminator_of_codes(grid, cells):
    discriminator = CodeDiscriminator(128, width=16)
    assert discriminator(torch.randn(2, 128, grid, grid)).shape == (2, 1, cells, cells)


def test_discriminator_learns_wrong_masks():
    torch.manual_seed(0)
    image, mask = slices(32, 32)
    wrong = mask.roll(1, dims=0)
    discriminator = MaskDiscriminator(3, width=8)
    adam = torch.optim.Adam(discriminator.parameters(), 2e-3)
    for _ in range(80):
        real, fake = discriminator(mask, image), discriminator(wrong, image)
        loss = binary_cross_entropy_with_logits(real, torch.ones_like(real))
        loss = loss + binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert real.mean() > 1 > -1 > fake.mean()


@pytest.mark.parametrize("backbone", NETWORKS)
def test_narrow_networks_from_scratch_learn(backbone):
    torch.manual_seed(0)
    image, mask = slices(32, 32)
    network = pediatric_network(backbone, 3, width=16)
    adam = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(40):
        loss = cross_entropy(network(image), mask.argmax(1))
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        right = network(image).argmax(1) == mask.argmax(1)
        also = network.eval()(image).argmax(1) == mask.argmax(1)
    background = (mask.argmax(1) == 0).float().mean()
    assert right.float().mean() > 0.95 > background
    assert also.float().mean() > 0.9
