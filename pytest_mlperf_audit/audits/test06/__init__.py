"""TEST06: is a language model's output what it is reported as? The rule, the live audit, the published one."""
