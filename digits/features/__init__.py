"""What is known of each sample, and since when: labels, shape features, embeddings, predictions."""
