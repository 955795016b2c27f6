"""Real message brokers for tests and measurements: TLS 1.3 with certificates on both sides, in a folder of their own.

    with RabbitServer(folder, ["alice", "bob"]) as server:
        carrier = open_carrier(server.address, server.credentials("alice"))

Nothing of a server lies outside its folder, no other user and no right of root is needed, and it dies with the process
that started it, however that ends. `Server.missing` says why a kind cannot be had on this machine.
"""
