"""What an archive is made of: records, workers, the manifest, its verification."""
