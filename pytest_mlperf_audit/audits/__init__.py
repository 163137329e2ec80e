"""What MLPerf's audits ask and how their results are judged. Pure: neither pytest nor aiohttp, no file, no clock."""
