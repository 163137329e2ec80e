"""TEST01: are the answers of performance mode those of accuracy mode? The rule, the live audit, the published one."""
