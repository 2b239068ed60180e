"""The garbage collector leaves alone what a program starts with, and works afterwards."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """\
import gc
from selfinstruct.monitor.collector import set_aside

class Node: pass

def nodes():
    return sum(isinstance(one, Node) for one in gc.get_objects())

with set_aside():
    assert not gc.isenabled()
    kept = [Node() for _ in range(10)]
    with set_aside():
        kept.append(Node())
    assert not gc.isenabled()
assert gc.isenabled() and nodes() == 0, "the collector still looks at what was made in the block"
later = Node()
assert nodes() == 1
try:
    with set_aside():
        raise KeyError
except KeyError:
    assert gc.isenabled()
gc.disable()
with set_aside():
    pass
assert not gc.isenabled(), "someone else had switched it off"
"""


def test_what_is_made_in_the_block_is_set_aside() -> None:
    """It is off inside the block, on after it, and does not look at what was made there; blocks may nest."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
