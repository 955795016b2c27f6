"""Node processes: one port, one worker process per session, control by mutually authenticated coordinators."""
