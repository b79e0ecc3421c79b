"""Validation by held-out trajectories: whether memory decreases errors, how large errors are, and warnings."""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from skmerge._orientation import inverse, product, quaternion_of, reduced_axis, rotation_vector
from skmerge._plasticity import axial, flow

WRONG_STRESS, WRONG_TURN = 0.1, 1 / 3  # shares of stress and rotation; larger errors cause a warning
ENOUGH_TRAJECTORIES = 15  # trajectories; from so many on, a fifth is held out
NODES, BINS = 12, 24  # of the table of errors, along each coordinate of the axis and along the strain path
NODE_WIDTH = 0.06  # width in b1 / b3 and b2 / b3 of the neighbourhood of a node
WORTH = 0.8  # memory must reduce errors by a fifth, because it is of no use for paths that begin elsewhere
EVERYWHERE = 1.0  # all held-out trajectories together weigh as much as so many at a node


class Trial(NamedTuple):
    """A held-out trajectory, stepped from its start (5,)."""

    start: np.ndarray
    passed: np.ndarray  # (n_steps,), length of the strain path
    error: np.ndarray  # (n_steps, 3), of stress in MPa, of the logarithm of the density, and of the lattice in rad


class Validation(NamedTuple):
    """What held-out trajectories say."""

    memory: bool  # the better choice
    fitted: dict  # attributes of a PlasticityPropagator
    problems: list  # a warning if errors are too large
    score: float  # mean error


def validate(strain, state, group, axis, memories, learner, task, held=None, learned=None):
    """Learn, with each choice of memory, and step held-out trajectories: every fifth, or those of ``held`` (n,).

    ``learned``: strain, states and groups to learn from; by default the other trajectories.
    """
    if learned is None:
        held = held_out(state, group)
        rest = ~held[group]
        learned = strain[rest], state[rest], np.unique(group[rest], return_inverse=True)[1]
    best, chosen, found = None, memories[0], None
    for memory in memories:
        stage = task.begin("held-out trajectories")
        steps = flow.steps_of(*learned, axis, memory)
        trial = errors(axial.Axial.learn(steps, learner, memory=memory)[0], strain, state, group, held, axis)
        each = scores(trial, state)
        words = "with" if memory else "without"
        stop = stage.end(f"{words} memory: error {each.mean():.3g} of {held.sum()} held out")
        if best is None or much_smaller(each, best):
            best, chosen, found = each, memory, trial
        if stop:
            break
    passed, squares = table_of_errors(found, axis)
    fitted = {"std_strain_": passed, "std_squares_": squares}
    return Validation(chosen, fitted, problems(found, state, group, held), best.mean())


def problems(found, state, group, held):
    """A warning if errors are too large."""
    rows, first = held[group], np.searchsorted(group, group)
    error = np.sqrt(np.mean(np.concatenate([one.error[:, 0] for one in found]) ** 2))
    stress = np.sqrt(np.mean(state[rows, 0] ** 2))
    rotation = product(inverse(quaternion_of(state[first, 2:5])), quaternion_of(state[:, 2:5]))[rows]
    rotation = np.linalg.norm(rotation_vector(rotation), axis=1).mean()
    lattice = np.concatenate([one.error[:, 2] for one in found]).mean()
    # The relative error means nothing if the lattice hardly turns, as for symmetric axes.
    if not error > WRONG_STRESS * stress and not lattice > max(WRONG_TURN * rotation, np.radians(0.2)):
        return []
    return [
        f"{held.sum()} held-out trajectories have errors of {100 * error / stress:.0f} % of the stress (root mean "
        f"squares) and of {np.degrees(lattice):.2g} degrees where the lattice turns by {np.degrees(rotation):.2g} "
        "(means): do not rely on this model. Usual causes: the loading is not along axis, or not along one axis; "
        "angles from sample to crystal; a lattice that is not cubic; too few trajectories; flow depends on something "
        "that is not in the state."
    ]


def held_out(state, group):
    """Which trajectories are held out: every fifth, in an order that does not depend on that of the records."""
    first = state[np.flatnonzero(np.r_[True, group[1:] != group[:-1]])]
    held = np.zeros(len(first), bool)
    held[np.lexsort(first.T)[4::5]] = True
    return held


def errors(fitted, strain, state, group, held, axis):
    """The Trial of each held-out trajectory."""
    stepper, out = axial.Axial(fitted, axis).flow(), []
    begin = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    for i in np.flatnonzero(held):
        part = slice(begin[i], begin[i + 1] if i + 1 < len(begin) else None)
        path, truth = strain[part], state[part]
        found = np.empty((len(path), 1, 5))
        stepper.propagate(
            axial.starts(truth[:1], axis), truth[:1, 2:5].copy(), path[None], found, np.zeros(1, np.uint8),
            np.zeros(1, np.int32),
        )  # fmt: skip
        found = found[:, 0]
        rotation = product(inverse(quaternion_of(truth[:, 2:5])), quaternion_of(found[:, 2:5]))
        lattice = np.linalg.norm(rotation_vector(rotation), axis=1)
        passed = np.r_[0.0, np.abs(np.diff(path)).cumsum()]
        error = np.column_stack([found[:, 0] - truth[:, 0], np.log(found[:, 1] / truth[:, 1]), lattice])
        out.append(Trial(truth[0], passed, error))
    return out


def scores(found, state):
    """Mean absolute error of each trajectory, columns in units of their size. A few lost grains dominate squares."""
    size = np.array([state[:, 0].std(), np.log(state[:, 1]).std(), 0.1])
    return np.array([np.abs(one.error / np.where(size > 0, size, 1.0)).mean() for one in found])


def much_smaller(scores, others):
    """Whether scores of the same trajectories are lower by a fifth, and by more than two standard errors."""
    gain = others - scores
    return scores.mean() < WORTH * others.mean() and gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain))


def plane_of(state, axis):
    """b1 / b3 and b2 / b3 of states (n, 5)."""
    b = reduced_axis(axial.starts(state, axis)[:, 6:])[0]
    return b[:, :2] / b[:, 2:]


def table_of_errors(found, axis):
    """Strain passed (BINS,) and, by it, mean squares of errors (NODES, NODES, BINS, 3) near nodes of the first axis."""
    passed = np.unique(np.quantile(np.concatenate([one.passed for one in found]), np.linspace(0, 1, BINS)))
    place = plane_of(np.stack([one.start for one in found]), axis)
    squares = np.full((len(found), len(passed), 3), np.nan)
    for i, one in enumerate(found):
        for k in range(3):
            squares[i, :, k] = np.interp(passed, one.passed, one.error[:, k] ** 2, right=np.nan)
    node = np.linspace(0, 1, NODES)
    nodes = np.stack(np.meshgrid(node, node, indexing="ij"), axis=-1)
    distance2 = ((nodes[:, :, None] - place) ** 2).sum(axis=-1)
    weight = np.exp(-distance2 / (2 * NODE_WIDTH**2)) + EVERYWHERE / len(found)
    known = ~np.isnan(squares)
    sums = np.einsum("ijn,nbk->ijbk", weight, np.where(known, squares, 0.0))
    return passed, sums / np.einsum("ijn,nbk->ijbk", weight, known.astype(float))


def standard_deviations(passed, squares, start, strain, density, axis):
    """Standard deviations of stress, density and lattice in rad, (n_steps, n, 3).

    For starts (n, 5), strain (1 or n, n_steps) and propagated density (n_steps, n).
    """
    node = np.linspace(0, 1, len(squares))
    near = RegularGridInterpolator((node, node), squares)(np.clip(plane_of(start, axis), 0, 1))
    path = np.abs(np.diff(strain, axis=1, prepend=strain[:, :1])).cumsum(axis=1)
    at = np.clip(np.searchsorted(passed, path, side="right") - 1, 0, len(passed) - 2)
    share = np.clip((path - passed[at]) / (passed[at + 1] - passed[at]), 0.0, 1.0)[..., None]
    row = np.arange(len(start))[:, None]
    variance = (1 - share) * near[row, at] + share * near[row, at + 1]
    variance = variance * np.maximum(path / passed[-1], 1.0)[..., None] ** 2  # errors go on growing beyond the records
    std = np.sqrt(variance).transpose(1, 0, 2)
    std[..., 1] *= density
    return std
