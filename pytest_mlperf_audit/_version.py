"""The version, where every room may read it: the package itself names things of the upper ones."""

__version__ = "0.1.0"
