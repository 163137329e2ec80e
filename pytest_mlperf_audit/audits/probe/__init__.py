"""The cache probe: does an exact repeat come back faster than twins that no cache can know?

    settings    the `probe:` block, and which kinds of cache are forbidden
    sent/       which queries, in which order, from one seed; prompts that nobody has sent before
    seen/       query records to evidence, and evidence to comparisons: who was faster than whom, by which test
    judges/     comparisons to a judgement, design by design; the second series of what times alone have found
    identity/   ids, outputs and headers of all phases as evidence beside the times
    planned     one probe as it was planned: what it may send, and how it is judged
    warm_up     the first query, and whether the endpoint takes it
    script      when to send what, and when to stop
    plan        the block to a planned probe, and whether records are what its seed plans
    arms        what was sent, in rows
    kinds       what became of each kind of cache
    conclusion  it in words: a sentence for each finding
    live        an audit made of it; test04 makes a check of it

Each imports from those above it alone, but for `plan`, which stands on `script`. All but `live` is pure.
"""
