"""Wire formats of tensors and vectors: the Open Inference Protocol, embeddings, rankings. Pure but for files."""
