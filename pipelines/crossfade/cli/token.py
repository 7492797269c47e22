"""The OIDC token that a CI puts into the environment: whom it names."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crossfade.cli.failure import TOKEN_VARIABLE
from crossfade.errors import CrossfadeError, UsageError

if TYPE_CHECKING:
    from crossfade.execute.approving import Presented
    from crossfade.spec import Project


def presented_token(project: Project) -> Presented:
    """Whom the token of the environment names, and the token; raises UsageError, TokenRefused or KeysUnavailable.

    Of an approval the engine reads it again; a wrong one is told here.
    """
    from crossfade.execute.approving import Presented
    from crossfade.oidc import read_token

    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise UsageError(
            f"the environment variable {TOKEN_VARIABLE} is not set",
            why="with --oidc, whoever acts is whom the token in it names",
            fix="let the CI put its OIDC token there: docs/approvals.md",
        )
    try:
        return Presented(read_token(token, project.settings.issuers, project.root, datetime.now(UTC)), token)
    except CrossfadeError as error:
        raise type(error)(
            f"the token in {TOKEN_VARIABLE} does not count: {error.what}", why=error.why, fix=error.fix
        ) from None
