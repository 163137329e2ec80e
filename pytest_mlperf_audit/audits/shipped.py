"""The shipped audits by id. Importing this file imports none of them, so that a session without a YAML stays light.

Adding an audit adds a line here: id, which is also its module beside this one, and class.
"""

from __future__ import annotations

from typing import Final

SHIPPED: Final = {
    "test01": "Test01",
    "test04": "Test04",
    "test06": "Test06",
    "test07": "Test07",
    "test09": "Test09",
    "cache_probe": "CacheProbe",
}
