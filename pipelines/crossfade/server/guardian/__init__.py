"""The process between an owner and its PostgreSQL server: it starts the server and cleans up.

Parent of the postmaster, it obeys the owner (kill, restart, stop). When the owner ends in any way, kill -9
included, it stops the server and removes its temporary directory. It runs in a session of its own, so Ctrl-C
in a terminal reaches the owner only. When the guardian itself is killed, the kernel interrupts the postmaster
(on Linux), and the owner removes the directory.

Only the standard library, and nothing of the package around it, so that it starts in some 50 ms. Its argument
is the owner's process id. On stdin it reads a line of JSON (a Job), then one word a line; on stdout it
answers each with a line of JSON, which has `failed` and `log` when it could not be done.
"""
