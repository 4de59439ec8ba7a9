"""The model behind recommendations, pure: from what customers did to an order of films.

`building` makes a `Model` from facts; only its part `ease` needs numpy, which is imported there.
`scoring` orders candidates for one customer in plain Python, `paging` makes a page of the order,
and `reasons` says why a film is on it.
"""
