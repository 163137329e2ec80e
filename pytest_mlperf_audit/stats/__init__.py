"""Statistics on plain arrays. Pure: nothing here knows of phases, audits, files or HTTP."""
