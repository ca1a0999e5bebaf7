"""A city's movements in memory: columns of numbers, and the one question asked of them.

It follows the words of `domain/exposure.py` and must answer row for row what the SQL answers. A
`City` is never changed: what is new makes the next one, and a reader keeps the one it began with.
Nothing here is imported before it is needed: the kernels are compiled on first use.
"""
