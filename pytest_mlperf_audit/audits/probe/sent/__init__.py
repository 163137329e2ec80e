"""Which queries a probe sends: pure, and the same for the same seed.

prompts   prompts that nobody has sent before
few       few prompts, repeated: the single and the anytime design, and the second series of the former
design    groups of repeats and twins, and bursts
apart     the order of groups, late repeats, and changed URLs
"""
