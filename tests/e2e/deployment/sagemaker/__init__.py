"""SageMaker: a stand-in for it, and what the target does there."""
