"""Logic over linear real arithmetic: what the adversary may do is any model of the axioms, and a refutation is a proof.

All numbers are exact rationals. Solvers are asked where they are faster; what they call unsatisfiable is proved anew
here, by multipliers and covers that small functions check in rational arithmetic (``farkas``, ``cover``).
"""
