"""PlasticityPropagator: learns how a crystal's state changes with strain, and steps grains along strain."""

from collections.abc import Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any, Literal, Self, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted

from skmerge._digest import Digested
from skmerge._ext.crystal_stepping import Flow
from skmerge._orientation import check_axis
from skmerge._parameters import check_flag, seed_of
from skmerge._plasticity import axial, flow, forms, grain_file, held_out, loaded, options, plain, records, simulated
from skmerge._plasticity.axial import Axial
from skmerge._plasticity.flags import LOST, warn_of
from skmerge._plasticity.free import Free
from skmerge._plasticity.kind import Learner
from skmerge._plasticity.loaded import Loaded
from skmerge._plasticity.plain import Plain
from skmerge._progress import Reporter, fitting, with_callbacks
from skmerge._text import warn
from skmerge._validation import check_features, check_targets, check_weight
from skmerge.forest import GradientForestRegressor

_F8: TypeAlias = NDArray[np.float64]

__all__ = ["PlasticityPropagator"]


class PlasticityPropagator(Digested, CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Learns the rates of a state from old simulations and steps new states along strain.

    With ``orientation`` the state is that of a cubic crystal under axial loading: stress, dislocation density and
    orientation. The loading axis is reduced to one stereographic triangle. The model learns the flow stress S, the
    storage of dislocations K and the lattice rotation W per plastic strain, functions of the axis and of sqrt(rho), and
    the elastic modulus E. In a strain step of size h and sign d::

        d sigma' = S x,   d sigma' - d sigma = E h (1 - sgn(x) abs(x)^n),   p = 1 - (d sigma' - d sigma) / (E h),
        sqrt(rho') - sqrt(rho) = K p h,   R' = R exp(W p d h).

    Without orientation it is a regressor of rates on states.

    Parameters
    ----------
    estimator : regressor or None, default=None
        The regressor. With orientation it learns S, K and W of flowing steps, and a table of splines replaces it. None
        is a `GradientForestRegressor`, which also takes the slopes along the trajectories; the splines are then fitted
        to the steps and, where there are none, to the forest. With a given regressor they are fitted to its
        predictions. A regressor of a single output is fitted to each.
    orientation : {None, "bunge", "quaternion"}, default=None
        "bunge": a state is stress in MPa, density in 1/m^2 and phi1, Phi, phi2 in rad, crystal to sample;
        "quaternion": stress, density and a unit quaternion x, y, z, w, crystal to sample. With either, a state may also
        be a pair: an array of stress and density, and a `scipy.spatial.transform.Rotation` of as many rows.
    axis : {"x", "y", "z"}, array-like of shape (3,) or None, default="z"
        Loading axis in the sample. None for loading without a symmetry axis: orientation is reduced by cubic symmetry
        alone, and regressors predict at every step, slower and less accurately; there is no compiled step.
    integrator : {"heun", "euler", "adaptive"}, default="heun"
        Two stages, one stage, or, without orientation only, so many substeps that the difference between both is below
        1e-4 of the trained range.
    memory : {"auto", True, False}, default="auto"
        Whether, with orientation, S, K and W depend on the axis at the start of a path rather than on the current one.
        Where several sets of slip systems are possible (full constraint), the first choice persists, and the state does
        not contain it. "auto" takes the better one on held-out trajectories, every fifth of 15 or more.
    n_jobs : int or None, default=None, threads over grains; the result does not depend on it
    random_state : int, RandomState instance or None, default=None
    loading : {"axial", "any"}, default="axial"
        "any": the velocity gradient is given, all six stresses are the state, and the law of slip is identified from
        the records: `fit_trajectories` and `propagate` with ``velocity_gradient``. It needs ``orientation``; leave
        axis, estimator, integrator and memory out.
    lattice : {"fcc", "bcc"} or pair of array-like of shape (n_systems, 3), default="fcc"
        Slip systems with ``loading="any"``, as `skmerge.crystal.slip_systems` takes them; along one axis only "fcc".
    stiffness : array-like of shape (3,), default=None
        C11, C12, C44 in GPa with ``loading="any"``; None reads them off records before plastic flow.
    law : {"auto", False}, default="auto"
        Whether, along one axis, a law of slip is sought that describes the records (that of `skmerge.crystal.Crystal`):
        with "auto" 800 crystals of it take the place of the records where it predicts others within 3 % of the stress,
        and from 15 trajectories on better than a table of the records does.
    verbose : int, default=0
        1 prints progress. Scikit-learn's callbacks (``set_callbacks``) receive the stages of a fit.

    Attributes
    ----------
    estimator_ : regressor
        Fitted on states, or on flowing steps (features b1 / b3, b2 / b3, sqrt(rho) over its maximum; targets S, K, W
        over their root mean squares). None with ``memory_`` or a law, if none was given.
    table_ : ndarray of shape (n_parts, n_axis, n_axis, n_density, 6)
        Coefficients of cubic B-splines of S, K, W and E, for each direction of straining that was trained; 32 x 32 x 6
        of them, 48 x 48 x 40 with ``memory_``.
    reached_ : uint8 ndarray of shape (n_parts, n_axis - 3, n_axis - 3, n_density - 3)
        Cells of the table that contain trained states.
    grid_ : ndarray of shape (6,)
        Low and step of the axis, low and step of sqrt(rho), its least and greatest trained value; with
        ``loading="any"`` the last two alone.
    part_ : int32 ndarray of shape (2,)
        The part of the table for falling and for rising strain; -1 - part if only the other direction was trained.
        Without orientation 0 for a trained direction, -1 for another.
    exponent_ : float
        n of the knee; with ``loading="any"`` of the law of slip.
    memory_ : bool
        The memory chosen by held-out trajectories.
    longest_step_ : float
        Longest trained strain step.
    start_ : ndarray of shape (2,)
        Range of sqrt(rho) where trajectories begin.
    std_strain_, std_squares_ : ndarray of shape (n_bins,) and (12, 12, n_bins, 3)
        Mean squares of the errors of held-out trajectories (stress, logarithm of density, lattice in rad), by the axis
        at the start and by the strain passed; only with 15 or more trajectories.
    laws_ : tuple of str, g in MPa and drho/dGamma in 1/m^2; along one axis only where a law took the records' place.
    law_constants_ : dict, of such a law along one axis: ``Crystal(**law_constants_)``
    stiffness_, hardening_, misfit_ : ndarray, ndarray, float
        With ``loading="any"``: C11 - C12, 2 C44 and the bulk modulus in MPa (NaN where records keep the volume); tables
        of g and d sqrt(rho) / dGamma; median angle in degrees between the plastic strain of records and of the law.
    schmid_, lattice_spin_, held_out_error_ : ndarray of shape (5, n_systems) and (3, n_systems), float
        Of a law: Schmid tensors in the basis of deviators and spin of the lattice per slip, with ``loading="any"``;
        error of held-out stresses over their size, root mean squares.
    flags_ : uint8 ndarray of shape (n_grains,)
        Of the last `propagate`: 1 if a grain left the trained states, plus 2 if it was strained in an untrained
        direction, plus 4 if a step was longer than any trained one (and was divided), plus 8 if a model with
        ``memory_`` started at a density at which no trajectory begins, plus 16 if the grain was lost: its states are
        NaN from there on.
    n_features_in_, feature_names_in_ : as in scikit-learn

    Examples
    --------
    >>> import numpy as np
    >>> from skmerge import PlasticityPropagator, crystal
    >>> rng = np.random.default_rng(0)
    >>> strain = np.r_[np.linspace(0, 2e-3, 21), np.linspace(4e-3, 0.05, 24)]
    >>> angles = rng.uniform([0, 0.2, 0], [6, 1.3, 6], (40, 3))
    >>> old = crystal.simulate(angles, strain)
    >>> model = PlasticityPropagator(orientation="bunge", random_state=0).fit_trajectories(strain, old[:30])
    >>> new = model.propagate(old[30:, 0], strain)
    >>> bool(np.median(abs(new[-1, :, 0] / old[30:, -1, 0] - 1)) < 0.02)
    True
    """

    estimator_: Any
    table_: _F8
    reached_: NDArray[np.uint8]
    grid_: _F8
    part_: NDArray[np.int32]
    exponent_: float
    memory_: bool
    longest_step_: float
    start_: _F8
    std_strain_: _F8
    std_squares_: _F8
    flags_: NDArray[np.uint8]
    stiffness_: _F8
    hardening_: _F8
    laws_: tuple[str, str]
    law_constants_: dict[str, float]
    misfit_: float
    schmid_: _F8
    lattice_spin_: _F8
    held_out_error_: float
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        estimator: object = None,
        *,
        orientation: Literal["bunge", "quaternion"] | None = None,
        axis: ArrayLike | None = "z",
        integrator: Literal["heun", "euler", "adaptive"] = "heun",
        memory: bool | Literal["auto"] = "auto",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        loading: Literal["axial", "any"] = "axial",
        lattice: str | tuple[ArrayLike, ArrayLike] = "fcc",
        stiffness: ArrayLike | None = None,
        law: Literal["auto", False] = "auto",
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.orientation = orientation
        self.axis = axis
        self.integrator = integrator
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.loading = loading
        self.lattice = lattice
        self.stiffness = stiffness
        self.law = law
        self.verbose = verbose

    # --- fitting

    @with_callbacks
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn rates of states.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            States.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their rates per strain under rising strain. With orientation, states and rates have the columns of the
            state: five with Bunge angles, six with quaternions.
        sample_weight : array-like of shape (n_samples,), default=None
            Passed to the estimator, which must take it.

        Returns
        -------
        self
        """
        self._check_loading("axial", "fit")
        with self._fitting({"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}) as task:
            self._fit(X, y, sample_weight, task)
        return self

    @with_callbacks
    def fit_trajectories(
        self,
        strain: ArrayLike,
        state: ArrayLike,
        *,
        velocity_gradient: ArrayLike | None = None,
        rates: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Learn from recorded trajectories.

        Parameters
        ----------
        strain : array-like of shape (n_steps,) or (n_trajectories, n_steps), or (n_records,) with ``groups``
            Strain at the records; monotone or with reversals.
        state : array-like of shape (n_trajectories, n_steps, n_variables), or (n_records, n_variables) with ``groups``
            With orientation: stress in MPa, density in 1/m^2 and the orientation in the columns that ``orientation``
            names, or a pair of stress and density, (n_trajectories, n_steps, 2), and a Rotation of as many rows, or a
            list of one for each trajectory.
        velocity_gradient : array-like of shape ([n_trajectories,] n_steps - 1, 3, 3) or (3, 3), default=None
            With ``loading="any"``: L = dv/dx in the sample in 1/s between two records. ``strain`` is then the time in
            s, and state has ten columns: stresses xx, yy, zz, yz, xz, xy in MPa, density, phi1, Phi, phi2 (or a
            quaternion), NaN after the end of a trajectory; or it is a pair of the first seven and a Rotation.
        rates : array-like of the shape of state, default=None
            Rates per strain at the records, under rising strain; by default those from each record to the next.
        groups : array-like of shape (n_records,), default=None
            The trajectory of each record; the records of a trajectory stand together, in the order of its path.

        Returns
        -------
        self

        Warns
        -----
        UserWarning
            If the records do not resolve the knee from elastic to plastic, seem to have other units, repeat each other,
            are so close that their slopes are rounding errors, jump between equivalent orientations, or have a constant
            density while the stress rises; if similar states have different rates; if errors of held-out trajectories
            exceed a tenth of the stress or a third of the rotation. The message names the usual causes.
        """
        with self._fitting({}) as task:
            if self.loading == "any":
                if rates is not None or groups is not None:
                    raise ValueError('rates and groups have no part in loading="any"; leave them out.')
                self._fit_loaded(strain, state, velocity_gradient, task)
            elif velocity_gradient is not None:
                raise ValueError('velocity_gradient needs loading="any".')
            else:
                self._fit_trajectories(strain, state, rates, groups, task)
        return self

    def fit_table(self, table: ArrayLike | str | PathLike[str], *, columns: Sequence[str] | None = None) -> Self:
        """Learn from a long table, one row for each record.

        Parameters
        ----------
        table : DataFrame, or path of a CSV or Parquet file (read by pandas)
        columns : sequence of str, default=None
            Names of trajectory, strain and variables; None is trajectory, strain, sigma, rho, phi1, Phi, phi2.

        Returns
        -------
        self
        """
        self._check_loading("axial", "fit_table")
        strain, state, groups = records.read_table(table, columns)
        return self.fit_trajectories(strain, state, groups=groups)

    @contextmanager
    def _fitting(self, data):
        options.check(self)
        self._axis()
        with fitting(self, data) as task:
            for name in ("std_strain_", "std_squares_", "flags_", "feature_names_in_", *loaded.ALONE):
                vars(self).pop(name, None)
            yield task

    def _fit(self, X, y, sample_weight, task):
        X = check_features(self, forms.in_columns("X", X, self.orientation), allow_nan=False)
        y, n_outputs = check_targets(self, X, y)
        if np.isnan(y).any():
            raise ValueError("y contains NaN; leave out rows with unknown rates.")
        y = y[:, 0] if n_outputs is None else y
        weight = None
        if sample_weight is not None:
            keep = check_weight(sample_weight, len(X)) > 0
            X, y, weight = X[keep], y[keep], np.asarray(sample_weight, dtype=float)[keep]
        if self.orientation is None:
            return self._learn(plain.Rates.of_states(X, y), task, weight)
        records.check_states(forms.with_angles("X", X, self.orientation), "X")
        if y.shape != X.shape:
            raise ValueError(f"y must hold the rates of the columns of X; X has shape {X.shape}, y {y.shape}.")
        return self._learn(flow.states_with_rates(X, y, self._axis()), task, weight)

    def _fit_trajectories(self, strain, state, rates, groups, task):
        state = forms.in_columns("state", state, self.orientation)
        read = records.check_records(strain, state, groups, rates)
        strain, state, group = read.strain, read.state, read.group
        if read.rates is not None:
            h = np.diff(strain)[group[1:] == group[:-1]]
            if (h < 0).any():
                raise ValueError("rates must be those of rising strain, but strain falls; leave rates out.")
            self._fit(state, read.rates, None, task)
            self.longest_step_ = float(h.max())
            return
        self.n_features_in_ = state.shape[1]
        if self.orientation is None:
            return self._learn(plain.Rates.of_records(strain, state, group), task)
        state = forms.with_angles("state", state, self.orientation)
        state = records.of_crystals(strain, state, group)
        axis, learned, memory, problems, found = self._axis(), (strain, state, group), False, (), {}
        if axis is not None:
            learner = None if self.estimator is None else self._learner()
            seed = seed_of(self.random_state) if learner is None and getattr(self, "law", "auto") else None
            learned, memory, found, problems = simulated.training(learned, axis, self.memory, learner, seed, task)
            vars(self).update(found)
        self._learn(flow.steps_of(*learned, axis, memory), task, None, memory, problems, "laws_" in found)

    def _fit_loaded(self, time, state, gradient, task):
        stage, options = task.begin("law of slip"), (self.orientation, self.lattice, self.stiffness)
        found, told = loaded.learn(time, gradient, state, *options, seed_of(self.random_state))
        vars(self).update(found)
        for text in told:
            warn(text)
        stage.end(f"exponent {self.exponent_:.2f}; {self.laws_[0]}; {self.laws_[1]}")

    def _learner(self):
        common = {"n_jobs": self.n_jobs, "random_state": seed_of(self.random_state), "verbose": self.verbose}
        forest = GradientForestRegressor(**self._kind().FOREST, **common)
        is_default = self.estimator is None
        return Learner(forest if is_default else self.estimator, is_default, common["random_state"])

    def _learn(self, data, task, weight=None, memory=False, problems=(), has_law=False):
        """``data``: Rates or Steps, as the kind takes them; those of a law fill the table without an estimator."""
        has_table = self.orientation is not None
        if has_table:
            n_trajectories = len(np.unique(data.group))
            if n_trajectories < 5:
                raise ValueError(f"{n_trajectories} trajectories are too few to learn from; give 5 or more.")
        stage = task.begin("table" if has_table else "rates")
        fitted, more = self._kind().learn(data, None if has_law else self._learner(), weight, memory)
        for text in (*more, *problems):
            warn(text)
        vars(self).update(fitted)
        text = f"{type(self.estimator_).__name__} fitted on {len(data.sign)} rates"
        if has_table:
            text = f"{len(data.sign)} steps of {n_trajectories} trajectories, exponent of the knee {self.exponent_:.1f}"
        stage.end(text)

    # --- prediction

    def predict(self, X: ArrayLike) -> _F8:
        """Rates of states per strain, under rising strain.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        rates : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        self._check_fitted()
        self._check_loading("axial", "predict")
        given = check_features(self, forms.in_columns("X", X, self.orientation), allow_nan=False, reset=False)
        X = forms.checked("X", given, self.orientation)
        y = self._propagator().rates(X)
        return y if self.orientation is None else forms.rates_of_columns(y, X, given, self.exponent_, self.orientation)

    @overload
    def propagate(
        self,
        state0: ArrayLike,
        strain: ArrayLike,
        return_std: Literal[False] = False,
        *,
        velocity_gradient: ArrayLike | None = None,
        out: _F8 | None = None,
    ) -> _F8: ...
    @overload
    def propagate(
        self,
        state0: ArrayLike,
        strain: ArrayLike,
        return_std: Literal[True],
        *,
        velocity_gradient: ArrayLike | None = None,
        out: Sequence[_F8] | None = None,
    ) -> tuple[_F8, _F8]: ...
    def propagate(self, state0, strain, return_std=False, *, velocity_gradient=None, out=None):
        """Step grains along strain.

        Parameters
        ----------
        state0 : array-like of shape (n_grains, n_variables)
            States at the first strain. With orientation also a pair of stress and density, (n_grains, 2), and a
            Rotation of n_grains.
        strain : array-like of shape (n_steps,), or (n_grains, n_steps) for a path of its own for each grain
        return_std : bool, default=False
            Also return standard deviations: the errors of held-out trajectories that began nearby, at the same length
            of the strain path. Those of angles are at most the standard deviation of a random angle.
        velocity_gradient : array-like of shape ([n_grains,] n_steps - 1, 3, 3) or (3, 3), default=None
            With ``loading="any"``, where ``strain`` is the time in s: as in `fit_trajectories`.
        out : ndarray of shape (n_steps, n_grains, n_variables), default=None
            Array for the result, for instance a memory map; float64 in C order. With ``return_std`` two of them.

        Returns
        -------
        state : ndarray of shape (n_steps, n_grains, n_variables)
            ``out``; row 0 is the start. If state0 is a pair, a pair: stress and density of shape (n_steps, n_grains,
            2), and a list of n_steps Rotations of n_grains each.
        std : ndarray of the same shape
            Only with ``return_std``. If state0 is a pair: of stress, density and lattice (in rad), shape (n_steps,
            n_grains, 3).

        Warns
        -----
        UserWarning
            If grains leave the trained states, are strained in an untrained direction or by longer steps, or are lost:
            see ``flags_``.

        Raises
        ------
        ValueError
            If the input does not fit, or if every grain is lost.
        """
        self._check_fitted()
        options.check(self)
        self._axis()
        check_flag("return_std", return_std)
        if self.loading == "any":
            return self._propagate_loaded(state0, strain, velocity_gradient, return_std, out)
        if velocity_gradient is not None:
            raise ValueError('velocity_gradient needs loading="any".')
        pair = forms.is_pair(state0)
        form = "quaternion" if pair and self.orientation is not None else self.orientation
        start = forms.read_start(state0, form)
        n, m = start.shape
        if m != self.n_features_in_ and not pair:
            raise ValueError(f"state0 has {m} variables; give {self.n_features_in_}, as the trajectories have.")
        strain = records.check_path(strain, n)
        if return_std and not hasattr(self, "std_squares_"):
            raise ValueError(
                f"return_std needs orientation, an axis and {held_out.ENOUGH_TRAJECTORIES} or more training "
                "trajectories without given rates; a fifth of them is held out to learn the errors."
            )
        if pair and out is not None:
            raise ValueError("out takes no Rotation; give state0 as an array, with orientation in its columns.")
        shape = strain.shape[1], n, m
        out, std = records.check_outs(out, return_std, shape, (*shape[:2], 3) if pair else shape)
        flags = np.zeros(n, np.uint8)
        X = forms.checked("state0", start, form)
        if self.orientation is not None:
            records.check_strain_unit(strain)

        errors, axis = (self.std_strain_, self.std_squares_) if return_std else None, self._axis()

        def write(part, block, path):
            out[:, part] = forms.like_start(block, start[part], form)
            if errors is not None:
                three = held_out.standard_deviations(*errors, X[part], path, block[..., 1], axis)
                std[:, part] = three if pair else forms.std_of_columns(three, out[:, part], form)

        self._propagator().propagate(X, strain, write, flags, self.n_jobs, Reporter(type(self).__name__, self.verbose))
        flags[~np.isfinite(out[-1]).all(axis=1)] |= LOST
        if (flags & LOST).all() and n:
            raise ValueError(
                "state0 leads to numbers that are not finite: states or strain are far beyond the training, or the "
                "propagator is damaged."
            )
        self.flags_ = flags
        warn_of(flags)
        if pair:
            out = forms.as_pair(out)
        return (out, std) if return_std else out

    def _propagate_loaded(self, state0, time, gradient, return_std, out):
        errors = (getattr(self, "std_strain_", None), getattr(self, "std_squares_", None)) if return_std else None
        options = self.orientation, errors, out, self.n_jobs, Reporter(type(self).__name__, self.verbose)
        path, std, self.flags_ = self._propagator().propagate(state0, time, gradient, *options)
        warn_of(self.flags_)
        return (path, std) if return_std else path

    def _kind(self):
        if self.loading == "any":
            return Loaded
        return Plain if self.orientation is None else Free if self.axis is None else Axial

    def _propagator(self, tol=None):
        """What was fitted."""
        kind = self._kind()
        fitted = {name: getattr(self, name) for name in kind.NAMES}
        return Loaded(fitted, tol) if kind is Loaded else kind(fitted, self._axis(), self.integrator)

    def _at_points(self, tol):
        self._check_fitted()
        self._check_loading("any", "Polycrystal")
        return self._propagator(tol).at_points()

    def compiled_step(self) -> Flow:
        """The step of a grain for other programs, without Python.

        Returns
        -------
        Flow
            ``function`` is the address of ``int step(const void *model, const double state[9], double d_eps, double
            new_state[9], double *tangent)``, ``address`` its first argument, valid while this object lives. A state is
            stress in MPa, density in 1/m^2, the quaternion x, y, z, w, crystal to sample, and the loading axis in the
            crystal at the start of the path: see `compiled_start`. The tangent is d sigma / d eps in MPa; give NULL to
            omit it. The function returns flags as in `flags_`. The header: ``skmerge/_ext/crystal_stepping.h``.
        """
        self._check_fitted()
        self._check_loading("axial", "compiled_step")
        return self._propagator().flow()

    def compiled_start(self, state0: ArrayLike) -> _F8:
        """States as `compiled_step` takes them, at the start of paths.

        Parameters
        ----------
        state0 : array-like of shape (n_grains, 5)

        Returns
        -------
        ndarray of shape (n_grains, 9)
        """
        self._check_loading("axial", "compiled_start")
        return axial.starts(
            forms.checked("state0", forms.read_start(state0, self.orientation), self.orientation), self._axis()
        )

    def save_grain_law(self, path: str | PathLike[str]) -> None:
        """Write the law of slip to a file that C and Fortran programs load without Python.

        With ``loading="any"``. The file is the same on every machine; ``grain_model.h`` in `skmerge.get_include` has
        its layout and the function that loads it, the page "In a finite-element program" the rest.

        Parameters
        ----------
        path : path of the file; one that exists is replaced
        """
        self._check_fitted()
        self._check_loading("any", "save_grain_law")
        grain_file.write(path, self._propagator().file_content())

    def applicability(self, X: ArrayLike) -> _F8:
        """Whether states lie within the trained states: 0 inside, 1 outside, for rising strain.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        self._check_fitted()
        if self.loading == "any":
            return np.where(self._propagator().inside(loaded.States.read("X", X, self.orientation)), 0.0, 1.0)
        X = check_features(self, forms.in_columns("X", X, self.orientation), allow_nan=False, reset=False)
        return np.where(self._propagator().inside(forms.checked("X", X, self.orientation)), 0.0, 1.0)

    def _check_fitted(self):
        check_is_fitted(self, "part_")
        if not all(hasattr(self, name) for name in self._kind().NAMES):
            raise ValueError(
                "orientation, axis or loading are no longer those of the fit: set them back, or fit again."
            )
        for name in ("table_", "std_squares_", "_box", "hardening_", "schmid_"):
            if not np.isfinite(getattr(self, name, 0.0)).all():
                raise ValueError(f"{name} has entries that are not finite; the propagator is damaged, fit it again.")

    def _check_loading(self, needed, what):
        if self.loading != needed:
            other = "fit_trajectories and propagate" if needed == "axial" else "compiled_step"
            raise ValueError(f'{what} needs loading="{needed}"; with "{self.loading}" there is {other}.')
        if what.startswith("compiled") and (self.orientation is None or self.axis is None):
            raise ValueError(f"{what} needs orientation and an axis: other rates come from a regressor.")

    def _axis(self):
        return None if self.axis is None else np.ascontiguousarray(check_axis(self.axis))
