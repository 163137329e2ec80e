"""Which phases a session sends, in order, and how long they will take as far as that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..load.progress import Progress
from ..runs.order import Scripted
from ..runs.spec import Concurrency, Poisson, RunSpec


@dataclass(frozen=True)
class Step:
    """A phase that will surely be sent."""

    name: str
    spec: RunSpec


def duration_s(spec: RunSpec, service_s: float) -> float | None:
    """Return how long a phase takes if all its queries take as long as one did, None where its load does not say."""
    if isinstance(spec.order, Scripted):
        return min(spec.order.at_least, spec.n_samples) * service_s
    if isinstance(spec.load, Concurrency):
        wanted_s = spec.n_samples / spec.load.target * service_s
    elif isinstance(spec.load, Poisson):
        wanted_s = spec.n_samples / spec.load.target_qps + service_s
    else:
        return None
    return max(wanted_s, spec.min_duration_ms / 1000)


def phase_left_s(progress: Progress) -> float | None:
    """Return how long the phase that runs will take at its rate so far, None before a query of it has ended."""
    done = progress.completed + progress.failed
    if not (done and progress.elapsed_s):
        return None
    return max((progress.requested - done) * progress.elapsed_s / done, progress.target_s - progress.elapsed_s, 0.0)


class Schedule:
    """The phases of a session. `steps` is asked for when the first phase runs; one that is not in it has no place."""

    def __init__(self, steps: Callable[[], Iterable[Step]], service_s: Callable[[], float | None]) -> None:
        self._steps_of, self._service_s = steps, service_s
        self._steps: list[Step] = []

    def place(self, name: str) -> tuple[int, int] | None:
        """Return which phase of how many this is, None for one that was not sure to be sent."""
        self._steps = self._steps or list(self._steps_of())
        names = [step.name for step in self._steps]
        return (names.index(name) + 1, len(names)) if name in names else None

    def left_s(self, name: str, progress: Progress) -> float | None:
        """Return how long this phase and those after it will take, None where that is not known."""
        place, total_s = self.place(name), phase_left_s(progress)
        if place is None or total_s is None:
            return None
        rate = (progress.completed + progress.failed) / progress.elapsed_s
        for step in self._steps[place[0] :]:
            further_s = self._further_s(step.spec, rate)
            if further_s is None:
                return None
            total_s += further_s
        return total_s

    def _further_s(self, spec: RunSpec, rate: float) -> float | None:
        """Return how long a phase to come takes: as its load says, else at the rate of the phase that runs."""
        service_s = self._service_s()
        by_load_s = duration_s(spec, service_s) if service_s is not None else None
        if by_load_s is None and not isinstance(spec.order, Scripted):
            return spec.n_samples / rate
        return by_load_s
