"""Predicted bones in 3-D, coloured by their distance to the surface of the truth."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LightSource, Normalize
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from scipy.ndimage import find_objects
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from lib.base.errors import SettingError
from lib.figures.inputs import require_alike
from lib.figures.looks import bone_look
from lib.figures.style import MUTED, new_figure, note, style

VIEWS = {"One side": (15, -60), "The other side": (15, 120)}  # elevation, azimuth in degrees
MOST_TRIANGLES = 60_000
SCALE_MM = 20.0


class Mesh(NamedTuple):
    """``vertices`` n x 3 in mm (slice, row, column), ``faces`` m x 3."""

    vertices: np.ndarray
    faces: np.ndarray

    @property
    def centres(self) -> np.ndarray:
        return self.vertices[self.faces].mean(1)


@style()
def bone_surfaces(
    labels: np.ndarray,
    truth: np.ndarray,
    spacing_mm: Sequence[float],
    bones: Sequence[str],
) -> Figure:
    """Surfaces of the predicted bones from two opposite sides, coloured by distance in mm.

    The distance goes from the middle of each triangle to the nearest point of the same bone's true
    surface. Grey: a bone without any truth. Masks are not smoothed.

    Args:
        labels: integers D x H x W, 0 background, k for ``bones[k - 1]``; as predicted.
        truth: the same for the reference.
        spacing_mm: of slices, rows and columns, each > 0.
        bones: names that ``bone_look`` knows; for the global strategy pass both arrays > 0 and one
            name.

    Raises:
        SettingError: for shapes or spacing that do not fit, labels beyond the bones, or a
            prediction without any bone.
    """
    _check(labels, truth, spacing_mm, bones)
    spacing, step = np.asarray(spacing_mm, float), 1
    while _count(meshes := _meshes(labels, spacing, step)) > MOST_TRIANGLES:
        step += 1  # fewer rows and columns until matplotlib can cope
    true = _meshes(truth, spacing, step)
    distances = {label: surface_distance(mesh, true.get(label)) for label, mesh in meshes.items()}
    values = np.concatenate(list(distances.values()))
    known = values[np.isfinite(values)]
    limit = max(float(np.quantile(known, 0.99)) if len(known) else 0.0, 0.1)
    scale = ScalarMappable(Normalize(0, limit), colormaps["YlOrRd"].with_extremes(bad="0.6"))
    colours = scale.to_rgba(np.ma.masked_invalid(values))
    triangles = np.concatenate([mesh.vertices[mesh.faces] for mesh in meshes.values()])
    figure = new_figure(height_in=3.7)
    grid = figure.subplots(1, 2, subplot_kw={"projection": "3d", "proj_type": "ortho"})
    for axes, (title, view) in zip(grid, VIEWS.items(), strict=True):
        _draw_view(axes, triangles, colours, *view)
        axes.set_title(title)
    bar = {"label": "Distance to the true surface (mm)", "shrink": 0.75, "extend": "max"}
    figure.colorbar(scale, ax=grid.tolist(), **bar)
    note(figure, _describe(bones, distances, true))
    return figure


def surface_distance(mesh: Mesh, truth: Mesh | None) -> np.ndarray:
    """Distance in mm of each triangle's middle to the nearest vertex or middle of ``truth``.

    Too large by at most the size of a triangle; exactly 0 for equal surfaces. NaN without truth.
    """
    if truth is None:
        return np.full(len(mesh.faces), np.nan)
    return cKDTree(np.concatenate([truth.vertices, truth.centres])).query(mesh.centres)[0]


def _meshes(labels, spacing, step=1) -> dict[int, Mesh]:
    """The closed surface of each label that is present, at the borders between voxels."""
    labels, spacing = labels[:, ::step, ::step], spacing * (1, step, step)
    meshes = {}
    for label, box in enumerate(find_objects(labels.astype(np.int32)), start=1):
        if box is not None:
            mask = np.pad(labels[box] == label, 1).astype(np.float32)
            vertices, faces = marching_cubes(mask, 0.5)[:2]
            corner = [part.start - 1 for part in box]
            meshes[label] = Mesh((vertices + corner) * spacing, faces)
    return meshes


def _count(meshes) -> int:
    return sum(len(mesh.faces) for mesh in meshes.values())


def _upright(points) -> np.ndarray:
    """(slice, row, column) as x = column, y = slice, z = up."""
    return points[..., [2, 0, 1]] * (1, 1, -1)


def _draw_view(axes, triangles, colours, elevation, azimuth) -> None:
    points = _upright(triangles)
    light = LightSource(azdeg=120 - azimuth, altdeg=45)  # turns with the viewer
    axes.add_collection3d(
        Poly3DCollection(
            points,
            facecolors=colours,
            edgecolors=colours,
            lw=0.1,
            shade=True,
            lightsource=light,
            rasterized=True,
        )
    )
    low, high = points.min((0, 1)), points.max((0, 1))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    axes.set_box_aspect(high - low, zoom=1.15)
    axes.view_init(elevation, azimuth)
    axes.set_axis_off()
    turn = np.radians(azimuth)
    x, y = np.where([np.sin(turn) < 0, np.cos(turn) > 0], low[:2], high[:2])  # of the scale bar
    axes.plot([x, x], [y, y], [low[2], low[2] + SCALE_MM], color="black", lw=1.6, clip_on=False)
    text = {"fontsize": 6.5, "ha": "center", "va": "bottom", "color": MUTED}
    axes.text(x, y, low[2] + 1.05 * SCALE_MM, f"{SCALE_MM:g} mm", **text)


def _describe(bones, distances, true) -> str:
    parts = []
    for label, bone in enumerate(bones, start=1):
        name = bone_look(bone)[0]
        if label not in distances:
            parts.append(f"{name}: {'missed' if label in true else 'absent'}")
        elif label not in true:
            parts.append(f"{name}: not in the truth")
        else:
            values = distances[label]
            far = np.quantile(values, 0.95)
            parts.append(f"{name}: mean {values.mean():.2f} mm, 95 % within {far:.2f} mm")
    return ".\n".join(["n = 1 examination; predicted bones", *parts]) + "."


def _check(labels, truth, spacing_mm, bones) -> None:
    require_alike(labels=labels, truth=truth)
    spacing = np.asarray(spacing_mm)
    if np.ndim(labels) != 3 or spacing.shape != (3,) or not (spacing > 0).all():
        raise SettingError(
            f"labels, spacing_mm: found {np.shape(labels)} and {spacing_mm}; expected D x H x W "
            "and three sizes > 0. Fix: pass slices, rows, columns, and their spacing in mm."
        )
    if not 0 < max(labels.max(), 0) <= len(bones) or truth.max() > len(bones):
        raise SettingError(
            f"labels: found up to {labels.max()} (truth {truth.max()}); expected 1 to {len(bones)} "
            f"for {', '.join(bones)}. Fix: name every label, and predict a bone."
        )
