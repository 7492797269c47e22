"""A migration from the first click to the last, in the browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import FloatRect
from tests.browser.interface import Interface
from tests.scene import Scene

SPEC = """crossfade: 1
migration: normalize_emails
title: Addresses are kept in lower case
why: Sign-in must not depend on letter case
owner: team-identity
database: app
changes:
  - change_column: {table: users, column: email, to: {nullable: false, unique: true}, up: lower(email), down: email}
backfill: {target: 50ms, workers: 1, nice_ratio: 15}
gates:
  backfill: [{suite: addresses}]
  contract: [{approval: {count: 1}}]
contract: {stages: [{cutover: {}}, {retire: {after: 7d}}]}
"""
SUITE = """suite: addresses
title: Addresses are there, and there are many
database: app
table: users
expectations:
  - expect_column_values_to_not_be_null: {column: email}
  - expect_table_row_count_to_be_between: {min_value: 300001}
"""
MIGRATION = "app/normalize_emails"
PAGE: FloatRect = {"x": 240, "y": 0, "width": 1200, "height": 900}
PANEL: FloatRect = {"x": 240, "y": 0, "width": 1200, "height": 860}
CHECK: FloatRect = {"x": 240, "y": 0, "width": 1200, "height": 660}
DESCRIPTION: FloatRect = {"x": 240, "y": 350, "width": 860, "height": 290}
GRAPH: FloatRect = {"x": 540, "y": 400, "width": 900, "height": 160}


@pytest.fixture
def users(scene: Scene) -> Scene:
    scene.sql(
        "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, note text);"
        "INSERT INTO users SELECT i, 'User' || i || '@Example.com', repeat('x', 100)"
        " FROM generate_series(1, 300000) AS i; ANALYZE users"
    )
    (scene.root / "migration_specs" / "normalize_emails.yaml").write_text(SPEC)
    (scene.root / "validations" / "addresses.yaml").write_text(SUITE)
    return scene


@pytest.mark.browser
@pytest.mark.timeout(900)
def test_a_migration_is_launched_watched_held_up_approved_advanced_and_taken_back(
    users: Scene, interface: Interface
) -> None:
    interface.materialize(f"{MIGRATION}/expand")
    interface.run_ends("Success")

    interface.materialize(f"{MIGRATION}/backfill")
    interface.sees("rows a second")
    interface.asset(f"{MIGRATION}/backfill")
    interface.sees("rows a second")
    interface.shoot("backfill", PANEL)

    interface.asset(f"{MIGRATION}/backfill", "checks")
    interface.sees("suite addresses does not hold yet: 1 of 2 expectations fails: expect_table_row_count_to_be_between")
    interface.sees("wants at least 300,001, found 300,000")
    interface.shoot("gate", CHECK)

    users.sql("INSERT INTO users VALUES (300001, 'Late@Example.com', '')")
    interface.materialize(f"{MIGRATION}/backfill")
    interface.run_ends("Success")
    interface.passed(f"{MIGRATION}/validate")  # by the sensor
    interface.asset(f"{MIGRATION}/validate", "checks")
    interface.sees("somebody has to approve", "approves from here")
    assert users.one("SELECT email FROM users WHERE id = 1") == "User1@Example.com"

    interface.reload_definitions()  # since when they were loaded, there was no plan
    interface.asset(f"{MIGRATION}/cutover")
    interface.sees("Starts when these hold: approval", "swap names in public.users", "reads and writes of public.users")
    interface.shoot("plan", DESCRIPTION)

    interface.fill_in("approve_migration", "migration: normalize_emails\nreason: reviewed\n")
    interface.shoot("launchpad", PAGE)
    interface.launch()
    interface.run_ends("Success")
    interface.passed(f"{MIGRATION}/cutover")  # by the sensor
    assert users.one("SELECT email FROM users WHERE id = 1") == "user1@example.com"
    interface.open("/asset-groups")
    interface.sees("cutover")
    interface.shoot("lineage", GRAPH)

    interface.fill_in("roll_back_migration", "migration: normalize_emails\nreason: too soon\n")
    interface.launch()
    interface.run_ends("Success")
    interface.sees("cutover was taken back.", "expand was taken back.")
    interface.shoot("rolled_back", PAGE)
    assert users.one("SELECT email FROM users WHERE id = 1") == "User1@Example.com"
