"""What is on disk: records, models, cells and their checksums; and the table of it all."""
