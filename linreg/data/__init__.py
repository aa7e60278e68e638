"""Tables, files and arrays on their way to numeric arrays, with every complaint in words."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linreg.data.sources import open_table

__all__ = ["open_table"]


def __getattr__(name: str) -> Any:
    if name == "open_table":  # training needs none of what reads tables
        from linreg.data.sources import open_table

        return open_table
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
