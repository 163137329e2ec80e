"""The shipped audits by id. Importing this file imports none of them, so that a session without a YAML stays light.

Adding an audit adds a line here: its id, and where its class is, as module beside this one and name.
"""

from __future__ import annotations

from typing import Final

SHIPPED: Final = {
    "test01": "test01.live:Test01",
    "test04": "test04.live:Test04",
    "test06": "test06.live:Test06",
    "test07": "test07.live:Test07",
    "test09": "test09.live:Test09",
    "cache_probe": "probe.live:CacheProbe",
}
