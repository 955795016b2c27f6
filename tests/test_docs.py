"""The Python examples of the guides are complete and run as printed, one page after its own order."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
CALLS = {
    "how-to/chaos.md": "",
    "how-to/new-circuit.md": "for configuration in CONFIGURATIONS: test_swap(configuration)",
    "how-to/new-method.md": "",
    "how-to/new-operation.md": "test_squared_distance()",
    "how-to/results.md": "",
    "tutorial/notebook.md": "",
    "reference/sessions.md": "",
    "how-to/own-data.md": "",
    **{f"reference/analytics/{page.name}": "" for page in sorted((DOCS / "reference/analytics").glob("*.md"))},
}


@pytest.mark.parametrize("page", CALLS)
def test_examples_run(page, tmp_path):
    text = (DOCS / page).read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text("\n".join([*blocks, CALLS[page]]))
    finished = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    for printed in re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        assert printed in finished.stdout
    for printed in re.findall(r"^ *print\(.*\)  # (.*)$", "\n".join(blocks), re.MULTILINE):
        assert printed in finished.stdout
