"""What the user has done between two phases: a command of the YAML, then hooks. To restart or flush the SUT, say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..config.interpolate import interpolate, values_in
from ..config.settings import BetweenPhases
from ..endpoints.replies import printable
from ..errors import NoVerdictError
from ..load.redaction import Redactor
from .commands import run

#: Called with the labels of the phase that has ended and of the one that is to come, and the endpoint's URLs.
Hook = Callable[[str, str, tuple[str, ...]], object]


#: As much of the end of what a failing command printed is shown.
_SHOWN = 400


@dataclass(frozen=True)
class Between:
    """Done between every two phases of a run. `cwd` is the YAML's directory, `environ` has the command's variables.

    `redact` takes secrets out of what a command or a hook says.
    """

    config: BetweenPhases | None
    hook: Hook | None
    cwd: Path
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    redact: Callable[[str], str] = field(default=str, repr=False)

    def __bool__(self) -> bool:
        return self.config is not None or self.hook is not None

    def __call__(self, before: str, after: str, urls: tuple[str, ...]) -> None:
        """Do it. Raises NoVerdictError where the command or a hook fails: the next phase would mean nothing then."""
        if self.config is not None and (problem := self._run(self.config, before, after, urls[0])):
            raise NoVerdictError(f"between_phases, before the phase {after}: {problem}")
        if self.hook is not None:
            try:
                self.hook(before, after, urls)
            except Exception as error:
                raise NoVerdictError(
                    f"pytest_mlperf_between_phases, before the phase {after}: "
                    f"{type(error).__name__}: {self.redact(str(error))}"
                ) from error

    def _run(self, config: BetweenPhases, before: str, after: str, url: str) -> str:
        """Run the command; return what went wrong, "" if nothing did."""
        asked = {"{before}": before, "{after}": after, "{url}": url}
        command = [_filled(interpolate(argument, self.environ), asked) for argument in config.command]
        named = config.command[0]
        try:
            ended = run(command, self.cwd, config.timeout_s)
        except OSError as error:
            return f"{named} could not be started ({error.strerror or error})"
        if ended.exit_status == 0:
            return ""
        own = Redactor([value for argument in config.command for _, value in values_in(argument, self.environ)])
        said = printable(own.redact(self.redact(ended.tail.decode("utf-8", "replace")))[-_SHOWN:])
        what = (
            f"{named} ran longer than its time limit of {config.timeout_s:g} s"
            if ended.exit_status is None
            else f"{named} ended with status {ended.exit_status}"
        )
        return f"{what}; it said: {said}" if said else what


def _filled(argument: str, asked: dict[str, str]) -> str:
    for placeholder, value in asked.items():
        argument = argument.replace(placeholder, value)
    return argument
