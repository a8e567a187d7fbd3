"""TensorFlow: its set-up, Adam, precision and threads."""
