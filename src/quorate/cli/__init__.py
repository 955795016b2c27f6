"""The command line. One module per command; `main` names them and imports a command only when it is used."""
