"""What runs and rounds came to, as documents: their values, their files, and how two of them differ."""
