"""A message as a phone shows it: plain data in (Graph's JSON and a template's components), HTML out."""
