"""Questions to people: where their buttons lead, and what they say."""
