"""Every error this package raises on purpose. Each message says where, what was wrong, and the cure.

MlperfAuditError
├── UserError            the run cannot start as asked; exit status 4, nothing was sent
│   ├── ConfigError      the YAML or an option
│   ├── DatasetError     the data set named by the YAML
│   ├── PlanError        an audit cannot be planned on this data set, load pattern or limit on open files
│   ├── EndpointError    the endpoint does not answer, refuses the key, or fails TLS
│   ├── HostError        a process that is to send cannot be started, or is not like this one
│   └── ReportDirError   the report directory cannot take this run
├── NoVerdictError       a phase crashed, was cut short, or left partial records; exit status 6
├── RefusedError         the endpoint refuses what a script must send; its phase then gives no verdict
├── ScoringError         outputs cannot be scored: no expected answer, a library that is not installed
└── RecordError          a record on disk cannot be read: foreign version, edited, truncated
"""

from __future__ import annotations


class MlperfAuditError(Exception):
    """Base of every error raised by this package."""


class UserError(MlperfAuditError):
    """Something the user can put right before anything is sent."""


class ConfigError(UserError):
    """The YAML or an option cannot be used as written."""


class DatasetError(UserError):
    """The data set cannot be read, or a row of it cannot be sent.

    `key` is the key of the YAML's block that says what is wrong with the file as a whole, "" of a single row.
    """

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class PlanError(UserError):
    """An audit cannot be planned: too few rows, an index out of range, a load pattern that hides the effect."""


class EndpointError(UserError):
    """The endpoint cannot be reached, or refuses us, before the first query."""


class HostError(UserError):
    """A process of settings.client.num_workers or hosts cannot be started, or is not like this one."""


class ReportDirError(UserError):
    """The report directory cannot be written, is in use, or is shared by two configurations."""


class NoVerdictError(MlperfAuditError):
    """A phase has no complete record, so nothing may be concluded from it."""


class RefusedError(MlperfAuditError):
    """The endpoint refuses what a script must send, so going on would be in vain."""


class ScoringError(MlperfAuditError):
    """Outputs of a phase cannot be scored, so that no score is given, rather than a wrong one."""


class RecordError(MlperfAuditError):
    """A record on disk is not one this version wrote, or not whole."""
