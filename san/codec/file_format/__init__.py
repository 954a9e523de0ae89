"""The file format: header, chunks with checksums, attachments, footer."""
