"""Which kinds of gate there are: the modules of this package."""

from crossfade.spec.kinds import PackageKinds

GATES = PackageKinds("crossfade.gates", suffix="Gate")
