"""Market risk of secret portfolios, and exposures of several institutions."""
