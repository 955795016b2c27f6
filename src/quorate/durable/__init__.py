"""Sessions that survive: journals, sealed and numbered messages, replay, and the loop that drives a party with them."""
