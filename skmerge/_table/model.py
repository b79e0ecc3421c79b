"""The model of a table in standardised units: it predicts each column from the others of its row."""

from dataclasses import asdict, dataclass, field

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skmerge._gaussian import conditional
from skmerge._gaussian.columns import CLIP
from skmerge._gaussian.joint import Joint, Moments, cross_fitted, fit_joint, fit_linear
from skmerge._table import sources, stack
from skmerge._text import warn

# In standard deviations; values beyond are moved there: one wrong entry must not determine a covariance.
CLIP_PROPERTY, CLIP_DESCRIPTOR = 4.0, 5.0


@dataclass(frozen=True)
class Layout:
    """The roles of the standardised columns, as arrays of their numbers."""

    owner: np.ndarray  # (width,), the column of the table that each comes from, -1 for a derived one
    at: np.ndarray  # those of the properties
    descriptor: np.ndarray  # all others
    source: np.ndarray  # those of the levels of the source; empty without one
    own_units: tuple | None  # centre and unit of the descriptors if all are numbers without logarithms, such as 0 and 1

    @classmethod
    def of(cls, columns, width, properties, source):
        """From the columns of a table, ``width`` with the derived ones; ``source``: number of its column, or None."""
        owner = np.concatenate([columns.owner, np.full(width - len(columns.owner), -1)])
        is_property = np.isin(owner, properties)
        descriptor = np.flatnonzero(~is_property)
        own, own_units = owner[descriptor], None
        numbers = np.array([bit or levels is None for bit, levels in zip(columns.bits, columns.levels, strict=True)])
        if (own >= 0).all() and (numbers & ~columns.log)[own].all():
            own_units = columns.center[own], columns.unit[own]
        of_source = np.flatnonzero(owner == source) if source is not None else np.empty(0, int)
        return cls(owner, np.flatnonzero(is_property), descriptor, of_source, own_units)

    def source_code(self, z):
        """Number of each row's source, -1 where unknown."""
        is_source = z[:, self.source] == 1
        return np.where(is_source.any(axis=1), is_source.argmax(axis=1), -1)


@dataclass
class TableModel:
    """The fitted parts, which are attributes of MergedNetImputer.

    ``allowed`` (width, width): which standardised column may be predicted from which; ``restricted``: numbers of those
    with inputs of their own.
    """

    layout: Layout
    allowed: np.ndarray
    restricted: np.ndarray
    linear: dict | None
    feature_linear: dict | None
    joints: list = field(default_factory=list)
    forests: list = field(default_factory=list)
    weight: np.ndarray = field(default_factory=lambda: np.empty((0, 4)))
    variance: np.ndarray = field(default_factory=lambda: np.empty((0, 3)))
    source_distance: float = 0.0
    source_noise: np.ndarray = field(default_factory=lambda: np.zeros(0))

    # Stored as attributes of the imputer, with an underscore behind.
    STORED = "allowed", "linear", "feature_linear", "forests", "weight", "variance", "source_distance", "source_noise"
    ATTRIBUTES = *(f"{name}_" for name in STORED), "_restricted", "joints_"  # from which it is restored

    # --- fitting

    @classmethod
    def fit_linear(cls, layout, z, error, allowed, restricted, options):
        """The linear parts; ``options`` of ``fit_joint``."""
        z = np.clip(z, -CLIP, CLIP)
        linear = fit_linear(z, error, **options)
        return cls(layout, allowed, restricted, linear, fit_linear(z[:, layout.descriptor], None, **options))

    def fit_properties(self, z, groups, error, n_estimators, seed, n_jobs, options):
        """Joint distributions and forests of the properties from the table z (n, width); ``options`` of ``fit_joint``.

        Returns ``unseen``, the Moments (n, n_properties) of rows left out, and the last Joint.
        """
        at, progress = self.layout.at, options["progress"]
        own = None if error is None else error[:, at]
        near, fold_of = self._properties(z), stack.folds(groups, seed)
        if not len(self.layout.source):
            joints = fit_joint(near, self._features(z), groups, None, own, **options)
        else:
            code = self.layout.source_code(z)
            joints, self.source_distance, self.source_noise = sources.fit(
                near, lambda distance: self._features(z, distance), groups, code, own, **options
            )
            own = sources.with_noise(own, self.source_noise, code, near.shape)
        features, joint = self._features(z), joints[-1]
        if not joint.change < options["tol"]:
            warn(
                f"the fills still change by {joint.change:.2g} standard deviations after {joint.n_iter} iterations; "
                "raise max_iter, or lower damping if they oscillate.",
                ConvergenceWarning,
            )
        # Variances come from the fit that will predict, so that widths are right for new rows. The variances of fits
        # without a fold are greater; widths fitted to them would be too narrow, 0.79 to 0.95 times (alloys).
        flat, scatter = np.zeros(near.shape), self._noise_of(z)
        base = [
            Moments(
                cross_fitted(joint, near, features, groups, fold_of, None, own, progress).expected,
                joint.left_out(near, flat, own).variance + (0.0 if scatter is None else scatter**2),
            )
            for joint in joints
        ]
        self.joints = joints
        self._restrict(base, *self._linear(z, error, at))
        progress(f"joint distribution after {joint.n_iter} iterations")
        (self.forests, self.weight, self.variance), unseen = stack.fit(
            z, at, self._inputs(), base, fold_of, own, 0 if progress.stopped else n_estimators, seed, n_jobs, progress
        )
        return unseen, joint

    def arrays(self):
        """The stored attributes of the imputer."""
        joints = [asdict(joint) for joint in self.joints]
        special = {"_restricted": self.restricted, "descriptor_": self.layout.descriptor, "joints_": joints}
        return {f"{name}_": getattr(self, name) for name in self.STORED} | special

    @classmethod
    def restored(cls, layout, arrays):
        """From ATTRIBUTES, a dict."""
        own = {name: arrays[f"{name}_"] for name in cls.STORED}
        joints = [Joint(**joint) for joint in arrays["joints_"]]
        return cls(layout, restricted=arrays["_restricted"], joints=joints, **own)

    # --- prediction

    def expected(self, z, error=None, unseen=None, progress=None):
        """Moments (n, width) of each cell from the others of its row; the variance is not calibrated.

        ``z`` (n, width): NaN where missing; ``error`` (n, width): standard deviations of the measurements; ``unseen``:
        what ``fit_properties`` returns for training rows.
        """
        at = self.layout.at
        expected, variance = self._linear(z, error, np.arange(z.shape[1]), progress)
        if len(at):
            if unseen is None:
                features, near = self._features(z), self._properties(z)
                scatter = self._noise_of(z)
                base = [joint.left_out(near, joint.smooth(features), scatter) for joint in self.joints]
                if scatter is not None:
                    base = [Moments(expected, variance + scatter**2) for expected, variance in base]
                self._restrict(base, expected[:, at], variance[:, at])
                second = stack.Stack(self.forests, self.weight, self.variance)
                unseen = stack.predict(second, z, at, self._inputs(), base)
            expected[:, at], variance[:, at] = unseen
            variance[:, at] += self._unsure(z, progress)
        return Moments(expected, variance)

    def _properties(self, z):
        return np.clip(z[:, self.layout.at], -CLIP_PROPERTY, CLIP_PROPERTY)

    def _features(self, z, distance=None):
        """Complete descriptors for the kernel: bits as 0 and 1, others within CLIP_DESCRIPTOR standard deviations."""
        layout = self.layout
        fitted = self.feature_linear or {"mean": np.zeros(len(layout.descriptor)), "covariance": np.empty((0, 0))}
        features = conditional.fill(fitted["mean"], fitted["covariance"], np.clip(z[:, layout.descriptor], -CLIP, CLIP))
        if layout.own_units is not None:
            center, unit = layout.own_units
            bits = features * unit + center
            is_bit = np.isclose(bits, 0) | np.isclose(bits, 1)
            # After the fit, the kernel that was chosen decides; a missing bit is then the probability of 1.
            joint = self.joints[-1] if self.joints else None
            if is_bit.all() if joint is None else len(joint.weight) and not joint.length:
                return np.where(is_bit, np.round(bits), np.clip(bits, 0.0, 1.0))
        features = np.clip(features, -CLIP_DESCRIPTOR, CLIP_DESCRIPTOR)
        of_source = np.isin(layout.descriptor, layout.source)
        features[:, of_source] *= self.source_distance if distance is None else distance
        return features

    def _linear(self, z, error, wanted, progress=None):
        """Expectation and variance of standardised columns from all allowed ones."""
        if not len(wanted) or self.linear is None:
            return np.zeros((len(z), len(wanted))), np.ones((len(z), len(wanted)))
        near = np.clip(z, -CLIP, CLIP)
        expected, variance = Joint(**self.linear).left_out(near, np.zeros(z.shape), error, self.allowed, progress)
        return expected[:, wanted], variance[:, wanted]

    def _restrict(self, base, linear, variance):
        """Replace the predictions of columns with inputs of their own by linear ones from these inputs."""
        own = np.isin(self.layout.at, self.restricted)
        for expected, spread in base:
            expected[:, own], spread[:, own] = linear[:, own], variance[:, own]

    def _noise_of(self, z):
        """Scatter of the rows' sources, (n, n_properties); None without."""
        if not len(self.layout.source):
            return None
        shape = len(z), len(self.layout.at)
        return sources.with_noise(None, self.source_noise, self.layout.source_code(z), shape)

    def _unsure(self, z, progress=None):
        """What missing descriptors add to the variance of the properties, (n, n_properties); 0 for a kernel of bits."""
        at, descriptor, joint = self.layout.at, self.layout.descriptor, self.joints[-1]
        if not len(joint.weight) or not joint.length or self.feature_linear is None:
            return 0.0
        near, covariance = self._properties(z), self.feature_linear["covariance"]
        filled = conditional.fill(self.feature_linear["mean"], covariance, z[:, descriptor])

        def predict(rows, moves):
            whole = z[rows]
            whole[:, descriptor] = filled[rows] + moves
            return joint.left_out(near[rows], joint.smooth(self._features(whole))).expected

        # Forests are assumed to depend on descriptors as the kernel does. Restricted columns have their own variance.
        follows = np.where(np.isin(at, self.restricted), 0.0, 1.0 - self.weight[:, 0])
        return follows**2 * conditional.variance_of(covariance, z[:, descriptor], predict, progress)

    def _inputs(self):
        """Standardised columns that the forest of each property may see."""
        width = np.arange(len(self.layout.owner))
        return [np.flatnonzero(self.allowed[k] & (width != k)) for k in self.layout.at]
