"""Digits on Kubeflow: tasks of ``run.py`` as the steps of one pipeline, here or on a cluster."""
