"""Building blocks written once on the primitives: comparison, conversion, division, roots, tiles."""
