"""YAML text to frozen models. Pure: neither pytest nor aiohttp; no file but the YAML itself."""
