"""Many episodes side by side."""
