"""Question types, rounds and rotation, one file each. There is none yet."""
