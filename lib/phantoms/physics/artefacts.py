"""What else is on a radiograph: collimator, side marker, rings, cables, clothing, casts.

Metal, lead and plaster are maps in mm to add to the paths before ``expose``. The collimator
multiplies the developed image, as a vendor's electronic shutter blackens what was not exposed.
Draw markers after mirroring, so that letters read.
"""

import cv2
import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from lib.phantoms.shapes.geometry import Frame

SHIFT = 4  # cv2 draws with 1/16 pixel


def side_marker(
    frame: Frame, letter: str, place: tuple[float, float], height_mm=12.0, turn_deg=0.0
) -> Tensor:
    """1 mm of lead in the shape of a letter, at a place given as shares (column, row)."""
    size = max(24, round(height_mm / frame.pixel_mm) * 2)
    stamp = np.zeros((size, size), np.uint8)
    scale, thick = size / 44, max(1, size // 10)
    (w, h), _ = cv2.getTextSize(letter, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    corner = ((size - w) // 2, (size + h) // 2)
    cv2.putText(stamp, letter, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick, cv2.LINE_AA)
    shrink = 2 * height_mm / frame.pixel_mm / size
    to_stamp = cv2.getRotationMatrix2D((size / 2, size / 2), turn_deg, shrink)
    to_stamp[:, 2] += np.array(place) * (frame.width, frame.height) - size / 2
    drawn = cv2.warpAffine(stamp, to_stamp, (frame.width, frame.height), flags=cv2.INTER_AREA)
    return torch.as_tensor(drawn / np.float32(255), device=frame.device)


def ring(frame: Frame, centre, axis, radius_mm: float, width_mm=3.0, wall_mm=1.5) -> Tensor:
    """Millimetres of metal of a finger ring seen edge on; ``axis``: the finger's 2-D direction."""
    axis = np.asarray(axis[:2], float) / np.linalg.norm(axis[:2])
    along, across = frame.whole().along(centre, axis)
    walls = [
        (r * r - across * across).clamp(min=0).sqrt() for r in (radius_mm, radius_mm - wall_mm)
    ]
    edge = ((width_mm / 2 - along.abs()) / frame.pixel_mm + 0.5).clamp(0, 1)
    return 2 * (walls[0] - walls[1]) * edge


def cable(frame: Frame, points_mm: np.ndarray, diameter_mm=1.0) -> Tensor:
    """Millimetres of metal of a wire along a smooth path through N x 2 points."""
    points = np.asarray(points_mm, float)
    t = np.linspace(0, len(points) - 1, 20 * len(points))
    path = frame.pixels(CubicSpline(np.arange(len(points)), points)(t))
    drawn = np.zeros((frame.height, frame.width), np.uint8)
    thick = max(1, round(diameter_mm / frame.pixel_mm))
    curve = [np.round(path * 2**SHIFT).astype(np.int32)]
    cv2.polylines(drawn, curve, False, 255, thick, cv2.LINE_AA, SHIFT)
    return torch.as_tensor(drawn / np.float32(255) * diameter_mm, device=frame.device)


def leads(frame: Frame, rng: np.random.Generator, count: int) -> Tensor:
    """Millimetres of metal of electrode wires that come in from the rim, H x W.

    Each ends at a snap of 5 mm within the image.
    """
    total = torch.zeros(frame.height, frame.width, device=frame.device)
    reach = frame.pixel_mm * max(frame.height, frame.width) / 2
    share = np.linspace(0, 1, 5)[:, None]
    for _ in range(count):
        angle = rng.uniform(0, 2 * np.pi)
        start = 1.5 * reach * np.array([np.cos(angle), np.sin(angle)])
        end = rng.uniform(-0.75, 0.75, 2) * reach
        slack = 0.16 * reach * rng.standard_normal((5, 2)) * np.sin(np.pi * share)
        wire = cable(frame, start + share * (end - start) + slack, rng.uniform(0.8, 1.4))
        snap = cable(frame, np.stack([end, end + rng.uniform(-1, 1, 2)]), 5.0)
        total = torch.maximum(total, torch.maximum(0.3 * wire, 0.25 * snap))
    return total


def clothing(frame: Frame, rng: np.random.Generator, folds=3, thickness_mm=1.5) -> Tensor:
    """Millimetres of fabric (as soft tissue): a few soft-edged folds across the image."""
    whole = frame.whole()
    total = torch.zeros(frame.height, frame.width, device=frame.device)
    reach = frame.pixel_mm * max(frame.height, frame.width)
    for _ in range(folds):
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-0.4, 0.4) * reach
        wave, phase = rng.uniform(0.02, 0.08), rng.uniform(0, 2 * np.pi)
        height, edge = rng.uniform(0.3, 1.0) * thickness_mm, rng.uniform(0.5, 2.0)
        cos, sin = float(np.cos(angle)), float(np.sin(angle))
        across = whole.x * cos + whole.y * sin - float(offset)
        along = (whole.y * cos - whole.x * sin) * float(wave)
        side = across + 5 * torch.sin(along + float(phase))
        total += float(height) * torch.sigmoid(side / float(edge))
    return total


def round_field(frame: Frame, radius: float) -> Tensor:
    """Open share of an image intensifier's round field, H x W; radius as a share of the height."""
    whole = frame.whole()
    reach = torch.hypot(whole.x - float(frame.x_mm), whole.y - float(frame.y_mm))
    return ((radius * frame.height * frame.pixel_mm - reach) / 0.6 + 0.5).clamp(0, 1)


def collimator(frame: Frame, margins: tuple[float, float, float, float], turn_deg=0.0) -> Tensor:
    """Open share of the beam, H x W in [0, 1]; margins: left, right, top, bottom as shares.

    Multiply the developed image by it, and cut the masks to ``open > 0.5``: nobody can outline
    bone behind the shutter.

    The edge is a penumbra of about 0.6 mm.
    """
    whole = frame.whole()
    cos, sin = float(np.cos(np.radians(turn_deg))), float(np.sin(np.radians(turn_deg)))
    dx, dy = whole.x - float(frame.x_mm), whole.y - float(frame.y_mm)
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    wide, tall = frame.width * frame.pixel_mm, frame.height * frame.pixel_mm
    left, right, top, bottom = (float(m) for m in margins)
    inside = [u + wide * (0.5 - left), wide * (0.5 - right) - u]
    inside += [v + tall * (0.5 - bottom), tall * (0.5 - top) - v]
    nearest = torch.stack(torch.broadcast_tensors(*inside)).amin(0)
    return (nearest / 0.6 + 0.5).clamp(0, 1)
