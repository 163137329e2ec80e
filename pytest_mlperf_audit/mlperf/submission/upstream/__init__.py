"""What upstream's verification scripts say of the same files: one module per script, defects and all, in own words."""
