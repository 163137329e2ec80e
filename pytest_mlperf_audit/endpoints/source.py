"""RequestSource: the data set as the requests it is sent as. Audits plan on it, the load engine sends it. Pure."""

from __future__ import annotations

import hashlib

from ..datasets import Dataset
from ..errors import DatasetError, PlanError
from ..runs.script import NO_EDIT, Edit
from ..runs.spec import Keep
from .base import EndpointAdapter


class RequestSource:
    """Rows of a data set, encoded by an adapter at the moment they are needed, so that no row is held twice."""

    def __init__(self, dataset: Dataset, adapter: EndpointAdapter) -> None:
        self.dataset = dataset
        self.adapter = adapter
        head = "\r\n".join([f"POST {adapter.path}", *(f"{name}: {value}" for name, value in adapter.headers.items())])
        self._head = hashlib.sha256(f"{head}\r\n\r\n".encode())

    def keeping(self, keep: Keep | None) -> RequestSource:
        """Return the source of a phase that keeps `keep`: the same rows, asking for token ids where it wants them.

        Raises PlanError where the API has no way to ask.
        """
        if keep is None or not keep.token_ids:
            return self
        if (asking := self.adapter.with_token_ids()) is None:
            raise PlanError(
                f"api_type {self.adapter.api_type} has no token ids in its replies, which this audit needs; "
                "use openai, openai_completions (vLLM) or sglang"
            )
        return RequestSource(self.dataset, asking)

    def value(self, index: int, column: str) -> str | None:
        """Return what the data set says of row `index` in a column, as text; None where it says nothing."""
        value = self.dataset[index].get(column)
        return None if value is None else str(value)

    def __len__(self) -> int:
        return len(self.dataset)

    def body(self, index: int, edit: Edit = NO_EDIT) -> bytes:
        """Return the request body of row `index`; equal arguments give equal bytes."""
        return self.adapter.encode(self.dataset[index], edit)

    def digest(self, body: bytes, query: str = "") -> str:
        """Return 128 bits, in hex, that identify a request: method, path, query, headers without credentials, body."""
        hasher = self._head.copy()
        if query:
            hasher.update(f"?{query}\r\n".encode())
        hasher.update(body)
        return hasher.hexdigest()[:32]

    def fingerprint(self, index: int) -> str:
        """Return the digest of row `index` as it will be sent."""
        return self.digest(self.body(index))

    def where(self, index: int) -> str:
        """Return where row `index` stands, for a message."""
        return self.dataset.where(index)

    def check_rows(self) -> None:
        """Raise DatasetError, naming file and line, for the first row that cannot be sent."""
        for index in range(len(self)):
            if problem := self.adapter.problem(self.dataset[index]):
                raise DatasetError(
                    f"{self.where(index)}: cannot be sent to api_type {self.adapter.api_type}: {problem}"
                )
