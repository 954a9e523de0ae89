"""WFDB records, read from their bytes: headers, signal formats, signal files."""
