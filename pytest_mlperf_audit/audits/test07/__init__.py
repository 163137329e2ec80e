"""TEST07: is the SUT accurate while it is being measured? The live audit, the published one."""
