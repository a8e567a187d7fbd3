"""Studies: parity with the original, and where the time goes."""
