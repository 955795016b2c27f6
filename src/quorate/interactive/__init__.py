"""Work from a program or a notebook: secret arrays that are computed on when a result is asked for."""
