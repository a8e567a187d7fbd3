"""TensorFlow, in commands without the lines that it prints when it starts.

`from kit.tensors.tf import tf`; commands have set TF_CPP_MIN_LOG_LEVEL to 3 by then (cli.begin). A
program that has not done so keeps its standard error as it is.
"""

import contextlib
import functools
import os
import tempfile


@contextlib.contextmanager
def quiet():
    """Drop what C code writes to standard error in the block; show it if the block fails.

    Only where TF_CPP_MIN_LOG_LEVEL asks for it: some lines come all the same, and TensorFlow has
    no switch for them. Ctrl-C is no failure.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
        yield
        return
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
