"""TensorFlow: its set-up, Adam, precision and threads, and trainings in steps."""
