"""What the README shows a newcomer works as it is written there."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_example_prints_its_greeting(own_router):
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL).group(1)
    assert code.count("127.0.0.1:8080") == 1
    router = own_router(shards=2)
    code = code.replace("127.0.0.1:8080", f"127.0.0.1:{router.ports[0]}")
    program = subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert any("got: Hello, world!" in line for line in program.stdout), "no greeting"
    finally:
        program.kill()
        program.wait()
