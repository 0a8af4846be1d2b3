"""Pre-trained by others: text, frames and motion become vectors."""
