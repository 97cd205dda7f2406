"""Store to reader: the JSON API."""
