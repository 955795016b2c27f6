"""For tests, here and elsewhere: worlds in one thread, conformance suites, loopback meshes."""
