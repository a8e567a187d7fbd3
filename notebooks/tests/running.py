"""Executes a notebook with other parameters, and reads what came of it."""

import copy
import importlib
import json
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).parents[1]


def execute(name, folder, parameters, last="", again=None, start=""):
    """The notebook `name`, run with other `parameters` and the code `last` after its end.

    With `again`, still other parameters, the cells from the one named `start` on run once more.
    `folder` keeps what Jupyter and IPython write. The kernel is this very interpreter, whatever
    kernels the machine knows. Returns the executed notebook, also where one of its cells failed.
    """
    spec = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    spec |= {"display_name": "this interpreter", "language": "python"}
    (folder / "kernels" / "here").mkdir(parents=True, exist_ok=True)
    (folder / "kernels" / "here" / "kernel.json").write_text(json.dumps(spec))
    kernels = KernelSpecManager(kernel_dirs=[str(folder / "kernels")], ensure_native_kernel=False)
    kernel = AsyncKernelManager(kernel_name="here", kernel_spec_manager=kernels)

    notebook = nbformat.read(HERE / name, 4)
    names = [cell.id for cell in notebook.cells]
    place = names.index("parameters") + 1
    extra = copy.deepcopy(notebook.cells[names.index(start) :]) if again else []
    notebook.cells.insert(place, assignments(parameters))
    notebook.cells.append(nbformat.v4.new_code_cell(last))
    if again:
        notebook.cells += [assignments(again), *extra, nbformat.v4.new_code_cell(last)]
    resources = {"metadata": {"path": str(HERE)}}
    client = NotebookClient(notebook, km=kernel, timeout=300, resources=resources)
    try:
        client.execute(cleanup_kc=True)  # a kernel manager of ours is otherwise left running
    except CellExecutionError as error:
        notebook.metadata["failure"] = str(error)
    return notebook


def assignments(values):
    return nbformat.v4.new_code_cell("\n".join(f"{key} = {values[key]!r}" for key in values))


def printed(notebook):
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return "".join(out.text for out in outputs if out.output_type == "stream")


def picture_count(notebook):
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return sum("image/png" in out.get("data", {}) for out in outputs)


def import_v():
    """V's module, which is the same in both rooms; here, because it starts TensorFlow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE.parent / "doomrnn")
        return importlib.import_module("vae")
