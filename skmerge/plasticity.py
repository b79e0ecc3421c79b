"""PlasticityPropagator: learns how a crystal's state changes with strain, and steps grains along strain."""

import warnings
from numbers import Real

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from skmerge import _flow
from skmerge._ext.stepping import Flow
from skmerge._orientation import check_axis, product, quaternion_from, quaternion_of, unwrapped_angles
from skmerge._validation import naming
from skmerge.forest import GradientForestRegressor

CHUNK = 200_000  # steps of grains by one thread between two words about progress, some 0.2 s
INTEGRATORS = ("euler", "heun", "adaptive")
TOLERANCE = 1e-5  # of an adaptive step
OUTSIDE, REVERSED, LONG = 1, 2, 4  # flags


class PlasticityPropagator(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Learns the rates of a state from old simulations and steps new states along strain.

    With ``orientation="bunge"`` the state is that of a cubic crystal under axial loading: stress, dislocation density
    and Bunge angles. The loading axis is reduced to one stereographic triangle; what is learned is the flow stress S,
    the storage of dislocations K and the lattice rotation W per plastic strain, functions of the axis and of sqrt(rho),
    and the elastic modulus E. In a strain step of size h and sign d

        d sigma' = S x,   d sigma' - d sigma = E h (1 - sgn(x) abs(x)^n),   p = 1 - (d sigma' - d sigma) / (E h),
        sqrt(rho') - sqrt(rho) = K p h,   R' = R exp(W p d h).

    Without orientation it is an ordinary regressor of rates on states.

    Parameters
    ----------
    estimator : regressor or None, default=None
        What learns. With orientation it learns S, K and W of flowing steps and is condensed into a table of splines.
        None is a `GradientForestRegressor`, which also takes the slopes along the trajectories; the splines then follow
        the steps themselves and, where none comes, the forest. Of a given regressor of several outputs they follow the
        predictions.
    orientation : {None, "bunge"}, default=None
        "bunge": a state is stress in MPa, density in 1/m^2 and phi1, Phi, phi2 in rad, crystal to sample.
    axis : {"x", "y", "z"} or array-like of shape (3,), default="z"
        Loading axis in the sample.
    integrator : {"heun", "euler", "adaptive"}, default="heun"
        Two stages, one stage, or steps halved until two halves agree with the whole to 1e-5.
    n_jobs : int or None, default=None
        Threads over grains; the result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 prints progress.

    Attributes
    ----------
    estimator_ : regressor
        Fitted on states, or on flowing steps (features b1 / b3, b2 / b3, sqrt(rho) over its greatest; targets S, K, W
        over their root mean squares).
    table_ : ndarray of shape (n_parts, 32, 32, 6, 6)
        Coefficients of cubic B-splines of S, K, W and E, for each direction of straining that was trained.
    reached_ : uint8 ndarray of shape (n_parts, 29, 29, 3)
        Cells of the table that training came to.
    grid_ : ndarray of shape (6,)
        Low and step of the axis, low and step of sqrt(rho), its least and greatest trained value.
    part_ : int32 ndarray of shape (2,)
        The part of the table for falling and for rising strain; -1 - part if only the other direction was trained.
    exponent_ : float
        n of the knee.
    longest_step_ : float
        Longest trained strain step.
    flags_ : uint8 ndarray of shape (n_grains,)
        Of the last `propagate`: 1 where a grain left the trained states, plus 2 where it was strained in a direction
        that no trajectory tells of, plus 4 where a step was longer than any trained one (and was parted).
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

    def __init__(
        self,
        estimator=None,
        *,
        orientation=None,
        axis="z",
        integrator="heun",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.orientation = orientation
        self.axis = axis
        self.integrator = integrator
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # --- fitting

    def fit(self, X, y):
        """Learn rates.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            States.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their rates per strain, the strain rising. With orientation, states and rates have the five columns of
            the state.

        Returns
        -------
        self
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, dtype=np.float64)
        if self.orientation is None:
            self.estimator_ = self._fresh().fit(X, y)
            self._box = np.stack([X.min(axis=0), X.max(axis=0)])
            return self
        if X.shape[1] != 5 or y.shape != X.shape:
            raise ValueError(
                f'orientation="bunge" needs states and rates of five columns (stress, density, phi1, Phi, phi2); X has '
                f"shape {X.shape}, y {y.shape}."
            )
        self._check_states(X, "X")
        return self._learn(_flow.states_with_rates(X, y, self._axis()), longest=np.inf)

    def fit_trajectories(self, strain, state, *, rates=None, groups=None):
        """Learn from recorded trajectories.

        Parameters
        ----------
        strain : array-like of shape (n_steps,), or (n_records,) with ``groups``
            Strain at the records; monotone or with reversals.
        state : array-like of shape (n_trajectories, n_steps, n_variables), or (n_records, n_variables) with ``groups``
            With orientation: stress in MPa, density in 1/m^2, phi1, Phi, phi2 in rad.
        rates : array-like of the shape of state, default=None
            Rates per strain at the records; by default those from each record to the next.
        groups : array-like of shape (n_records,), default=None
            Which trajectory each record belongs to; the records of one stand together, in the order of its path.

        Returns
        -------
        self
        """
        self._check_parameters()
        strain, state, group = self._records(strain, state, groups)
        if rates is not None:
            with naming("rates"):
                rates = check_array(rates, dtype=float, allow_nd=True, ensure_2d=False, input_name="rates")
            if rates.size != state.size:
                raise ValueError(f"rates must have the shape of state, got {rates.shape}.")
            return self.fit(state, rates.reshape(state.shape))
        if self.orientation is None:
            at = np.flatnonzero(group[1:] == group[:-1])
            h = (strain[at + 1] - strain[at])[:, None]
            return self.fit((state[at] + state[at + 1]) / 2, (state[at + 1] - state[at]) / h)
        self.n_features_in_ = 5
        return self._learn(_flow.steps_of(strain, state, group, self._axis()))

    def fit_table(self, table, *, columns=None):
        """Learn from a long table: a trajectory's records stand below each other.

        Parameters
        ----------
        table : DataFrame, or path of a CSV or Parquet file (read by pandas)
        columns : sequence of str, default=None
            Names of the trajectory, the strain and the variables; by default trajectory, strain, sigma, rho, phi1,
            Phi, phi2.

        Returns
        -------
        self
        """
        if not hasattr(table, "columns"):
            import pandas as pd

            path = str(table)
            table = pd.read_parquet(path) if path.endswith((".parquet", ".pq")) else pd.read_csv(path)
        columns = list(columns or ("trajectory", "strain", "sigma", "rho", "phi1", "Phi", "phi2"))
        missing = [name for name in columns if name not in list(table.columns)]
        if missing or len(columns) < 3:
            raise ValueError(
                f"table has no column {', '.join(map(repr, missing)) or 'of a variable'}; its columns are "
                f"{', '.join(map(str, table.columns))}. Give columns=(trajectory, strain, *variables)."
            )
        values = np.column_stack([np.asarray(table[name], dtype=float) for name in columns[1:]])
        labels = np.unique(np.asarray(table[columns[0]]), return_inverse=True)[1]
        order = np.argsort(labels, kind="stable")
        return self.fit_trajectories(values[order, 0], values[order, 1:], groups=labels[order])

    def _fresh(self):
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        if self.estimator is not None:
            estimator = clone(self.estimator)
            if estimator.get_params().get("random_state", 0) is None:
                estimator.set_params(random_state=seed)
            return estimator
        if self.orientation is None:
            return GradientForestRegressor(n_jobs=self.n_jobs, random_state=seed)
        # Leaves of 200 rows: of fewer, one follows a single trajectory and says nothing across it.
        return GradientForestRegressor(10, order=2, min_samples_leaf=200, n_jobs=self.n_jobs, random_state=seed)

    def _learn(self, steps, longest=None):
        n_trajectories = len(np.unique(steps.group))
        if n_trajectories < 5:
            raise ValueError(f"{n_trajectories} trajectories tell too little of other orientations; give 5 or more.")
        best, stiff, resolved = _flow.elastic_slopes(steps)
        if not (stiff > 0).all():
            raise ValueError("state has a trajectory whose stress never rises with strain; check columns and signs.")
        if not resolved and longest is None:
            warnings.warn(
                "the first strain step of the trajectories already holds the knee from elastic to plastic: the elastic "
                "slope is unknown and taken as ten times the first; record some steps of 1e-4 strain at the start.",
                stacklevel=3,
            )
        if longest is not None:  # states with rates: each is its own trajectory
            stiff = np.full(len(stiff), steps.slope.max())
        self._say(f"{len(steps.slope)} steps of {n_trajectories} trajectories")
        modulus = stiff[np.searchsorted(steps.group[best], steps.group)]
        grid = _flow.grid_of(steps)
        parts = {sign: self._part(steps, sign, best, stiff, modulus, grid) for sign in np.unique(steps.sign)}
        exponent = _flow.KNEE
        if resolved:
            tables = {sign: part[0] for sign, part in parts.items()}
            exponent = _flow.knee_exponent(steps, modulus, tables, grid)
            self._say(f"exponent of the knee {exponent:.1f}")
        self.exponent_, self.grid_ = exponent, grid
        self.table_ = np.stack([parts[sign][0] for sign in sorted(parts)])
        self.reached_ = np.stack([parts[sign][1] for sign in sorted(parts)])
        self.estimator_ = parts[max(parts)][2]
        both = len(parts) == 2
        falling = 0 if -1 in parts else -1
        self.part_ = np.array([falling, 1 if both else (0 if 1 in parts else -1)], np.int32)
        self.longest_step_ = float(steps.length.max()) if longest is None else longest
        return self

    def _part(self, steps, sign, best, stiff, modulus, grid):
        """Table, reached cells and estimator of one direction of straining."""
        plastic = 1.0 - steps.slope / modulus
        rows = np.flatnonzero((steps.sign == sign) & (plastic > _flow.FLOWING) & (sign * steps.stress > 0))
        if len(rows) < 50:
            raise ValueError(
                f"only {len(rows)} steps of {'rising' if sign > 0 else 'falling'} strain are plastic; at least 50 are "
                "needed. Give longer or more trajectories."
            )
        rows = _flow.thinned(steps, rows)
        values = _flow.targets(steps, rows, modulus)
        unit, scale = np.sqrt(np.mean(values**2, axis=0)), np.array([1.0, 1.0, grid[5]])
        unit[unit == 0] = 1.0
        slopes = {}
        if self.estimator is None:
            direction, slope = _flow.path_slopes(steps, rows, values)
            slopes = {"direction": direction / scale, "slope": slope / unit}
        estimator = self._fresh().fit(steps.features[rows] / scale, values / unit, **slopes)
        self._say(f"{type(estimator).__name__} fitted on {len(rows)} flowing steps")

        def guess(features):
            return estimator.predict(features / scale) * unit

        if self.estimator is not None:
            values = guess(steps.features[rows])
        return *_flow.condense(steps, rows, values, best, stiff, grid, guess), estimator

    # --- using what was learned

    def predict(self, X):
        """Rates of states, per strain, the strain rising.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        rates : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        check_is_fitted(self, "estimator_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        if self.orientation is None:
            return self.estimator_.predict(X)
        self._check_states(X, "X")
        quaternion, root = quaternion_of(X[:, 2:5]), np.sqrt(X[:, 1])
        y = np.empty((len(X), 6))
        self._flow().rates(quaternion, root, np.ones(len(X), np.int32), y)
        x = X[:, 0] / y[:, 0]
        plastic = np.abs(x) ** self.exponent_
        slope = y[:, 5] * (1.0 - np.sign(x) * plastic)
        delta = 1e-6
        later = product(quaternion, quaternion_from(delta * plastic[:, None] * y[:, 2:5]))
        angles = unwrapped_angles(np.stack([quaternion, later], axis=1), X[:, 2:5])
        return np.column_stack([slope, 2 * root * plastic * y[:, 1], (angles[:, 1] - angles[:, 0]) / delta])

    def propagate(self, state0, strain, *, out=None):
        """Step grains along strain.

        Parameters
        ----------
        state0 : array-like of shape (n_grains, n_variables)
            States at the first strain.
        strain : array-like of shape (n_steps,), or (n_grains, n_steps) for a path of its own for each grain
        out : ndarray of shape (n_steps, n_grains, n_variables), default=None
            Where to write, for instance a memory map; float64 in C order.

        Returns
        -------
        ndarray of shape (n_steps, n_grains, n_variables)
            ``out``; row 0 is the start.

        Warns
        -----
        UserWarning
            If grains leave the trained states, are strained in an untrained direction or by longer steps: see
            ``flags_``.
        """
        check_is_fitted(self, "estimator_")
        self._check_parameters()
        with naming("state0"):
            state0 = check_array(state0, dtype=np.float64, input_name="state0", order="C")
        with naming("strain"):
            strain = check_array(strain, dtype=np.float64, ensure_2d=False, input_name="strain")
        n, m = state0.shape
        if m != self.n_features_in_:
            raise ValueError(f"state0 has {m} variables, the trajectories had {self.n_features_in_}.")
        if strain.ndim > 2 or (strain.ndim == 2 and len(strain) != n):
            raise ValueError(f"strain must have shape (n_steps,) or ({n}, n_steps), got {strain.shape}.")
        strain = np.ascontiguousarray(np.atleast_2d(strain))
        shape = strain.shape[1], n, m
        if out is None:
            out = np.empty(shape)
        elif not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != float or not out.flags.c_contiguous:
            raise ValueError(f"out must be a float64 array of shape {shape} in C order, got {np.shape(out)}.")
        self.flags_ = np.zeros(n, np.uint8)
        if self.orientation is None:
            self._step_rates(state0, strain, out)
        else:
            self._check_states(state0, "state0")
            self._step_table(state0, strain, out)
        self._warn()
        return out

    def _step_table(self, state0, strain, out):
        flow = self._flow()
        cancelled = np.zeros(1, np.int32)
        n = len(state0)
        size = int(np.clip(CHUNK // strain.shape[1], 64, 8192))

        def run(start):
            part = slice(start, start + size)
            angles = state0[part, 2:5].copy()
            state = np.concatenate([state0[part, :2], quaternion_of(angles)], axis=1)
            path = strain if len(strain) == 1 else strain[part]
            block = np.empty((strain.shape[1], len(state), 5))
            flow.propagate(state, angles, path, block, self.flags_[part], cancelled)
            out[:, part] = block
            return len(state)

        done = 0
        try:
            parallel = Parallel(n_jobs=effective_n_jobs(self.n_jobs), prefer="threads", return_as="generator")
            for count in parallel(delayed(run)(start) for start in range(0, n, size)):
                done += count
                self._say(f"{done} of {n} grains propagated")
        finally:
            cancelled[0] = 1

    def _step_rates(self, state0, strain, out):
        """Explicit steps by predicted rates, within the trained range widened by half."""
        low, high = self._box
        width = high - low
        low, high = low - width / 2, high + width / 2
        out[0] = state0
        for t in range(strain.shape[1] - 1):
            h = np.diff(strain[:, t : t + 2], axis=1)
            rate = self.predict(out[t]).reshape(out[t].shape)
            after = np.clip(out[t] + h * rate, low, high)
            if self.integrator != "euler":
                rate = (rate + self.predict(after).reshape(rate.shape)) / 2
                after = np.clip(out[t] + h * rate, low, high)
            self.flags_ |= np.where(((after <= low) | (after >= high)).any(axis=1), OUTSIDE, 0).astype(np.uint8)
            out[t + 1] = after

    def _flow(self):
        tol = TOLERANCE if self.integrator == "adaptive" else 0.0
        longest = min(self.longest_step_, 1e300)
        return Flow(
            self.table_, self.reached_, self.grid_, self.part_, self.exponent_, self._axis(), longest,
            self.integrator != "euler", tol,
        )  # fmt: skip

    def compiled_step(self):
        """What a finite-element program needs to step a grain without Python.

        Returns
        -------
        Flow
            ``function`` is the address of ``int step(const void *model, const double state[6], double d_eps, double
            new_state[6], double *tangent)``, ``address`` its first argument, valid while this object lives. A state is
            stress in MPa, density in 1/m^2 and the quaternion x, y, z, w, crystal to sample; the tangent is d sigma /
            d eps in MPa, or NULL if it is not wanted; the flags that `flags_` explains are returned. The header is
            ``skmerge/_ext/stepping.h``.
        """
        check_is_fitted(self, "table_")
        return self._flow()

    def applicability(self, X):
        """Whether states lie where training came: 0 inside, 1 outside, for rising strain.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self, "estimator_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        if self.orientation is None:
            return np.where((np.clip(X, *self._box) != X).any(axis=1), 1.0, 0.0)
        self._check_states(X, "X")
        state = np.concatenate([X[:, :2], quaternion_of(X[:, 2:5])], axis=1)
        flags = np.zeros(len(X), np.uint8)
        out = np.empty((2, len(X), 5))
        path = np.array([[0.0, 1e-9]])
        self._flow().propagate(state, X[:, 2:5].copy(), path, out, flags, np.zeros(1, np.int32))
        return (flags & OUTSIDE).astype(float)

    # --- checks

    def _axis(self):
        return np.ascontiguousarray(check_axis(self.axis))

    def _check_parameters(self):
        if self.orientation not in (None, "bunge"):
            raise ValueError(f'orientation={self.orientation!r} is not possible: give None or "bunge".')
        if self.integrator not in INTEGRATORS:
            raise ValueError(f"integrator={self.integrator!r} is not possible: give one of {INTEGRATORS}.")
        if isinstance(self.verbose, str) or not isinstance(self.verbose, Real) or self.verbose < 0:
            raise ValueError(f"verbose={self.verbose!r} is not possible: give an integer of at least 0.")
        self._axis()

    def _check_states(self, state, name):
        if state.shape[1] != 5:
            raise ValueError(f"{name} must have five columns (stress, density, phi1, Phi, phi2), got {state.shape[1]}.")
        density = state[:, 1]
        if (density <= 0).any():
            raise ValueError(
                f"{name} holds a density of {density.min():g}; the second column must be above zero, in 1/m^2."
            )
        if density.max() < 1e7:
            warnings.warn(
                f"{name} holds densities of {density.max():g} at most, which looks like 1/um^2; give 1/m^2, 1e12 times "
                "that.",
                stacklevel=4,
            )
        if np.abs(state[:, 2:5]).max() > 8 * np.pi:
            warnings.warn(
                f"{name} holds angles up to {np.abs(state[:, 2:5]).max():.4g}, which looks like degrees; give rad.",
                stacklevel=4,
            )

    def _records(self, strain, state, groups):
        """Strain (n,), state (n, m) and group (n,) of records below each other."""
        with naming("strain"):
            strain = check_array(strain, dtype=float, ensure_2d=False, input_name="strain")
        with naming("state"):
            state = check_array(state, dtype=float, allow_nd=True, ensure_2d=False, input_name="state")
        if groups is None:
            if state.ndim != 3 or strain.shape != state.shape[1:2]:
                raise ValueError(
                    "state must have shape (n_trajectories, n_steps, n_variables) and strain (n_steps,), or give "
                    f"groups; got {state.shape} and {strain.shape}."
                )
            group = np.repeat(np.arange(len(state)), state.shape[1])
            strain = np.tile(strain, len(state))
            state = state.reshape(-1, state.shape[2])
        else:
            with naming("groups"):
                groups = check_array(groups, dtype=None, ensure_2d=False, input_name="groups")
            if state.ndim != 2 or strain.shape != (len(state),) or groups.shape != (len(state),):
                raise ValueError(
                    "with groups, strain, groups and the rows of state must be as many; got "
                    f"{strain.shape}, {groups.shape} and {state.shape}."
                )
            group = np.r_[0, np.cumsum(groups[1:] != groups[:-1])]
            if group[-1] + 1 != len(np.unique(groups)):
                raise ValueError("groups: the records of a trajectory must stand together; sort them by trajectory.")
        if np.bincount(group).min() < 2:
            raise ValueError("state has a trajectory of one record, which says nothing of rates; leave it out.")
        repeated = np.flatnonzero((group[1:] == group[:-1]) & (strain[1:] == strain[:-1]))
        if len(repeated):
            raise ValueError(
                f"strain repeats {strain[repeated[0]]:g} from one record to the next of a trajectory; leave one out."
            )
        if self.orientation is not None:
            self._check_states(state, "state")
        return strain, state, group

    def _warn(self):
        n = len(self.flags_)
        for flag, words in (
            (OUTSIDE, "left the states of the training trajectories"),
            (REVERSED, "were strained in a direction of which no training trajectory tells; the other one was taken"),
            (LONG, "were strained by longer steps than any trained one, which were parted"),
        ):
            count = int(((self.flags_ & flag) > 0).sum())
            if count:
                warnings.warn(f"{count} of {n} grains {words}; flags_ tells which.", stacklevel=3)

    def _say(self, words):
        if self.verbose:
            print(f"[PlasticityPropagator] {words}", flush=True)
