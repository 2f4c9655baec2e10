"""The worker of the package for Node.js, against the fake node: the tests of the package for Python, with another program."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import test_python
from fake_node import run_tests

test_python.COMMAND = [os.environ.get("NODE", "node"), os.path.join(HERE, "all_of_it.js")]


class Differs:
    """What is another thing in another language."""

    NUMBERS = r"^TypeError: .* \(all_of_it.js:\d+\)$"
    ERASE = "erase_it"


class NodeWorker(Differs, test_python.Worker):
    pass


class NodePipes(Differs, test_python.Pipes):
    pass


class NodeConnections(test_python.Connections):
    pass


if __name__ == "__main__":
    run_tests()
