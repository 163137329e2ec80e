"""The cache probe: does an exact repeat come back faster than twins that no cache can know?

    settings   the `probe:` block, and which kinds of cache are forbidden
    design     which queries, in which order, from one seed; prompts that nobody has sent before
    script     when to send them and when to stop
    plan       the block to a planned probe, and whether records are what its seed plans
    evidence   query records to arrays of latencies
    measures   which part of a latency is compared
    contrasts  arrays to p values and speed-ups
    naming     which cache explains what was found
    judge      those to a verdict
    conclusion it in words: a sentence for each finding

Pure. `audits/probe/live.py` makes an audit of it, `audits/test04/live.py` one of its checks.
"""
