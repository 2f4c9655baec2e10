"""Actors of Kelpie in Python: workers that host them (Actor, method, read, run), and a client (Client)."""
from . import errors
from .actor import Abandoned, Actor, State, method, read
from .client import Client
from .errors import Error, Fail
from .worker import run

__version__ = "0.1.0"
__all__ = ["Abandoned", "Actor", "Client", "Error", "Fail", "State", "errors", "method", "read", "run"]
