"""The core that does no I/O: exchanges, names, sessions, and a party as a state machine."""
