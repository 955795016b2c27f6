"""Genome-wide association on genotypes that nobody sees."""
