"""The stereographic triangle [001], [011], [111], in which a direction of a cubic crystal stands once."""

import numpy as np
from common import GREY
from scipy.spatial.transform import Rotation


def project(angles, axis=(0, 0, 1)):
    """Stereographic coordinates (..., 2) of a sample axis in crystals of Bunge angles (..., 3) in rad."""
    flat = np.reshape(angles, (-1, 3))
    b = np.sort(np.abs(Rotation.from_euler("ZXZ", flat).inv().apply(axis)), axis=1)
    return (b[:, 1::-1] / (1 + b[:, 2:])).reshape(*np.shape(angles)[:-1], 2)


def draw(axes, title):
    """Edges and corners of the triangle."""
    t = np.linspace(0, 1, 50)
    arc = np.column_stack([t, np.ones(50), np.ones(50)])
    arc /= np.linalg.norm(arc, axis=1)[:, None]
    arc = arc[:, 1::-1] / (1 + arc[:, 2:])
    edge = np.concatenate([[[0, 0]], arc, [[0, 0]]])
    axes.plot(*edge.T, color=GREY, lw=1, zorder=0)
    for corner, (x, y), where in (("[001]", (0, 0), "right"), ("[011]", arc[0], "left"), ("[111]", arc[-1], "left")):
        nudge = -0.008 if where == "right" else 0.008
        axes.text(x + nudge, y, corner, ha=where, va="center", color=GREY, fontsize=9)
    axes.set(aspect="equal", xlim=(-0.07, 0.49), ylim=(-0.02, 0.39))
    axes.set_title(title, fontsize=11)
    axes.axis("off")
