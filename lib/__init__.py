"""OsteoBook: five papers on bone imaging as reproducible studies.

Importing ``lib`` costs nothing: heavy libraries are imported by the modules that use them.
"""
