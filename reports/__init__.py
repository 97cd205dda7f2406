"""What is filed: CSV, XLSX, GeoJSON and PDF of one document."""
