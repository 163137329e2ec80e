"""The `settings:` block: how long, under which load, and through what kind of client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator
from typing_extensions import Self

from .block import Block, DurationMs, Rate, Seconds, Wait, reject
from .hosts import MOST_PROCESSES, Host
from .scenario import Pattern


class Runtime(Block):
    """How long a phase lasts and which seeds order its samples."""

    min_duration_ms: DurationMs = Field(
        default=0,
        description="Least duration of a phase in milliseconds (or 600s, 10m, 4h), a real floor: "
        "a phase ends when both this and its sample count are reached",
    )
    max_duration_ms: DurationMs = Field(
        default=0, description="Longest time in which a phase issues queries, in milliseconds (or 10m, 4h); 0: no limit"
    )
    min_issue_duration_ms: DurationMs | None = Field(
        default=None,
        description="Of poisson only, as in the endpoints tool: the main run sends as many queries as come in this "
        "time at target_qps; n_samples_to_issue wins over it",
    )
    n_samples_to_issue: int | None = Field(
        default=None, gt=0, description="Queries of the main run; null: each row of the data set once"
    )
    scheduler_random_seed: int = Field(default=42, description="Seed of arrival times (`poisson`)")
    dataloader_random_seed: int = Field(default=42, description="Seed of the order in which rows are drawn")
    qsl_rng_seed: int = Field(
        default=0,
        ge=0,
        description="LoadGen's seed of which rows are loaded, for the logs of the classic layout; it changes nothing, "
        "since every row is loaded here",
    )

    @model_validator(mode="after")
    def _floor_below_ceiling(self) -> Self:
        if 0 < self.max_duration_ms < self.min_duration_ms:
            reject(
                f"max_duration_ms ({self.max_duration_ms}) is below min_duration_ms ({self.min_duration_ms}); "
                "raise it, or set it to 0 for no limit",
                at=["max_duration_ms"],
            )
        return self


class LoadPattern(Block):
    """How queries are issued."""

    type: Pattern = Field(
        default="max_throughput",
        description="max_throughput: all at once (Offline); concurrency: a fixed number in flight (1: SingleStream); "
        "poisson: random arrivals at a mean rate (Server), for main runs only; agentic_inference: so many "
        "conversations at a time, turn by turn (docs/multi-turn.md)",
    )
    target_qps: Rate | None = Field(
        default=None, description="Mean arrival rate in queries per second; required by poisson"
    )
    target_concurrency: int | None = Field(
        default=None,
        gt=0,
        description="Queries in flight at any time, or conversations played at a time; required by concurrency and "
        "agentic_inference",
    )

    @model_validator(mode="after")
    def _partner_given(self) -> Self:
        if self.type == "poisson" and self.target_qps is None:
            reject("poisson needs target_qps, the mean arrival rate; add 'target_qps: 10', say", at=["type"])
        if self.type == "concurrency" and self.target_concurrency is None:
            reject(
                "concurrency needs target_concurrency, the queries in flight; add 'target_concurrency: 1', say",
                at=["type"],
            )
        if self.type == "agentic_inference" and self.target_concurrency is None:
            reject(
                "agentic_inference needs target_concurrency, the conversations played at a time; add "
                "'target_concurrency: 8', say",
                at=["type"],
            )
        return self


def _proxy_url(url: str) -> str:
    """Return the URL of a proxy; what is wrong with it is said without the password that may be in it."""
    form = "write it as http://host:port, or http://${USER}:${PASSWORD}@host:port"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        reject(f"is not a URL; {form}, with a character such as / ? # or @ in the password as %2F %3F %23 %40")
    if parts.scheme == "https":
        reject(f"a proxy that is itself reached by TLS is not supported; {form}, through a tunnel (ssh -L) if need be")
    if parts.scheme != "http" or not parts.hostname or not port:
        reject(f"is not the URL of an HTTP proxy with a host and a port; {form}")
    if parts.path.strip("/") or parts.query or parts.fragment or not url.isprintable() or " " in url:
        reject(f"has more than a host and a port; {form}, with / ? # or @ in the password as %2F %3F %23 %40")
    return url.rstrip("/")


class Client(Block):
    """The HTTP client."""

    max_connections: int = Field(default=-1, ge=-1, description="Most connections open at once; -1: no limit")
    insecure: bool = Field(default=False, description="Skip the check of the server's TLS certificate")
    max_idle_time: Seconds = Field(
        default=4.0, ge=0, description="Seconds after which an idle connection is closed rather than used again"
    )
    query_timeout_s: Wait | None = Field(
        default=None,
        description="Seconds after which a query without its whole reply has failed; "
        "null: 4 hours, or max_duration_ms where that is longer",
    )
    connect_timeout_s: Seconds = Field(default=30.0, gt=0, description="Seconds within which a connection must open")
    ca_file: Path | None = Field(
        default=None, description="PEM file of the certificate authorities to trust, relative to the YAML's directory"
    )
    client_cert: Path | None = Field(
        default=None,
        description="PEM file of the client's own certificate, for servers that ask for one (mutual TLS), with its "
        "chain and perhaps its private key; relative to the YAML's directory",
    )
    client_key: Path | None = Field(
        default=None, description="PEM file of the client's private key; null: it is in client_cert"
    )
    client_key_password: SecretStr | None = Field(
        default=None, description="Password of the client's private key; best given as ${VARIABLE}"
    )
    proxy: Annotated[str, AfterValidator(_proxy_url)] | None = Field(
        default=None,
        description="HTTP proxy that every connection goes through, as a tunnel of its own (CONNECT): "
        "http://host:port or http://${USER}:${PASSWORD}@host:port. It is measured along, and the verdict names it; "
        "proxies of the environment are not used",
    )
    num_workers: int = Field(
        default=1,
        ge=-1,
        le=MOST_PROCESSES,
        description="Processes that share a phase's queries on this machine; -1: as many as help, one for each core "
        "that the simulated endpoint leaves",
    )
    hosts: tuple[Host, ...] = Field(
        default=(),
        description="Where those processes run, in the syntax of pytest-xdist's --tx: 4*popen, "
        "ssh=user@host//python=python3.12 (docs/scale.md); left out: on this machine",
    )

    @model_validator(mode="after")
    def _processes_possible(self) -> Self:
        if self.num_workers == 0:
            reject("no query can be sent by 0 processes; use 1, or -1 for as many as help", at=["num_workers"])
        if self.hosts and "num_workers" in self.model_fields_set:
            reject("has no effect beside hosts; drop it, or write '4*popen' among the hosts", at=["num_workers"])
        return self

    @model_validator(mode="after")
    def _connections_possible(self) -> Self:
        if self.max_connections == 0:
            reject("no query can be sent over 0 connections; use -1 for no limit", at=["max_connections"])
        if self.insecure and self.ca_file is not None:
            reject("ca_file has no effect with insecure: true; drop one of them", at=["ca_file"])
        return self

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        for key in ("client_key", "client_key_password"):
            if self.client_cert is None and getattr(self, key) is not None:
                reject(f"{key} has no effect without client_cert; name the certificate's PEM file", at=[key])
        return self

    @property
    def shown_proxy(self) -> str | None:
        """The proxy as it may be shown: without user and password."""
        return self.proxy and f"http://{self.proxy.rpartition('@')[2].removeprefix('http://')}"

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, self.shown_proxy if name == "proxy" else value


class Warmup(Block):
    """Queries sent, and not recorded, before the first phase."""

    enabled: bool = Field(default=False, description="Whether to warm the endpoint up before the first phase")
    n_requests: int | None = Field(
        default=None, gt=0, description="Warm-up queries; null: each row of the data set once"
    )
    salt: bool = Field(default=False, description="Put random text before each warm-up prompt")
    drain: bool = Field(default=False, description="Wait for the last warm-up reply before the first phase")
    warmup_random_seed: int = Field(default=42, description="Seed of the warm-up's order and salt")


class Timeouts(Block):
    """How long is waited at most. What runs out of time yields no verdict; its records are kept."""

    run_timeout_s: Wait | None = Field(
        default=None,
        description="Seconds for all phases of the run, from the first query on; what is in flight then is given up, "
        "and the run has no verdict (exit status 6). null: no limit",
    )
    endpoint_response_idle_timeout_s: Wait | None = Field(
        default=None,
        description="Seconds in which some reply must come while queries are in flight, or the run has no verdict: "
        "more than the longest query takes, 300 say. null: no limit",
    )
    service_ready_timeout_s: Seconds = Field(
        default=30.0,
        ge=0,
        description="Seconds for which an endpoint that answers the first query with 503 or 429 is waited for",
    )
    warmup_drain_timeout_s: Wait | None = Field(
        default=None,
        description="Seconds to wait for queries in flight when a warm-up has issued its last; null: until all are "
        "done",
    )
    performance_drain_timeout_s: Wait | None = Field(
        default=None,
        description="Seconds to wait for queries in flight when a phase of the main run or of an audit has issued its "
        "last; null: until all are done",
    )
    accuracy_drain_timeout_s: Wait | None = Field(
        default=None, description="The same for the accuracy run; null: until all are done"
    )


class BetweenPhases(Block):
    """A command between every two phases, to restart or flush the SUT."""

    command: tuple[str, ...] = Field(
        min_length=1,
        description="Program and arguments, run without a shell in the YAML's directory; {before}, {after} and {url} "
        "stand for the phases' labels and the endpoint",
    )
    timeout_ms: DurationMs = Field(default=600_000, gt=0, description="Time limit in milliseconds (or 90s, 10m)")

    @property
    def timeout_s(self) -> float:
        """The time limit in seconds."""
        return self.timeout_ms / 1000


class Goodput(Block):
    """The limits that a query must keep to count as good."""

    ttft_ms: float | None = Field(default=None, gt=0, description="Most time to the first token, in milliseconds")
    tpot_ms: float | None = Field(
        default=None,
        gt=0,
        description="Most time per output token behind the first, in milliseconds, of a whole reply on average",
    )
    latency_ms: float | None = Field(default=None, gt=0, description="Most time to the reply's end, in milliseconds")
    min_share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Least share of good queries in the main run, which then has a check `goodput`; null: not judged",
    )

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.ttft_ms is None and self.tpot_ms is None and self.latency_ms is None:
            reject("has no limit; give ttft_ms, tpot_ms or latency_ms, or drop the block")
        return self


class Settings(Block):
    """How the endpoint is driven."""

    runtime: Runtime = Field(default_factory=Runtime, description="Durations, counts and seeds")
    load_pattern: LoadPattern = Field(default_factory=LoadPattern, description="How queries are issued")
    client: Client = Field(default_factory=Client, description="The HTTP client")
    warmup: Warmup = Field(default_factory=Warmup, description="Queries before the first phase")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long is waited at most")
    goodput: Goodput | None = Field(
        default=None, description="Limits of a good query: each phase says how many queries kept them; null: none"
    )
    between_phases: BetweenPhases | None = Field(
        default=None, description="What is done between every two phases; null: nothing, they are sent back to back"
    )

    @model_validator(mode="after")
    def _sized_by_time(self) -> Self:
        """Have `min_issue_duration_ms` give the number of queries, where that is not given."""
        runtime, pattern = self.runtime, self.load_pattern
        if runtime.min_issue_duration_ms is None:
            return self
        at = ["runtime", "min_issue_duration_ms"]
        if pattern.type != "poisson" or pattern.target_qps is None:
            reject(
                f"sizes a poisson run, and the load pattern is {pattern.type}; use n_samples_to_issue for a count, or "
                "min_duration_ms for a least duration",
                at=at,
            )
        if runtime.n_samples_to_issue is None:
            n_samples = int(pattern.target_qps * runtime.min_issue_duration_ms / 1000)
            if n_samples < 1:
                reject(f"is too short for one query at {pattern.target_qps:g} a second; make it longer", at=at)
            sized = runtime.model_copy(update={"n_samples_to_issue": n_samples})
            object.__setattr__(self, "runtime", sized)  # frozen for everyone else
        return self
