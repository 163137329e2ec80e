"""TEST09: are a language model's outputs as long as they should be? The rule, the live audit, the published one."""
