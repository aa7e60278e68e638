"""The hot loop beside every peer, at the same work with the result checked equal: `python -m benchmarks.hot_loop`.

`table` lists the cases, `peers` the loops, `measure` times them in turns; `sweeps`, `whole` and `growth` are the
questions that are not about one step, `profiles` what a step is made of. `run` does all of it and `record` keeps it,
`regimes` compares it with what was asked, `reasons` says why something is not reached, `show`, `pictures` and `report`
show it. `linreg bench` is the same from the command line.
"""
