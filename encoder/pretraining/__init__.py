"""Pre-training: change-aware contrastive learning and its family."""
