# Recurses in the interpreter itself, where Python does not count.
import sys

sys.setrecursionlimit(1_000_000_000)


class Deeper:
    def __getattr__(self, name):
        return getattr(self, name + "x")


Deeper().x
