"""TensorFlow without the lines that it prints when it starts: `from kit.tensors.tf import tf`."""

import contextlib
import functools
import os
import tempfile


@contextlib.contextmanager
def quiet():
    """Drop what C code writes to standard error in the block; show it if the block fails.

    Ctrl-C is no failure.
    """
    with tempfile.TemporaryFile() as kept:
        saved = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except Exception:
            kept.seek(0)
            os.write(saved, kept.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


with quiet():
    import tensorflow as tf

# Autograph turns Python's control flow into TensorFlow's, which nothing here needs. It costs time
# at every start, and a kill -9 would leave a file of it in /tmp for each function.
graph_function = functools.partial(tf.function, autograph=False)

__all__ = ["graph_function", "quiet", "tf"]
