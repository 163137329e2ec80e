"""From comparisons to a judgement, design by design.

judgement  what a judge says
bursts     queries at once: how many have to queue, and what would then have shown
groups     the design of groups
repeats    the single and the anytime design
again      the second series of what times alone have found
"""
