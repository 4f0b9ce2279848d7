"""The edge's commands, one file each."""
