"""What reads a raw table: the file, the cells, the columns."""
