"""The precision in which this machine is faster, and TensorFlow's threads on its cores."""

from pathlib import Path

from kit.command.mpi import usable_cores
from kit.tensors.tf import quiet, tf

CHOICES = ("auto", "float32", "bfloat16")
CPU_FLAGS = {"avx512_bf16", "amx_bf16"}  # instructions that multiply bfloat16 twice as fast
GPU_CAPABILITY = (8, 0)  # and the GPUs that do


def resolve(precision: str) -> str:
    """`precision`, or for auto: bfloat16 where this CPU or GPU has instructions for it.

    Asks for the instructions in place of a measurement, so that every rank and every restart on a
    machine comes to the same answer.
    """
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return "bfloat16" if details["compute_capability"] >= GPU_CAPABILITY else "float32"
    cpu = Path("/proc/cpuinfo")
    words = set(cpu.read_text().split()) if cpu.exists() else set()
    return "bfloat16" if CPU_FLAGS & words else "float32"


def use_threads(threads: int | None = None, operations: int = 1) -> None:
    """Let TensorFlow split an operation over `threads`, and run `operations` side by side.

    None: as many threads as there are cores. To be called before TensorFlow does anything.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads or usable_cores())
    tf.config.threading.set_inter_op_parallelism_threads(operations)
    with quiet():
        tf.zeros(1)  # starts it


def use_towers(most: int = 8) -> int:
    """Give every operation one thread, and say how many parts to cut a training batch in.

    A step that is cut into one part a core is faster than one whose every operation is split over
    the cores. To be called before TensorFlow does anything.
    """
    towers = min(usable_cores(), most)
    use_threads(1, towers)
    return towers
