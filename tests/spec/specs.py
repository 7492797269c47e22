"""Specs that tests begin from."""

# The smallest spec there is, in seven lines: what a test is about comes after it.
MINIMAL = """\
crossfade: 1
migration: first
title: The first
database: profile
changes:
  - drop_table:
      table: old
"""

# The example of the language, whole.
SAMPLE = """\
crossfade: 1                         # language version
migration: normalize_emails          # id: unique, stable, [a-z0-9_]; the file name's prefix orders it
title: Lower-case e-mail addresses and make them unique
why: Sign-in must not depend on letter case
owner: team-identity
database: profile                    # a name from databases.yaml; changes may name another one each
after: [users_baseline]              # other migrations that must be complete first

changes:
  - change_column:
      table: users
      column: email
      to: {type: text, nullable: false, unique: true}
      up: lower(email)               # SQL over the old row -> new value
      down: email                    # SQL over the new row -> old value
      strategy: swap                 # swap | versions
      enforce: validate              # from when new rules bind old writers too: validate | contract

backfill:                            # optional; these are the defaults
  target: 500ms                      # a batch's wanted duration; the size adapts to it
  workers: 2
  pause_when: {replica_lag: 10s, blocked_sessions: 5}

gates:
  expand:   [{suite: users_baseline}]
  backfill: [{suite: users_emails_normalized}]          # a suite = a file in validations/
  contract:
    - {soak: 7d}                                         # time since validate ended
    - {unused: users.email, for: 24h}                    # no statement touched it
    - {approval: {from: team-identity, count: 2}}
    - {flag: normalized-email-live}                      # an OpenFeature boolean
    - {deployed: {service: profile-api, at_least: 2.4.0}}

contract:
  window: {days: mon-thu, hours: "09:00-16:00", timezone: Europe/Oslo}
  stages:                            # each is advanced by a sensor when its gates hold
    - cutover: {}                    # names swap in one short transaction
    - retire: {}                     # hidden under another name, still kept in step: undo is instant
    - archive: {after: 7d, keep: 30d}   # the sync ends; the old values are kept aside, restorable
    - drop: {after: 7d}
"""
