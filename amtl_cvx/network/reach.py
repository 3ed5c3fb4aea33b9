"""What may be on another side near a point than at it: within twice Newton's step, rounding included."""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.network.followers import followers
from amtl_cvx.network.kinks import dead_units
from amtl_cvx.network.local import Local
from amtl_cvx.network.spread import Spread


class Reach:
    """The surroundings of a point in which a d-stationary one is expected (`Local`)."""

    def __init__(self, local: Local) -> None:
        self.local, point, tangent = local, local.point, local.tangent
        off, inverse = local.rounded.gradient[local.free] / local.root, tangent.inverse
        along = tangent.Q @ np.linalg.solve(local.S, tangent.Q.T)
        stray = np.abs(along) @ off + local.at_kinks(local.rounded.U) @ np.abs(inverse)
        self.move: Array = 2.0 * (np.abs(local.step) + stray) / local.root
        """By how much the free entries may be off."""
        left = np.abs(inverse @ (local.slopes / local.root + local.whole @ local.step))
        self.held: Array = 2.0 * (left + np.abs(inverse) @ (off + np.abs(local.whole) @ stray))
        """The same of the multipliers."""
        entries = np.zeros(point.problem.size)
        entries[local.free] = self.move
        self.off = Spread(point, local.gradient, entries=entries, held=local.on_units(self.held))

    def touching(self) -> str:
        """What may be on another side; "" where nothing."""
        return (
            self._entries()
            or self._units()
            or self._followers()
            or self._loose_kinks()
            or self._multipliers()
            or self._dead()
        )

    def _entries(self) -> str:
        near = self.local.sizes <= self.move
        if not near.any():
            return ""
        return f"an entry of S or A, {self.local.sizes[near].min():.1g}, may be 0 near to the point"

    def _units(self) -> str:
        point, off = self.local.point, self.off
        for number, (u, around, at) in enumerate(zip(point.U, off.U, point.touching, strict=True), start=1):
            if (close := ~at & (np.abs(u) <= around)).any():
                least = np.abs(u[close]).min()
                return f"a unit of layer {number}, {least:.1g} from its kink, may be on it near to the point"
        seen = (point.problem.rows.times > 0.0)[:, None] & ~point.meeting
        if point.problem.gamma > 0.0 and (close := seen & (np.abs(point.R) <= off.R)).any():
            least = np.abs(point.R[close]).min()
            return f"what is rebuilt, {least:.1g} from its kink, may be on it near to the point"
        return ""

    def _followers(self) -> str:
        """Whether a weight by which a unit follows kinks below may change its sign."""
        point = self.local.point
        on, moving = followers(point)
        for number, V in enumerate(point.V[1:], start=1):
            below = moving[number - 1] | on[number - 1]
            silent = ~(point.below[number] != 0.0).any(axis=1)
            used = below[silent].any(axis=0)
            weights, off = (each[: len(used)][used] for each in (V, self.off.V[number]))  # no bias
            if (close := (weights != 0.0) & (np.abs(weights) <= off)).any():
                least = np.abs(weights[close]).min()
                return (
                    f"a weight by which a unit follows kinks below, {least:.1g}, may be 0 near to the point"
                )
        return ""

    def _loose_kinks(self) -> str:
        """Whether a unit that nothing follows, so that its kink has no weight, may come to be followed.

        Where nothing else is on in its layer, a weight of 0 out of it may rise with it: J moves by both.
        """
        point = self.local.point
        (on, moving), weighted = followers(point), self.local.weighted
        told = weighted[-1].any(axis=1)
        for number, V in enumerate(point.V[1:], start=1):
            silent = ~(point.below[number] != 0.0).any(axis=1)
            rises = (moving[number - 1] | on[number - 1]) & ~weighted[number - 1]
            loose = rises[silent & told].any(axis=0)
            if count := int(np.count_nonzero(V[: len(loose)][loose] == 0.0)):
                what = "a weight" if count == 1 else f"{count} weights"
                return f"{what} of 0 may let a unit follow kinks below that nothing holds"
        return ""

    def _multipliers(self) -> str:
        local, off = self.local, self.off
        if (close := local.rooms <= self.held + local.at_kinks(off.weights)).any():
            room = local.rooms[close].min()
            return f"a multiplier of a kink has room {room:.1g} in (0, w), no more than the point is known to"
        if (close := local.boxes(off)[local.at_bound] <= 0.0).any():
            room = local.margins[close].min()
            return f"a zero of S or A has room {room:.1g} in its box, no more than the point is known to"
        return ""

    def _dead(self) -> str:
        """Whether a dead unit of a lower layer may gain."""
        point, off = self.local.point, self.off
        for number, dead in enumerate(dead_units(point)[:-1]):
            entering = np.linalg.norm(point.below[number], 2) + np.linalg.norm(off.below[number])
            slopes = np.linalg.norm(self.local.gradient.slopes[number + 1], 2)
            slopes += np.linalg.norm(off.G_u[number + 1])
            if dead.any() and not float(entering * slopes) < 2.0 * point.model.decay:
                what = "a unit is" if dead.sum() == 1 else f"{dead.sum()} units are"
                return f"{what} dead in layer {number + 1}, which might gain to second order"
        return ""
