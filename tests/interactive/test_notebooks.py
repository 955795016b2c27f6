"""The notebooks hold no results, run from top to bottom, and name what they need."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs/notebooks").glob("*.ipynb"))


def _id(notebook):
    return notebook.stem


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """A kernel of this very interpreter, whatever else is installed."""
    home = tmp_path / "kernels" / "own"
    home.mkdir(parents=True)
    arguments = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (home / "kernel.json").write_text(json.dumps({"argv": arguments, "display_name": "own", "language": "python"}))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    manager = KernelSpecManager()
    manager.kernel_dirs = [str(home.parent)]
    return manager


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=_id)
def test_it_holds_no_results(notebook):
    document = nbformat.read(notebook, as_version=4)
    nbformat.validate(document)
    assert document.metadata.keys() == {"kernelspec", "language_info"}
    for cell in document.cells:
        assert not cell.metadata
        if cell.cell_type == "code":
            assert cell.execution_count is None
            assert cell.outputs == []
    assert notebook.stat().st_size < 64 * 1024


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=_id)
def test_it_ends_with_what_changes_for_real_nodes(notebook):
    texts = [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "markdown"]
    assert 'net = q.connect("federation.yaml")' in texts[-1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=_id)
def test_it_runs(notebook, kernels, tmp_path):
    document = nbformat.read(notebook, as_version=4)
    client = NotebookClient(document, timeout=60, kernel_name="own", resources={"metadata": {"path": str(tmp_path)}})
    client.create_kernel_manager()
    client.km.kernel_spec_manager = kernels
    client.execute()
    shown = [output.get("data", {}) for cell in document.cells for output in cell.get("outputs", [])]
    assert any("text/html" in data for data in shown)
    assert any("image/png" in data for data in shown)


def test_there_are_four():
    assert [notebook.stem for notebook in NOTEBOOKS] == ["credit", "gwas", "hospital", "salaries"]
