"""Runs and models in files.

`plain` turns what they are made of into plain values, `states` does that with where a run stands, `fingerprints` say
whose it is, `checkpoints` keeps a run while it lasts, and `models` holds what is left of it. How both lie on the disk
says `linreg.archives`.
"""
