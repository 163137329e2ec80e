"""The load engine: RunSpecs in, phase records out. It never learns what the phases are for.

group.py      phases back to back on one client; signals; what is left on disk
phase.py      one phase: what to send next, when to stop
pattern.py    who sends, a fixed number in flight or on a schedule, and on how many connections
exchange.py   one query: bytes out, reply events in, a QueryRecord
transport.py  the seam under which a client sits
http.py       the client: which connection carries a query, and what connections are asked beside queries
connections.py the pool: opened, kept, closed; TLS; time limits
wire.py       one connection: a request out, its reply's events in (httptools), nothing that was not asked for
head.py       a reply's head: its fields, within limits
loop.py       an event loop for one call, which a signal ends in good order
first_query.py is the endpoint there, does it take our key, does it answer? cures.py, why it does not
backlog.py    servers that take fewer connections than they are offered
metrics.py    the servers' metrics pages, fetched between phases
exposition.py what such a page says of caches
target.py     the endpoint: addresses, credentials, limits, and a proxy that is not used
progress.py   how far a phase is, for whoever shows it
"""
