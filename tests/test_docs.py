"""The Python examples of the guides are complete and run as printed, one page after its own order."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDES = Path(__file__).parents[1] / "docs/how-to"
CALLS = {
    "chaos.md": "",
    "new-circuit.md": "for configuration in CONFIGURATIONS: test_swap(configuration)",
    "new-operation.md": "test_squared_distance()",
}


@pytest.mark.parametrize("page", CALLS)
def test_examples_run(page, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", (GUIDES / page).read_text(), re.MULTILINE | re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text("\n".join([*blocks, CALLS[page]]))
    finished = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    for printed in re.findall(r"^```text\n(.*?)^```", (GUIDES / page).read_text(), re.MULTILINE | re.DOTALL):
        assert printed in finished.stdout
