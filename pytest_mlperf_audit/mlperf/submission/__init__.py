"""Published submission trees: where their audits lie, and what the logs in them show. Nothing is sent or written."""
