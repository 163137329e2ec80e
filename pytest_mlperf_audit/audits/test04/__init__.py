"""TEST04: does repeating one sample make the SUT faster? The rule, the live audit, the published one."""
