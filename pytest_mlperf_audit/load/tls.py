"""TLS: whose certificates are trusted, and the client's own."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EndpointError

if TYPE_CHECKING:
    from .target import Target


#: Alerts by which a server refuses a client for its certificate, or for having none (RFC 8446, 6.2; RFC 5246, 7.2.2).
_ABOUT_US = re.compile(
    r"ALERT_(?:HANDSHAKE_FAILURE|(?:BAD_|UNSUPPORTED_)?CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR)"
)

CLIENT_CURE = (
    "where it asks for client certificates, set settings.client.client_cert, and client_key, to one that it trusts"
)


class IdentityError(Exception):
    """A client certificate cannot be used; `key` is the one of `settings.client` to put right."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


@dataclass(frozen=True)
class Identity:
    """The client's certificate, with its chain, and its private key, None where that stands in the same PEM file."""

    certificate: Path
    key: Path | None = None
    password: str | None = field(default=None, repr=False)

    def check(self) -> None:
        """Make sure that the files can be used. Raises IdentityError."""
        self.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have a context present the certificate to servers that ask for one. Raises IdentityError."""
        _require(self.certificate, "client_cert", "CERTIFICATE-----", "has no certificate in PEM form")
        key, its_name = (self.key, "client_key") if self.key else (self.certificate, "client_cert")
        none = "has no private key in PEM form" + ("" if self.key else "; name the key's file as client_key")
        _require(key, its_name, "PRIVATE KEY-----", none)
        asked = False

        def password() -> str:  # without this, OpenSSL would ask at the terminal
            nonlocal asked
            asked = True
            return self.password or ""

        try:
            context.load_cert_chain(self.certificate, key, password)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or str(error)
            if reason == "KEY_VALUES_MISMATCH":
                raise IdentityError(
                    its_name, f"{key} is not the key of the certificate in {self.certificate}"
                ) from None
            if asked and self.password is None:
                cure = "set settings.client.client_key_password: ${KEY_PASSWORD}"
                raise IdentityError(its_name, f"{key} is protected by a password; {cure}") from None
            if asked:
                raise IdentityError("client_key_password", f"does not open {key}; correct the variable") from None
            raise IdentityError("client_cert", f"{self.certificate} with {key} cannot be used ({reason})") from None


def _require(path: Path, name: str, marker: str, problem: str) -> None:
    """Raise IdentityError unless a file can be read and has a line that ends as PEM's of this kind do."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise IdentityError(name, f"{path} cannot be read ({error.strerror}); correct the path") from None
    if marker.encode() not in text:
        raise IdentityError(name, f"{path} {problem}")


def tls(target: Target) -> ssl.SSLContext | None:
    """Return what connections to a target's addresses are made with; None where none of them has TLS.

    Raises EndpointError when the target's `ca_file` or its client certificate cannot be used.
    """
    if not any(url.startswith("https:") for url in (*target.urls, *target.metrics)):
        return None
    if target.insecure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = _trusting(target.ca_file)
    if target.identity is not None:
        try:
            target.identity.load_into(context)
        except IdentityError as error:
            raise EndpointError(f"settings.client.{error.key}: {error}") from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as error:
        raise EndpointError(
            f"settings.client.ca_file: {ca_file} cannot be used ({error.strerror or error}); "
            "give a PEM file of certificate authorities"
        ) from error


def tls_cure(detail: str) -> str:
    """Return what to do about a handshake that failed, as a clause, by what OpenSSL says of it."""
    if _ABOUT_US.search(detail):
        return f"the server refuses us; {CLIENT_CURE}, or see its log"
    return (
        "set settings.client.ca_file to the certificate authority's file, or settings.client.insecure: true to skip "
        "the check"
    )
