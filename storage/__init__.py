"""The store: numbered schema, writers and readers. All SQL of swept is in here."""
