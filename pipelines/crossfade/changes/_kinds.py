"""Which kinds of change there are: the modules of this package."""

from crossfade.spec.kinds import PackageKinds

CHANGES = PackageKinds("crossfade.changes")
