"""From trained networks to int8 graphs."""
