"""Sections of the managers' digest, one file each. There is none yet."""
