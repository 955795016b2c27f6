"""Real processes that are killed: a job on nodes of this machine, undisturbed and disturbed, and whether it differs.

`quorate chaos` runs it; what a participant's process does is in `quorate.cli.chaos_member`.
"""
