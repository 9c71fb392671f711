"""What deserves thanks, one file each. There is none yet."""
