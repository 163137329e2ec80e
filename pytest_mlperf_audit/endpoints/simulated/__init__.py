"""The embedded simulated endpoint: a process of its own that behaves as a SUT with any kind of cache, or none.

`process.start` starts it from outside; everything else runs inside that process:

    server   HTTP in and out, counters as ground truth
    wire     requests to an Ask, an Answer to reply bytes; formats, how each format does so
    model    what is said: words and token ids, honestly or not; prompts known in advance
    service  lanes, queue, service times
    caches   one class per kind of cache
"""
