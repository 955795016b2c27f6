"""Connections between participants: TLS, frames, links, and the loop that drives a party over them."""
