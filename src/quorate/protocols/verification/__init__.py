"""Products checked after the fact: an argument about inner products that costs next to nothing to communicate."""
