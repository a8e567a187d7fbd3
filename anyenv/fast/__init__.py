"""Layers and gradients written for CPUs."""
