"""What this machine computes faster in, and how its cores are shared among TensorFlow's threads."""

from pathlib import Path

import tensorflow as tf

from estool.mpi import usable_cores

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


def use_threads(threads: int) -> None:
    """Let TensorFlow split every operation over `threads`; call it before it does anything."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def use_towers(most: int = 8) -> int:
    """Let TensorFlow run whole operations side by side, and say how many parts to cut a batch in.

    A training step cut into one part a core, each on one thread, is a tenth faster than one that
    splits every operation over the cores. To be called before TensorFlow does anything.
    """
    towers = min(usable_cores(), most)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(towers)
    return towers
