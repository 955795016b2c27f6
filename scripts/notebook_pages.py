"""A hook of mkdocs: every notebook below docs/ becomes a page of the site, beside the file itself."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add a page NAME.md for each NAME.ipynb."""
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        page = PurePosixPath(notebook.src_uri).with_suffix(".md")
        content = as_markdown(notebook.content_string, PurePosixPath(notebook.src_uri).name)
        files.append(File.generated(config, str(page), content=content))
    return files


def as_markdown(notebook: str, name: str) -> str:
    """Texts as they are, code in fences; and where to get the notebook."""
    cells = json.loads(notebook)["cells"]
    parts = [_cell(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    link = f"[This notebook as a file]({name})"
    return "\n\n".join([*parts[:1], link, *parts[1:]]) + "\n"


def _cell(kind: str, source: str) -> str:
    return source if kind == "markdown" else f"```python\n{source}\n```"
