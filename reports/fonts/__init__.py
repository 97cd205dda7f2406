"""The fonts that a PDF is set in; README.md says where they are from."""
