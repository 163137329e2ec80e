"""The cache probe: does an exact repeat come back faster than twins that no cache can know?

    settings   the `probe:` block, and which kinds of cache are forbidden
    design     which queries, in which order, from one seed; prompts that nobody has sent before
    script     when to send them and when to stop
    warm_up    the first of them, and whether the endpoint takes it
    bursts     those at once: how many have to queue, and what would then have shown
    plan       the block to a planned probe, and whether records are what its seed plans
    evidence   query records to arrays of latencies
    measures   which part of a latency is compared
    contrasts  arrays to p values and speed-ups
    naming     which cache explains what was found
    judge      those to a verdict, of groups
    repeats    those to a verdict, of the single and the anytime design
    kinds      what became of each kind of cache
    conclusion it in words: a sentence for each finding

Pure. `audits/probe/live.py` makes an audit of it, `audits/test04/live.py` one of its checks.
"""
