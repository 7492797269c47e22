"""Steps: the one thing the engine runs, as data; and the SQL that recurs in them.

A step is frozen, printable, comparable, storable. Changes make them, plan orders them, execute runs them,
report prints them: what is shown is what runs.
"""
