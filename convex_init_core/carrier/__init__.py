"""The carrier: one more unit in each layer, with which every ReLU classifier is input-convex up to a common shift.

Take an ordinary network ``u' = φ(A u + b)`` with A of either sign. Beside its units run a carrier r, and let every unit
hold ``h = u + r``. With ``W_0j = max(0, −min_i A_ij)`` for the carrier, ``W_ij = A_ij + W_0j`` for the units, and the
weight on the carrier ``W_i0 = R − Σ_j W_ij``, R being the largest row sum, all weights are non-negative and

    s_i = Σ_j W_ij h_j + W_i0 r + b_i + b_0,    r' = Σ_j W_0j h_j + W_00 r + b_0,    s_i − r' = (A u + b)_i

because every row reads the same multiple R of r. Then ``h' = r' + φ(s − r')``, which for ReLU is ``max(s, r')``, is
convex and non-decreasing in s and r' whenever φ is convex with a slope between 0 and 1, and ``h' − r' = φ(A u + b)``.
All outputs are convex functions of the input, and they differ from those of the ordinary network by r alone, which is
the same for all classes: softmax does not see it.

It is for nothing else: a regression, a sigmoid, an energy or a potential is its one output, r included.

:mod:`weights` has the construction, :mod:`activations` what takes the place of φ, :mod:`stages` the walk through a
network, and :mod:`rounding` what the common part costs in digits.
"""
