"""The hot loop beside every peer, at the same work with the result checked equal: `python -m benchmarks.hot_loop`.

`table` lists the cases, `peers` the loops, `measure` times them in turns, `sweeps`, `whole_fits` and `growth` are the
questions that are not about one step; `record` keeps it all, `regimes` compares it with what was asked, `pictures` and
`report` show it. `linreg bench` is the same from the command line.
"""
