"""What a phase leaves on disk: queries.jsonl as it goes, phase.json when it has ended. Neither pytest nor aiohttp."""
