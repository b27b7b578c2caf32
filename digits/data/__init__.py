"""Data sources, augmentation and loading.

A source (:class:`~digits.data.uci.Uci`, :class:`~digits.data.mnist.Mnist`,
:class:`~digits.data.folder.Folder`) has one method, ``load() -> Digits``. Import from the modules:
this package imports none of them, so that a source costs only its own libraries.
"""
