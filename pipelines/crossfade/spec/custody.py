"""What databases.yaml says of the rows of a database: where they must stay, how secret they are, what is personal."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crossfade.spec.values import ColumnName, Duration, SpecModel

# From what anybody may see to what few may.
Classification = Literal["public", "internal", "confidential", "restricted"]


class Personal(SpecModel):
    """Columns that tell of people, and how long their old values may be kept."""

    columns: Annotated[tuple[ColumnName, ...], Field(min_length=1)] = Field(
        description="Each as `table.column`, or with its schema before.", examples=[["users.email", "users.name"]]
    )
    keep_at_most: Duration | None = Field(
        default=None, description="The longest that a migration may keep their old values.", examples=["90d"]
    )

    def names(self, schema: str, table: str, column: str, *, home: str) -> bool:
        """The column is one of them. home: the schema of names without one."""
        qualified = f"{schema}.{table}.{column}"
        return any((name if name.count(".") == 2 else f"{home}.{name}") == qualified for name in self.columns)
