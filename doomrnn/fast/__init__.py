"""V's layers and M's gradient, written for CPUs."""
