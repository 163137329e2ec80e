"""The processes that send a run's phases, where these are several: opened before anything is sent, or when needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from ..config.benchmark import Benchmark
from ..config.hosts import processes, usable_cores
from ..errors import HostError, NoVerdictError
from ..load.group import PlannedPhase
from ..load.pattern import wanted_by
from ..load.target import Target
from ..runs.order import Scripted
from ..runs.spec import Poisson, RunSpec
from ..runs.trajectories import Trajectories

if TYPE_CHECKING:
    from ..load.workers.crew import Crew
    from .run import AuditRun

#: Arrivals on a schedule ask for no number of connections.
_MANY = 1 << 20

#: Each process takes half a second of CPU time to start, and 60 MB.
_MOST_A_CORE = 32


class Crews:
    """The crew of one run in this process. With `keeps` it stays from one audit to the next."""

    def __init__(self) -> None:
        self.keeps = False
        self._crew: Crew | None = None

    def open(self, run: AuditRun, target: Target | None) -> None:
        """Start the processes and give them what they need, where they are several.

        Without a target, nobody looks whether they reach it. Raises HostError, and KeyboardInterrupt after a signal.
        """
        if not (specs := crew_specs(run.benchmark, _all_phases(run))):
            return
        from ..load.workers.crew import Crew

        try:
            _require_room(specs)
            self._crew = Crew(specs)
            self._crew.equip([(phase.source or run.source, phase.spec) for phase in shared(_all_phases(run))], target)
        except HostError as error:
            self.dismiss()
            key = "hosts" if run.benchmark.settings.client.hosts else "num_workers"
            raise HostError(f"{run.loaded.where('settings', 'client', key)}: {error}") from error
        except BaseException:
            self.dismiss()
            raise

    def ready(self, run: AuditRun, target: Target) -> Crew | None:
        """Return the processes, started anew where one was lost; None where this one sends alone.

        Raises NoVerdictError.
        """
        if self._crew is not None and not self._crew.can_send:
            self.dismiss()
        if self._crew is None:
            try:
                self.open(run, target)
            except HostError as error:
                raise NoVerdictError(f"the phases were not sent: {error}") from error
        return self._crew

    def dismiss(self) -> None:
        """End the processes."""
        crew, self._crew = self._crew, None
        if crew is not None:
            crew.close()


def crew_specs(benchmark: Benchmark, phases: Iterable[PlannedPhase]) -> tuple[str, ...]:
    """Return where the processes run that send these phases; none where this process sends alone."""
    specs = [phase.spec for phase in shared(phases)]
    if not specs or benchmark.settings.load_pattern.type == "agentic_inference":
        return ()
    client, simulated = benchmark.settings.client, not benchmark.endpoint_config.endpoints
    most = max(_MANY if isinstance(spec.load, Poisson) else wanted_by(spec) for spec in specs)
    return processes(client.num_workers, client.hosts, simulated=simulated, most=most)


def _require_room(specs: Sequence[str]) -> None:
    """Raise HostError for more processes on this machine than could start in reasonable time."""
    n_here = sum(spec.startswith("popen") for spec in specs)
    most = _MOST_A_CORE * usable_cores()
    if n_here > most:
        raise HostError(f"{n_here} processes are too many here (CPU cores: {usable_cores()}); use at most {most}")


def crew_text(specs: Sequence[str]) -> str:
    """Return where the processes run, as the YAML may have it."""
    return ", ".join(f"{count}*{spec}" if count > 1 else spec for spec, count in Counter(specs).items())


def each_share(benchmark: Benchmark, phases: Sequence[PlannedPhase]) -> list[RunSpec]:
    """Return the specs of phases as the process with the largest share of them has them."""
    n_workers = len(crew_specs(benchmark, phases))
    if not n_workers:
        return [phase.spec for phase in phases]
    from ..load.workers.shares import shares

    return [
        spec
        if isinstance(spec.order, Scripted | Trajectories)
        else msgspec.structs.replace(spec, load=shares(spec, n_workers)[0])
        for spec in (phase.spec for phase in phases)
    ]


def shared(phases: Iterable[PlannedPhase]) -> list[PlannedPhase]:
    """Return the phases that processes may share: scripts and conversations see each reply before the next query."""
    return [phase for phase in phases if not isinstance(phase.spec.order, Scripted | Trajectories)]


def _all_phases(run: AuditRun) -> list[PlannedPhase]:
    return [phase for planned in run.plans for phase in planned.all_phases]
