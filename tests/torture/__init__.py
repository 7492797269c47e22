"""Migrations of every kind on tables of every shape, under writers that remember what they wrote, and one fault a run.

`python -m tests.torture --help` runs it for as long as wanted; test_torture.py is the part that every test run has.
"""
