"""What we claim about speed, measured: ``python -m benchmarks [names…]``.

Each benchmark is a module here with ``run() -> list[Row]``; its docstring says what is compared.
"""
