"""The files that stages leave: read with checks, written atomically."""
