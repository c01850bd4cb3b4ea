"""OsteoBook: five papers on bone imaging as reproducible studies over one thin library.

To import elsewhere: ``lib.losses``, ``lib.models``, ``lib.metrics`` and ``lib.evidence``. ``lib``
itself loads nothing, and a heavy library is loaded only by the modules that use it.
"""
