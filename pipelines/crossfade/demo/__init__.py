"""The demo: real migrations of real data under real traffic, on a server of its own."""

from crossfade.demo.show import run

__all__ = ["run"]
