"""The lab: one page about the NTK and infinite width that computes what it says."""
