"""Inputs of data owners: tables, agreed schemas, encoding and commitments."""
