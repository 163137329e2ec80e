"""The load engine: RunSpecs in, phase records out. It never learns what the phases are for.

group.py      phases back to back on one client; signals; what is left on disk
phase.py      one phase: what to send next, when to stop
pattern.py    who sends: a fixed number in flight, or arrivals on a schedule
exchange.py   one query: bytes out, reply events in, a QueryRecord
transport.py  the seam under which a client sits
http.py       the client: aiohttp's connections and parser
conversation.py one request and its reply on a connection that owes nothing before or after
address.py    one URL, and the request heads sent there
loop.py       an event loop for one call, which a signal ends in good order
metrics.py    the servers' metrics pages, fetched between phases
exposition.py what such a page says of caches
preflight.py  is the endpoint there, and does it take our key?
target.py     the endpoint: addresses, credentials, limits
progress.py   how far a phase is, for whoever shows it
"""
