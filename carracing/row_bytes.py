"""What an episode at once in a rank takes of its memory; light, to be known before TensorFlow."""

ROW_BYTES = {"stock": 6e6, "fast": 22e6}  # a track, for each way to draw it, and a frame in V
